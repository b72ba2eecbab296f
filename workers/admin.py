"""Checks recurring entries of the admin against practice 5."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django_celery_beat.admin import PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.models import PeriodicTask

from workers.schedule import find_problems


class ExpiringTaskForm(PeriodicTaskForm):  # type: ignore[misc]
    def _post_clean(self) -> None:
        super()._post_clean()
        if not self.errors:
            for field, problem in find_problems(self.instance).items():
                self.add_error(field, ValidationError(problem))


class ExpiringTaskAdmin(PeriodicTaskAdmin):  # type: ignore[misc]
    form: Any = ExpiringTaskForm


admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, ExpiringTaskAdmin)
