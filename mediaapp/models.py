"""What users own. The rows of an owner are deleted with the account."""

import json
import logging
import uuid
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.files.storage import default_storage
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F
from django.db.models.functions import Upper
from django.db.models.signals import post_delete
from django.dispatch import receiver

from workers import jobs
from workers.models import Job
from workers.reports.run import FOLDER, SUMMARY

log = logging.getLogger(__name__)


class User(AbstractUser):
    """Email addresses are unique regardless of case.

    The index is on Upper, because Django's iexact compares UPPER(email).
    """

    email = models.EmailField("email address")

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                Upper("email"),
                name="one_account_per_address",
                violation_error_message="There is an account with this address already. Log in, or reset its password.",
            )
        ]
        indexes: ClassVar = [
            GinIndex(OpClass(Upper("username"), "gin_trgm_ops"), name="user_name_text"),
            GinIndex(OpClass(Upper("email"), "gin_trgm_ops"), name="user_email_text"),
        ]


class Upload(models.Model):
    """An uploaded file and its job, which share one id."""

    class Kind(models.TextChoices):
        VIDEO = "video"
        CSV = "csv"

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="upload")
    owner = models.ForeignKey(User, models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    name = models.CharField(max_length=255, help_text="As its owner calls it; never a path.")
    file = models.CharField(max_length=255, help_text="Its name in default_storage.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    created_at = models.DateTimeField(auto_now_add=True)
    source_deleted_at = models.DateTimeField(
        null=True, editable=False, help_text="The file as it was sent, and the rejected rows, are gone (retention.py)."
    )

    class Meta:
        indexes: ClassVar = [
            models.Index(F("owner"), F("created_at").desc(), name="upload_of_owner"),
            models.Index(F("created_at"), name="upload_with_source", condition=models.Q(source_deleted_at=None)),
            GinIndex(OpClass(Upper("name"), "gin_trgm_ops"), name="upload_name_text"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_source(self) -> bool:
        """Whether its job can run again."""
        return self.source_deleted_at is None

    @property
    def source_kept_until(self) -> datetime | None:
        """None while its job has not ended."""
        ended = self.job.finished_at
        return ended + timedelta(days=settings.KEEP_SOURCES_DAYS) if ended else None

    @property
    def folder(self) -> str:
        """Contains this upload's files only, because it is deleted with the row."""
        return str(PurePath(self.file).parent)

    def storage_name(self, name: str) -> str:
        return f"{self.folder}/{name}"


class OpenUpload(models.Model):
    """A file that a browser is sending straight to the bucket. Its later Upload has the same id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="open_uploads")
    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="Bytes, as the browser says; the storage takes no others.")
    last_modified = models.BigIntegerField(null=True, help_text="Of the file, as the browser says: milliseconds.")
    parts_id = models.TextField(blank=True, help_text="The storage's, for what comes in parts.")
    part_size = models.PositiveBigIntegerField(null=True, help_text="Bytes; the last one may be smaller.")
    opened_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(F("opened_at"), name="open_upload_opened")]

    def __str__(self) -> str:
        return self.name


class Report(models.Model):
    """Figures on a whole catalogue or on one CSV file."""

    kind = "report"

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="report")
    owner = models.ForeignKey(User, models.CASCADE, related_name="reports")
    upload = models.ForeignKey(Upload, models.CASCADE, null=True, related_name="reports", help_text="None: all rows.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(F("owner"), F("created_at").desc(), name="report_of_owner")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return f"Report on {self.upload.name if self.upload else 'your catalogue'}"

    @property
    def folder(self) -> str:
        return FOLDER.format(self.pk)

    def storage_name(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def summary(self) -> dict[str, Any] | None:
        """None: there is no file. {}: the storage is away."""
        try:
            with default_storage.open(self.storage_name(SUMMARY)) as file:
                return dict(json.load(file))
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("report_read_failed report=%s error=%r", self.pk, error)
            return {}


@receiver(post_delete, sender=Upload)
@receiver(post_delete, sender=Report)
def delete_files(instance: Upload | Report, **_: Any) -> None:
    """A job deletes the folder, because the storage may be away now."""
    folder = {"folder": instance.folder}
    jobs.create("workers.highmem.tasks.delete_files", owner_id=None, arguments=folder, publish_now=False)


class CatalogueItem(models.Model):
    """An import inserts or updates by (owner, external_id)."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="catalogue")
    external_id = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    creator = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=80, blank=True)
    released_on = models.DateField(null=True, blank=True)
    price = models.DecimalField(
        max_digits=10, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    stock = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "external_id"], name="one_item_per_owner_and_id"),
        ]

    def __str__(self) -> str:
        return self.title


class ColumnMapping(models.Model):
    """The mapping of columns to fields that an owner confirmed."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="column_mappings")
    columns_digest = models.CharField(max_length=64, help_text="Of the names of all columns, in any order.")
    columns = models.JSONField(help_text="Field name -> name of its column.")
    decimal = models.CharField(max_length=1, help_text="Where a file does not tell its decimal mark.")
    dates = models.CharField(max_length=3, help_text="Where a file does not tell the order of its dates.")
    confirmed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "columns_digest"], name="one_mapping_per_owner_and_columns"),
        ]

    def __str__(self) -> str:
        return f"{len(self.columns)} columns of {self.owner}"


class ActionEntry(models.Model):
    """What somebody of the staff did. A trigger of the database refuses to change a row, and to delete a young one."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150, help_text="The name of an account, which may be gone.")
    action = models.CharField(max_length=40, help_text="A verb and its object, such as pause_queue.")
    target = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    request_id = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "action entries"
        indexes: ClassVar = [
            models.Index(F("at").desc(), name="action_newest"),
            # The filters of the log's page: 200 ms for a name that is not there, of a million entries.
            models.Index(F("actor"), F("id").desc(), name="action_of_actor"),
            models.Index(F("action"), F("id").desc(), name="action_of_kind"),
            models.Index(F("target"), F("id").desc(), name="action_of_target"),  # for the page of a job
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
