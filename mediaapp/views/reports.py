"""Requests a report, and downloads its rows."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import content_disposition_header
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from mediaapp.models import CatalogueItem, Report, Upload
from mediaapp.permissions import AuthenticatedRequest, get_subject_or_404, get_upload_or_404, login_required_for
from mediaapp.reports import request_report
from mediaapp.retention import SOURCE_DELETED_MESSAGE
from mediaapp.views.files import serve_job_file
from workers.reports.run import CSV, PARQUET

TYPES = {PARQUET: "application/vnd.apache.parquet", CSV: "text/csv; charset=utf-8"}


@require_POST
@login_required_for("catalogue")
def report_on_catalogue(request: AuthenticatedRequest) -> HttpResponse:
    if not CatalogueItem.objects.filter(owner=request.user).exists():
        messages.info(request, "There is nothing to report on yet: your catalogue has no rows.")
        return redirect("catalogue")
    return redirect("job", request_report(request.user).pk)


@require_POST
@login_required_for("job")
def report_on_upload(request: HttpRequest, job_id: UUID) -> HttpResponse:
    upload = get_upload_or_404(request, job_id)
    if upload.kind != Upload.Kind.CSV:
        raise Http404
    if not upload.has_source:
        messages.error(request, SOURCE_DELETED_MESSAGE)
        return redirect("job", job_id)
    return redirect("job", request_report(upload.owner, upload).pk)


@require_safe
@login_required
@cache_control(private=True, no_cache=True)
def download_rows(request: HttpRequest, job_id: UUID, kind: str) -> HttpResponseBase:
    report = get_subject_or_404(request, job_id)
    if not isinstance(report, Report):
        raise Http404
    name = {"parquet": PARQUET, "csv": CSV}[kind]
    headers = {"Content-Type": TYPES[name]}
    headers["Content-Disposition"] = content_disposition_header(True, f"{report.name}.{kind}") or ""
    return serve_job_file(request, report, report.storage_name(name), headers)
