"""Reports: asking for one, and taking its rows away as a file. What they show stands on the page of their job."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import content_disposition_header
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from mediaapp.models import CatalogueItem, Report, Upload
from mediaapp.permissions import AuthenticatedRequest, get_upload_or_404, login_required_on, subject_for
from mediaapp.reports import ask_for
from mediaapp.views.files import serve
from workers.reports.run import CSV, PARQUET

TYPES = {PARQUET: "application/vnd.apache.parquet", CSV: "text/csv; charset=utf-8"}


@require_POST
@login_required_on("catalogue")
def report_on_catalogue(request: AuthenticatedRequest) -> HttpResponse:
    """Makes a report on all of one's own rows, or shows the one that is being made."""
    if not CatalogueItem.objects.filter(owner=request.user).exists():
        messages.info(request, "There is nothing to report on yet: your catalogue has no rows.")
        return redirect("catalogue")
    return redirect("job", ask_for(request.user).pk)


@require_POST
@login_required_on("job")
def report_on_upload(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The same on the good rows of one CSV file."""
    upload = get_upload_or_404(request, job_id)
    if upload.kind != Upload.Kind.CSV:
        raise Http404
    return redirect("job", ask_for(upload.owner, upload).pk)


@require_safe
@login_required
@cache_control(private=True, max_age=3600)
def rows(request: HttpRequest, job_id: UUID, kind: str) -> HttpResponseBase:
    """The rows of a report, of the kind "parquet" or "csv"."""
    report = subject_for(request, job_id)
    if not isinstance(report, Report):
        raise Http404
    name = {"parquet": PARQUET, "csv": CSV}[kind]
    headers = {"Content-Type": TYPES[name]}
    headers["Content-Disposition"] = content_disposition_header(True, f"{report.name}.{kind}") or ""
    return serve(request, report, report.file(name), headers)
