"""Models with every class of field that Django has, for the import. The tests that use them create their tables."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F


class EveryField(models.Model):
    """One column of each class."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=10, unique=True)
    data = models.JSONField(default=list, blank=True)
    number = models.JSONField(null=True, blank=True)
    label = models.UUIDField(default=uuid.uuid4, unique=True, blank=True)
    span = models.DurationField(null=True, blank=True)
    hour = models.TimeField(null=True, blank=True)
    moment = models.DateTimeField(null=True, blank=True)
    words = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    ratio = models.FloatField(null=True, blank=True)
    big = models.BigIntegerField(null=True, blank=True)
    url = models.URLField(blank=True)
    mail = models.EmailField(blank=True)
    level = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True, choices=[(1, "1"), (1250, "2")])
    served = models.IntegerField(db_default=7, blank=True)
    twice = models.GeneratedField(expression=F("served") * 2, output_field=models.IntegerField(), db_persist=True)
    blob = models.BinaryField(null=True, blank=True, editable=True)
    document = models.FileField(blank=True)

    class Meta:
        app_label = "tests"

    def __str__(self) -> str:
        return self.code


class UnimportablePart(models.Model):
    """Needs what no file can set."""

    code = models.CharField(max_length=10, unique=True)
    kind = models.ForeignKey(EveryField, models.CASCADE)
    blob = models.BinaryField()

    class Meta:
        app_label = "tests"

    def __str__(self) -> str:
        return self.code
