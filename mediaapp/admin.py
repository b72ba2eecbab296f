"""The admin. Only accounts are edited here; workers write the other rows."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from mediaapp.models import Report, Upload, User
from workers.models import Job


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("id", "task", "queue", "state", "owner", "attempt", "created_at", "finished_at")
    list_filter = ("state", "queue", "task")
    date_hierarchy = "created_at"
    list_select_related = ("owner",)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "owner", "size", "created_at")
    list_filter = ("kind",)
    search_fields = ("name", "owner__username")
    list_select_related = ("owner",)


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "created_at")
    search_fields = ("owner__username",)
    list_select_related = ("owner", "upload")


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
