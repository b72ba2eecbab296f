"""Holds recurring entries that somebody makes in the admin to practice 5."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django_celery_beat.admin import PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.models import PeriodicTask

from workers.schedule import find_problems


class ExpiringTaskForm(PeriodicTaskForm):  # type: ignore[misc]
    """Rejects an entry that does not expire before its next run, or whose queue nobody consumes, with a hint."""

    def _post_clean(self) -> None:
        super()._post_clean()
        if not self.errors:
            for field, problem in find_problems(self.instance).items():
                self.add_error(field, ValidationError(problem))


class ExpiringTaskAdmin(PeriodicTaskAdmin):  # type: ignore[misc]
    form: Any = ExpiringTaskForm


admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, ExpiringTaskAdmin)
