"""Recurring entries that are made by hand in the admin are held to practice 5 too."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django_celery_beat.admin import PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.models import PeriodicTask

from workers.schedule import find_problems


class ExpiringTaskForm(PeriodicTaskForm):  # type: ignore[misc]
    """Refuses an entry that does not expire before its next run, or that nobody would run, and says what would do."""

    def _post_clean(self) -> None:
        super()._post_clean()
        if not self.errors:
            for field, problem in find_problems(self.instance).items():
                self.add_error(field, ValidationError(problem))


class ExpiringTaskAdmin(PeriodicTaskAdmin):  # type: ignore[misc]
    form: Any = ExpiringTaskForm


admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, ExpiringTaskAdmin)
