"""Other programs use these URLs, so they do not change."""

from django.contrib.auth import views as auth
from django.urls import include, path

from mediaapp.views import (
    accounts,
    catalogue,
    direct,
    documents,
    files,
    health,
    jobs,
    library,
    mapping,
    practices,
    reports,
)
from mediaapp.views.operations import metrics

urlpatterns = [
    path("", library.show_library, name="library"),
    path("uploads/", library.upload_files, name="upload"),
    path("uploads/open/", direct.open_upload, name="open_upload"),
    path("uploads/<uuid:upload_id>/parts/", direct.sign_part, name="sign_part"),
    path("uploads/<uuid:upload_id>/close/", direct.close_upload, name="close_upload"),
    path("uploads/<uuid:upload_id>/discard/", direct.discard_upload, name="discard_upload"),
    path("jobs/<uuid:job_id>/", jobs.show_job, name="job"),
    path("jobs/<uuid:job_id>/progress", jobs.show_progress, name="progress"),
    path("jobs/<uuid:job_id>/progress.json", jobs.show_progress_json, name="progress_json"),
    path("jobs/<uuid:job_id>/cancel/", jobs.cancel, name="cancel"),
    path("jobs/<uuid:job_id>/retry/", jobs.retry, name="retry"),
    path("jobs/<uuid:job_id>/mapping/", mapping.show_mapping, name="mapping"),
    path("jobs/<uuid:job_id>/mapping/confirm/", mapping.confirm_mapping, name="confirm_mapping"),
    path("jobs/<uuid:job_id>/mapping/change/", mapping.change_mapping, name="change_mapping"),
    path("jobs/<uuid:job_id>/video.mp4", files.serve_video, name="video"),
    path("jobs/<uuid:job_id>/poster.jpg", files.serve_poster, name="poster"),
    path("jobs/<uuid:job_id>/rejected.csv", files.download_rejected_rows, name="rejected_rows"),
    path("jobs/<uuid:job_id>/report/", reports.report_on_upload, name="report_on_upload"),
    path("jobs/<uuid:job_id>/rows.parquet", reports.download_rows, {"kind": "parquet"}, name="parquet"),
    path("jobs/<uuid:job_id>/rows.csv", reports.download_rows, {"kind": "csv"}, name="csv"),
    path("catalogue/", catalogue.show_catalogue, name="catalogue"),
    path("catalogue/sample.csv", catalogue.download_sample, name="sample"),
    path("catalogue/report/", reports.report_on_catalogue, name="report_on_catalogue"),
    path("accounts/signup/", accounts.SignUpView.as_view(), name="signup"),
    path("accounts/login/", accounts.LoginView.as_view(), name="login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="logout"),
    path("accounts/password_change/", auth.PasswordChangeView.as_view(), name="password_change"),
    path(
        "accounts/password_change/done/",
        auth.PasswordChangeDoneView.as_view(),
        name="password_change_done",
    ),
    path("accounts/password_reset/", accounts.PasswordResetView.as_view(), name="password_reset"),
    path(
        "accounts/password_reset/done/",
        auth.PasswordResetDoneView.as_view(),
        name="password_reset_done",
    ),
    path(
        "accounts/reset/<uidb64>/<token>/",
        accounts.PasswordResetConfirmView.as_view(),
        name="password_reset_confirm",
    ),
    path(
        "accounts/reset/done/",
        auth.PasswordResetCompleteView.as_view(),
        name="password_reset_complete",
    ),
    path("operations/", include("mediaapp.operations.urls")),
    path("practices/", practices.show_practices, name="practices"),
    path("practices/<int:number>/", practices.show_practice, name="practice"),
    path("docs/", documents.show_document, name="docs"),
    path("docs/<path:name>/", documents.show_document, name="document"),
    path("healthz", health.liveness, name="healthz"),
    path("metrics", metrics.show_metrics, name="metrics"),
    path("healthz/practices", health.practices, name="healthz_practices"),
    path("readyz", health.readiness, name="readyz"),
]
