"""The admin: staff look at accounts, uploads and jobs here; nothing that a job has written is changed by hand."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from mediaapp.models import Upload, User
from workers.models import Job


class ReadOnly(admin.ModelAdmin):
    """Rows to look at. A job is cancelled and tried again on its page, where the rules for it hold."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("id", "task", "queue", "state", "owner", "attempt", "created_at", "finished_at")
    list_filter = ("state", "queue", "task")
    date_hierarchy = "created_at"
    list_select_related = ("owner",)


@admin.register(Upload)
class UploadAdmin(ReadOnly):
    list_display = ("name", "kind", "owner", "size", "created_at")
    list_filter = ("kind",)
    search_fields = ("name", "owner__username")
    list_select_related = ("owner",)


admin.site.register(User, UserAdmin)
