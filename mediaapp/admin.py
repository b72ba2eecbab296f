"""The admin. Only accounts are edited here; workers write the other rows."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import date as format_date
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html

from mediaapp.models import ActionEntry, Report, Upload, User
from workers.models import Deploy, Incident, Job, Pause

MAX_COUNTED = 10_000


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RecordAdmin(ReadOnlyAdmin):
    """Of what only the site itself writes and deletes."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EstimatedPaginator(Paginator):
    """A list without a filter has PostgreSQL's own estimate for its count: COUNT(*) reads a million rows."""

    @cached_property
    def count(self) -> int:
        query = self.object_list.query  # type: ignore[attr-defined]  # the admin pages a queryset
        if query.where:
            return super().count
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [query.model._meta.db_table])
            (estimate,) = cursor.fetchone()
        return int(estimate) if estimate > MAX_COUNTED else super().count


class JobColumns(ReadOnlyAdmin):
    """Lists what is unfinished first, then the last finished: the order of an index, on a table of any size."""

    show_full_result_count = False
    paginator = EstimatedPaginator

    @admin.display(description="page")
    def page(self, obj: Job | Upload | Report) -> str:
        return format_html('<a href="{}">Open</a>', reverse("job", args=[obj.pk]))

    @admin.display(description="state")
    def state_of_job(self, obj: Upload | Report) -> str:
        return obj.job.get_state_display()

    @admin.display(description="finished at")
    def job_finished_at(self, obj: Upload | Report) -> datetime | None:
        return obj.job.finished_at


def short_time(moment: datetime | None) -> str:
    return format_date(timezone.localtime(moment), "j M H:i") if moment else "-"


@admin.register(Job)
class JobAdmin(JobColumns):
    """No filter by queue or task: it would read the whole table for its choices. /operations/jobs/ searches."""

    list_display = ("state", "owner", "page", "created", "started", "finished", "task_name", "queue", "short_id")
    list_display_links = ("short_id",)
    list_filter = ("state",)
    list_select_related = ("owner",)
    ordering = ("-finished_at",)

    @admin.display(description="created")
    def created(self, obj: Job) -> str:
        return short_time(obj.created_at)

    @admin.display(description="started")
    def started(self, obj: Job) -> str:
        return short_time(obj.started_at)

    @admin.display(description="finished", ordering="finished_at")
    def finished(self, obj: Job) -> str:
        return short_time(obj.finished_at)

    @admin.display(description="task")
    def task_name(self, obj: Job) -> str:
        return obj.task.rpartition(".")[2]

    @admin.display(description="id")
    def short_id(self, obj: Job) -> str:
        return str(obj.pk)[:8]


@admin.register(Upload)
class UploadAdmin(JobColumns):
    list_display = ("name", "kind", "owner", "size", "state_of_job", "created_at", "job_finished_at", "page")
    list_filter = ("kind",)
    search_fields = ("name", "owner__username")
    list_select_related = ("owner", "job")
    ordering = ("-job__finished_at",)


@admin.register(Report)
class ReportAdmin(JobColumns):
    list_display = ("name", "owner", "state_of_job", "created_at", "job_finished_at", "page")
    search_fields = ("owner__username",)
    list_select_related = ("owner", "upload", "job")
    ordering = ("-job__finished_at",)


@admin.register(Incident)
class IncidentAdmin(RecordAdmin):
    list_display = ("number", "began_at", "ended_at", "summary", "alerted_at", "recovery_sent_at")
    list_filter = ("number",)
    ordering = ("-began_at",)


@admin.register(Deploy)
class DeployAdmin(RecordAdmin):
    list_display = ("release", "began_at")
    ordering = ("-began_at",)


@admin.register(ActionEntry)
class ActionEntryAdmin(RecordAdmin):
    list_display = ("at", "actor", "action", "target", "detail")
    search_fields = ("actor", "target")
    ordering = ("-at",)


@admin.register(Pause)
class PauseAdmin(RecordAdmin):
    """/operations/ pauses and resumes: workers read a copy of these rows."""

    list_display = ("kind", "name", "paused_by", "paused_at")
    ordering = ("-paused_at",)


@admin.register(User)
class AccountAdmin(UserAdmin):
    add_fieldsets = ((None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),)


@login_required
def redirect_staff(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """Replaces the admin's own login page, which does not limit tries."""
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect("admin:index")


admin.site.login = redirect_staff  # type: ignore[method-assign]
