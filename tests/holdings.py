"""A second table to import into, with nothing of the catalogue's: its model is all that tells the engine."""

import uuid

from django.db import models
from django.db.models import Q


class Holding(models.Model):
    """What a branch of a library has on its shelves, by (branch, number). No migration: its tests make the table."""

    class Language(models.TextChoices):
        ENGLISH = "en"
        GERMAN = "de"

    barcode = models.CharField(max_length=20, null=True, blank=True)  # noqa: DJ001 - NULL where there is none
    branch = models.CharField(max_length=10)
    number = models.IntegerField()
    language = models.CharField(max_length=2, choices=Language.choices, default=Language.ENGLISH)
    weight = models.FloatField(null=True, blank=True)
    bought_at = models.DateTimeField(null=True, blank=True)
    is_lent = models.BooleanField(default=False)
    copies = models.PositiveSmallIntegerField(default=1)
    tags = models.JSONField(default=list, blank=True)
    note = models.TextField(blank=True)
    label = models.UUIDField(default=uuid.uuid4, unique=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "tests"
        constraints = (
            models.UniqueConstraint(fields=["barcode"], name="one_holding_per_barcode"),
            models.UniqueConstraint(fields=["branch", "number"], name="one_holding_per_number"),
            models.CheckConstraint(
                condition=Q(is_lent=False) | Q(copies__gt=0),
                name="lent_is_there",
                violation_error_message="What is lent must be there.",
            ),
            models.CheckConstraint(condition=~Q(note="forbidden"), name="note_allowed"),
        )

    def __str__(self) -> str:
        return f"{self.branch} {self.number}"
