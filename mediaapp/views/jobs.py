"""A job's page, its polls and its actions."""

from typing import Any
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

from mediaapp.models import Report, Upload, User
from mediaapp.operations import action_log
from mediaapp.operations.staff_jobs import StaffJob, staff_context
from mediaapp.permissions import (
    AuthenticatedRequest,
    get_subject_or_404,
    login_required_for,
    read_running_progress,
    set_viewer_cookie,
)
from mediaapp.retention import SOURCE_DELETED_MESSAGE
from workers import jobs
from workers.models import Job


@never_cache
@require_safe
@login_required
def show_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    subject = get_subject_or_404(request, job_id)
    if subject.job.state == Job.State.NEEDS_MAPPING:
        return redirect("mapping", job_id)
    response = render(request, "jobs/job.html", {"poll_after": 1} | context_of(request, subject))
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
    response = retarget(render(request, "jobs/_state.html", context | context_of(request, subject)), "#state")
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


def context_of(request: HttpRequest, subject: Upload | Report | StaffJob) -> dict[str, Any]:
    job = subject.job
    context: dict[str, Any] = {"subject": subject, "job": job, "state": jobs.state_of(job)}
    context |= {"may_force": may_force(job), "will_resume": will_resume(job)}
    if not (request.user.is_authenticated and request.user.is_staff):
        return context
    return context | staff_context(job) | {"is_for_operations": is_for_operations(request.user, subject)}


def is_for_operations(user: User, subject: Upload | Report | StaffJob) -> bool:
    """Whether it is another owner's, or a job that only the staff see, such as a retry of many."""
    return user.is_staff and (isinstance(subject, StaffJob) or subject.owner != user)


def record_staff_action(request: AuthenticatedRequest, action: str, subject: Upload | Report | StaffJob) -> None:
    if is_for_operations(request.user, subject):
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
