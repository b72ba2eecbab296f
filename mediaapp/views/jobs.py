"""A job's page, its polls and its actions."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import retarget

from mediaapp import action_log
from mediaapp.models import Report, Upload
from mediaapp.permissions import (
    AuthenticatedRequest,
    get_subject_or_404,
    login_required_for,
    read_running_progress,
    set_viewer_cookie,
)
from mediaapp.retention import SOURCE_DELETED_MESSAGE
from mediaapp.staff_jobs import StaffJob, staff_context
from workers import jobs
from workers.models import Job


@never_cache
@require_safe
@login_required
def show_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    subject = get_subject_or_404(request, job_id)
    if subject.job.state == Job.State.NEEDS_MAPPING:
        return redirect("mapping", job_id)
    context = {
        "subject": subject,
        "job": subject.job,
        "state": jobs.state_of(subject.job),
        "poll_after": 1,
        "may_force": may_force(subject.job),
        "will_resume": will_resume(subject.job),
    } | (staff_context(subject.job) if is_staff(request) else {})
    response = render(request, "jobs/job.html", context)
    set_viewer_cookie(request, response)
    return response


@never_cache
@require_safe
def show_progress(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Uses no SQL while the job runs.

    `was=queued`: the page has not shown the job running, so it needs all parts of the new state.
    """
    age = request.GET.get("age", "")[:6]
    context = {"poll_after": poll_seconds(int(age) if age.isdecimal() else 0), "job_id": job_id}
    was_queued = request.GET.get("was") == "queued"
    if not was_queued and (current := read_running_progress(request, job_id)):
        return render(request, "jobs/_running.html", context | {"state": jobs.running_state(current)})
    subject = get_subject_or_404(request, job_id)
    context |= {"subject": subject, "job": subject.job, "state": jobs.state_of(subject.job)}
    context |= {"may_force": may_force(subject.job), "will_resume": will_resume(subject.job)}
    context |= staff_context(subject.job) if is_staff(request) else {}
    response = retarget(render(request, "jobs/_state.html", context), "#state")
    set_viewer_cookie(request, response)
    return response


@never_cache
@require_safe
def show_progress_json(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """Uses no SQL while the job runs."""
    if current := read_running_progress(request, job_id):
        return JsonResponse(jobs.running_state(current))
    response = JsonResponse(jobs.state_of(get_subject_or_404(request, job_id).job))
    set_viewer_cookie(request, response)
    return response


@require_POST
@login_required_for("job")
def cancel(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    subject = get_subject_or_404(request, job_id)
    with transaction.atomic():
        has_changed = jobs.cancel(subject.job)
        if has_changed:
            record_staff_action(request, "cancel_job", subject)
    if not has_changed:
        messages.info(request, "It had ended before, so there was nothing to cancel.")
    return redirect("job", job_id)


@require_POST
@login_required_for("job")
def retry(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """`force` imports the good rows of a file with many bad ones."""
    subject = get_subject_or_404(request, job_id)
    if isinstance(subject, Upload) and not subject.has_source:
        messages.error(request, SOURCE_DELETED_MESSAGE)
        return redirect("job", job_id)
    job, is_unconfirmed = subject.job, subject.job.arguments.get("dialect", {}) is None
    with transaction.atomic():
        if subject.kind == Upload.Kind.CSV and is_unconfirmed:  # cancelled before the owner confirmed the mapping
            has_changed = jobs.reopen_mapping(job)
        else:
            has_changed = jobs.retry(job, **{"force": True} if "force" in request.POST else {})
        if has_changed:
            record_staff_action(request, "retry_job", subject)
    if not has_changed:
        messages.info(request, "It is neither failed nor cancelled, so there was nothing to try again.")
    return redirect("job", job_id)


def is_staff(request: HttpRequest) -> bool:
    return request.user.is_authenticated and request.user.is_staff


def record_staff_action(request: AuthenticatedRequest, action: str, subject: Upload | Report | StaffJob) -> None:
    """Of staff on a job that is not theirs."""
    if request.user.is_staff and subject.owner != request.user:
        action_log.record(request, action, str(subject.pk), f"{subject.name} of {subject.owner or 'nobody'}")


def may_force(job: Job) -> bool:
    """Whether the owner may import the good rows of a file with too many bad ones."""
    max_rejected = settings.IMPORT_MAX_BAD_SHARE * job.result.get("rows", 0)
    has_too_many = job.result.get("rejected", 0) > max_rejected
    return job.state == Job.State.FAILED and has_too_many and not job.arguments.get("force")


def will_resume(job: Job) -> bool:
    """False if the file itself was the cause of the failure."""
    return job.state == Job.State.CANCELLED or job.message in jobs.user_messages.NOT_CAUSED_BY_FILE


def poll_seconds(page_age_seconds: int) -> float:
    age = page_age_seconds
    return 1 if age < 30 else 2 if age < 120 else 5 if age < 600 else 15
