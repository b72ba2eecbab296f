"""Uploads that go straight from a browser to the bucket.

Each function may raise OSError if the storage does not answer; all of them can be repeated.
"""

import logging
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from mediaapp.models import OpenUpload, Upload, User
from mediaapp.uploads import receive
from mediaapp.uploads.filetypes import EMPTY_MESSAGE, UploadRejected
from mediaapp.uploads.quota import check_quota
from workers.byte_format import format_bytes

if TYPE_CHECKING:
    from workers.storage.object_storage import ObjectStorage  # large: docs/facts/servers.md#boto3

log = logging.getLogger(__name__)
bucket = cast("ObjectStorage", default_storage)

PART_BYTES = 8 * 1024**2  # a lost connection costs one part at most; a smaller file has no parts
MAX_PARTS = 1000  # the storage lists so many at once
MAX_OPEN_UPLOADS = 20  # per owner
OPEN_UPLOAD_TTL = timedelta(days=1)
CLEAN_UP_CHUNK = 20
INCOMING_NAME = "incoming/{}"  # of a small file until the close, because its form can still overwrite it

TOO_MANY_OPEN_MESSAGE = "You have begun {} uploads and not ended them. Go on with one, or discard one, then try again."
NOT_ARRIVED_MESSAGE = "The file has not arrived whole."


class FileNotArrivedError(Exception):
    """The file has not arrived, or not all of it."""


class TooManyOpenUploadsError(Exception):
    """The owner has MAX_OPEN_UPLOADS already."""


def check_size(size: int) -> None:
    """Raises UploadRejected."""
    if size > receive.MAX_BYTES:
        raise UploadRejected(f"The file has {format_bytes(size)}; we take {format_bytes(receive.MAX_BYTES)} at most.")
    if size < 1:
        raise UploadRejected(EMPTY_MESSAGE)


def open_upload(owner: User, name: str, size: int, last_modified: int | None) -> OpenUpload:
    """Returns the owner's existing open upload of the same file, if any.

    Raises TooManyOpenUploadsError, UploadRejected as check_quota() does.

    size: bytes. last_modified: milliseconds, None if unknown.
    """
    opened = OpenUpload(owner=owner, name=receive.clean_file_name(name), size=size, last_modified=last_modified)
    if known := _find_open(opened):
        return known
    check_quota(owner, size)
    if size > PART_BYTES:
        opened.part_size = max(PART_BYTES, -(-size // MAX_PARTS))
        opened.parts_id = bucket.begin_multipart(source_name(opened))
    # The lock makes the limit exact. It is taken after the storage has answered: with a slow storage it would block
    # the owner's other requests.
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        if known := _find_open(opened):
            return known  # another window opened it meanwhile; the clean-up drops this multipart upload
        opened.save(force_insert=True)
        return opened


def _find_open(opened: OpenUpload) -> OpenUpload | None:
    oldest = timezone.now() - OPEN_UPLOAD_TTL
    known = opened.owner.open_uploads.filter(opened_at__gt=oldest, last_modified__isnull=False)
    same = known.filter(name=opened.name, size=opened.size, last_modified=opened.last_modified).first()
    if same is None and opened.owner.open_uploads.count() >= MAX_OPEN_UPLOADS:
        raise TooManyOpenUploadsError(TOO_MANY_OPEN_MESSAGE.format(MAX_OPEN_UPLOADS))
    return same


def source_name(opened: OpenUpload) -> str:
    return receive.SOURCE_NAME.format(opened.pk)


def build_form(opened: OpenUpload) -> dict[str, Any]:
    """The presigned form for a small file."""
    return bucket.presign_form(INCOMING_NAME.format(opened.pk), opened.size)


def part_length(opened: OpenUpload, number: int) -> int:
    """In bytes; 0 or less if part `number`, which counts from 1, does not exist."""
    size = opened.part_size or 0
    return min(size, opened.size - size * (number - 1)) if number > 0 else 0


def sign_part(opened: OpenUpload, number: int) -> str:
    """The URL to which the browser PUTs the part."""
    return bucket.presign_part(source_name(opened), opened.parts_id, number, part_length(opened, number))


def list_parts(opened: OpenUpload) -> list[dict[str, Any]]:
    """Raises FileNotFoundError if the storage has joined or dropped the parts."""
    return bucket.list_parts(source_name(opened), opened.parts_id)


def list_part_numbers(opened: OpenUpload) -> list[int]:
    try:
        return [part["PartNumber"] for part in list_parts(opened)]
    except FileNotFoundError:  # an interrupted close has joined them
        return list(range(1, MAX_PARTS + 1))


def close_upload(owner: User, upload_id: UUID) -> Upload:
    """A second close returns the same Upload.

    Raises FileNotArrivedError; UploadRejected after it deleted the file; OpenUpload.DoesNotExist.
    """
    try:
        with transaction.atomic():
            opened = OpenUpload.objects.select_for_update().filter(pk=upload_id, owner=owner).first()
            return _create_upload(opened) if opened else Upload.objects.get(pk=upload_id, owner=owner)
    except Upload.DoesNotExist:
        raise OpenUpload.DoesNotExist from None
    except UploadRejected:
        discard_upload(owner, upload_id)
        raise


def _create_upload(opened: OpenUpload) -> Upload:
    try:
        _move_into_place(opened)
        with default_storage.open(source_name(opened)) as file:
            kind, import_arguments = receive.inspect_file(opened.owner, cast(BinaryIO, file), opened.size)
    except FileNotFoundError:
        raise FileNotArrivedError(NOT_ARRIVED_MESSAGE) from None
    upload = Upload(job_id=opened.pk, owner=opened.owner, kind=kind, name=opened.name, size=opened.size)
    receive.create_upload(upload, import_arguments)
    opened.delete()
    if not opened.parts_id:
        transaction.on_commit(lambda: default_storage.delete(INCOMING_NAME.format(upload.pk)), robust=True)
    return upload


def _move_into_place(opened: OpenUpload) -> None:
    """Copies or joins the file to a name that no presigned request can write. Safe to repeat."""
    if not opened.parts_id:
        bucket.copy(INCOMING_NAME.format(opened.pk), source_name(opened))
        return
    with suppress(FileNotFoundError):  # an interrupted close, or a repeated request, has joined the parts
        parts = list_parts(opened)
        if sum(part["Size"] for part in parts) != opened.size:
            raise FileNotArrivedError(NOT_ARRIVED_MESSAGE)
        bucket.complete_multipart(source_name(opened), opened.parts_id, parts)


def discard_upload(owner: User, upload_id: UUID) -> None:
    """Raises OpenUpload.DoesNotExist."""
    with transaction.atomic():
        _discard(OpenUpload.objects.select_for_update().get(pk=upload_id, owner=owner))


def _discard(opened: OpenUpload) -> None:
    if opened.parts_id:
        with suppress(FileNotFoundError):
            bucket.abort_multipart(source_name(opened), opened.parts_id)
    else:
        default_storage.delete(INCOMING_NAME.format(opened.pk))
    default_storage.delete(source_name(opened))
    opened.delete()


def discard_abandoned_uploads() -> int:
    """One upload, or some files without one. Returns how many (docs/retention.md)."""
    oldest = timezone.now() - OPEN_UPLOAD_TTL
    abandoned = OpenUpload.objects.filter(opened_at__lt=oldest).order_by("opened_at")
    with transaction.atomic():
        if opened := abandoned.select_for_update(skip_locked=True).first():
            _discard(opened)
            return 1
    # A file that was sent again after the close, or whose owner was deleted, has no row.
    names = list(islice(bucket.list_names_before(INCOMING_NAME.format(""), oldest), CLEAN_UP_CHUNK))
    for name in names:
        default_storage.delete(name)
    return len(names)
