"""A job's page, its polls, and what its owner can do with it."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import retarget

from mediaapp.models import Upload
from mediaapp.permissions import login_required_on, progress_for, set_viewer_cookie, subject_for
from workers import jobs
from workers.models import Job


@never_cache
@require_safe
@login_required
def show_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """What it is, where it stands, what one can do, what happened. Where it needs a mapping, that is the page."""
    subject = subject_for(request, job_id)
    if subject.job.state == Job.State.NEEDS_MAPPING:
        return redirect("mapping", job_id)
    context = {
        "subject": subject,
        "job": subject.job,
        "state": jobs.state_of(subject.job),
        "poll_after": 1,
        "stopped_early": stopped_early(subject.job),
        "goes_on": goes_on(subject.job),
    }
    response = render(request, "jobs/job.html", context)
    set_viewer_cookie(request, response)
    return response


@never_cache
@require_safe
def show_progress(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The part of the page that moves. While the job runs this costs no SQL.

    `was=queued` comes from a page that has not shown it running yet: that gets everything that a new state changes.
    """
    age = request.GET.get("age", "")[:6]
    context = {"poll_after": pause_after(int(age) if age.isdecimal() else 0), "job_id": job_id}
    was_queued = request.GET.get("was") == "queued"
    if not was_queued and (now := progress_for(request, job_id)):
        return render(request, "jobs/_running.html", context | {"state": jobs.running_state(now)})
    subject = subject_for(request, job_id)
    context |= {"subject": subject, "job": subject.job, "state": jobs.state_of(subject.job)}
    context |= {"stopped_early": stopped_early(subject.job), "goes_on": goes_on(subject.job)}
    response = retarget(render(request, "jobs/_state.html", context), "#state")
    set_viewer_cookie(request, response)
    return response


@never_cache
@require_safe
def tell_progress(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """The same for programs."""
    if now := progress_for(request, job_id):
        return JsonResponse(jobs.running_state(now))
    response = JsonResponse(jobs.state_of(subject_for(request, job_id).job))
    set_viewer_cookie(request, response)
    return response


@require_POST
@login_required_on("job")
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Ends it now if it waits; a running one stops within two seconds."""
    if not jobs.cancel(subject_for(request, job_id).job):
        messages.info(request, "It had ended before, so there was nothing to cancel.")
    return redirect("job", job_id)


@require_POST
@login_required_on("job")
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Puts a failed or cancelled one at the end of its queue; `force` imports the good rows among many bad ones."""
    subject = subject_for(request, job_id)
    job, unconfirmed = subject.job, subject.job.arguments.get("dialect", {}) is None
    if subject.kind == Upload.Kind.CSV and unconfirmed:  # it was cancelled before anybody had confirmed its columns
        done = jobs.reopen_mapping(job)
    else:
        done = jobs.retry(job, **{"force": True} if "force" in request.POST else {})
    if not done:
        messages.info(request, "It is neither failed nor cancelled, so there was nothing to try again.")
    return redirect("job", job_id)


def stopped_early(job: Job) -> bool:
    """Whether the import gave up on a file with too many bad rows, so that its owner may want the good ones anyway."""
    made = job.result
    limit = settings.IMPORT_MAX_BAD_SHARE * made.get("rows", 0)
    return job.state == Job.State.FAILED and made.get("rejected", 0) > limit and not job.arguments.get("force")


def goes_on(job: Job) -> bool:
    """Whether trying again goes on where it ended. What the file is to blame for has said itself what stays."""
    return job.state == Job.State.CANCELLED or job.message in jobs.user_messages.NOT_CAUSED_BY_FILE


def pause_after(age: int) -> float:
    """Seconds until the next poll of a page that has been polling for `age` seconds."""
    return 1 if age < 30 else 2 if age < 120 else 5 if age < 600 else 15
