"""The bytes that an owner's files may have together (settings.MAX_BYTES_PER_OWNER)."""

from django.conf import settings
from django.db.models import BigIntegerField, F, Sum
from django.db.models.functions import Cast

from mediaapp.models import OpenUpload, Upload, User
from mediaapp.uploads.filetypes import UploadRejected
from workers.byte_format import format_bytes

FULL_MESSAGE = (
    "The file has {size}, and {free} of your {limit} is free. Nothing of it is kept, and your other files are as they"
    " were. Choose a smaller file, or ask us for more room. Room comes back on the days that your files' pages name."
)


def check_quota(owner: User, size: int) -> None:
    """Raises UploadRejected. Files that a browser is sending count. Uploads at the same moment may exceed the limit."""
    free = max(0, settings.MAX_BYTES_PER_OWNER - used_bytes(owner))
    if size > free:
        limit = format_bytes(settings.MAX_BYTES_PER_OWNER)
        raise UploadRejected(FULL_MESSAGE.format(size=format_bytes(size), free=format_bytes(free), limit=limit))


def used_bytes(owner: User) -> int:
    """What is stored and what a browser is sending: files as they were sent, until they go, and finished videos."""
    uploads = Upload.objects.filter(owner=owner)
    made = Cast(F("job__result__after__bytes"), BigIntegerField())
    return sum(
        rows.aggregate(bytes=Sum(size))["bytes"] or 0
        for rows, size in (
            (uploads.filter(source_deleted_at=None), "size"),
            (uploads.filter(kind=Upload.Kind.VIDEO), made),
            (OpenUpload.objects.filter(owner=owner), "size"),
        )
    )
