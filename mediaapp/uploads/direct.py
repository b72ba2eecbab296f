"""Files that go straight from a browser to the object storage, and never through a web process.

The site opens such an upload, signs what its owner may send, and closes it: only then is there an Upload and its job.
A small file is one form, a large one comes in parts, which may go on after hours where a connection broke. Everything
here may raise OSError: the storage did not answer, and whatever was asked may be asked again.
"""

import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from mediaapp.models import OpenUpload, Upload, User
from mediaapp.templatetags import words
from mediaapp.uploads import receive
from mediaapp.uploads.filetypes import SAY_EMPTY, UploadRejected

if TYPE_CHECKING:
    from workers.storage.object_storage import ObjectStorage  # large: docs/facts/servers.md#boto3

log = logging.getLogger(__name__)
bucket = cast("ObjectStorage", default_storage)

PART = 8 * 1024**2  # bytes: what a broken connection costs at most. A smaller file has no parts
MOST_PARTS = 1000  # the storage tells of so many at once
MOST_OPEN = 20  # of one owner
KEEP = timedelta(days=1)
CLEAN_UP_SECONDS = 10
INCOMING = "incoming/{}"  # a small file, until it is closed: whoever sent it may still send it again

SAY_TOO_MANY = "You have begun {} uploads and not ended them. Go on with one, or discard one, then try again."
SAY_NOT_THERE = "The file has not arrived whole."


class NotThere(Exception):
    """What is to be closed has not arrived."""


class TooMany(Exception):
    """Its owner has as many open uploads as one may have."""


def refuse_size(size: int) -> None:
    """Raises UploadRejected for a file that no kind may be, before any of it is sent."""
    if size > receive.MAX_BYTES:
        raise UploadRejected(f"The file has {words.size(size)}; we take {words.size(receive.MAX_BYTES)} at most.")
    if size < 1:
        raise UploadRejected(SAY_EMPTY)


def begin(owner: User, name: str, size: int, last_modified: int | None) -> OpenUpload:
    """An upload of `size` bytes; the one that is open already if it is of the same file.

    last_modified: milliseconds, None if not known. Raises TooMany.
    """
    opened = OpenUpload(owner=owner, name=receive.plain_name(name), size=size, last_modified=last_modified)
    if known := _same(opened):
        return known
    if size > PART:
        opened.part_size = max(PART, -(-size // MOST_PARTS))
        opened.parts_id = bucket.begin_parts(stored_name(opened))
    # After the storage has answered: a slow one would keep the owner's other requests, and the log-in, waiting.
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # one at a time, so that their number is known
        if known := _same(opened):
            return known  # begun meanwhile in another window; the night drops these parts
        opened.save(force_insert=True)
        return opened


def _same(opened: OpenUpload) -> OpenUpload | None:
    """The one that is open for the same file. Raises TooMany if there is none and no other one may be."""
    known = opened.owner.open_uploads.filter(opened_at__gt=timezone.now() - KEEP, last_modified__isnull=False)
    same = known.filter(name=opened.name, size=opened.size, last_modified=opened.last_modified).first()
    if same is None and opened.owner.open_uploads.count() >= MOST_OPEN:
        raise TooMany(SAY_TOO_MANY.format(MOST_OPEN))
    return same


def stored_name(opened: OpenUpload) -> str:
    """Where the file will be in the storage, once it is closed."""
    return receive.FILE.format(opened.pk)


def form_for(opened: OpenUpload) -> dict[str, Any]:
    """ "url" and "fields" of the form that sends a small file."""
    return bucket.form_for(INCOMING.format(opened.pk), opened.size)


def length_of(opened: OpenUpload, number: int) -> int:
    """The bytes of a part, counted from 1; 0 or less if there is none of this number."""
    size = opened.part_size or 0
    return min(size, opened.size - size * (number - 1)) if number > 0 else 0


def link_for_part(opened: OpenUpload, number: int) -> str:
    """Where the browser PUTs a part."""
    return bucket.link_for_part(stored_name(opened), opened.parts_id, number, length_of(opened, number))


def arrived(opened: OpenUpload) -> list[dict[str, Any]]:
    """The parts that the storage has. Raises FileNotFoundError if it has joined or dropped them."""
    return bucket.parts(stored_name(opened), opened.parts_id)


def arrived_numbers(opened: OpenUpload) -> list[int]:
    """The numbers of the parts that need not be sent."""
    try:
        return [part["PartNumber"] for part in arrived(opened)]
    except FileNotFoundError:  # joined, by a close that was broken off
        return list(range(1, MOST_PARTS + 1))


def close(owner: User, upload_id: UUID) -> Upload:
    """Looks at what arrived, and starts its job; closed before, the same Upload.

    Raises UploadRejected (the file is gone then), NotThere, or OpenUpload.DoesNotExist if the owner has not opened it.
    """
    try:
        with transaction.atomic():
            opened = OpenUpload.objects.select_for_update().filter(pk=upload_id, owner=owner).first()
            return _start(opened) if opened else Upload.objects.get(pk=upload_id, owner=owner)
    except Upload.DoesNotExist:
        raise OpenUpload.DoesNotExist from None
    except UploadRejected:
        discard(owner, upload_id)
        raise


def _start(opened: OpenUpload) -> Upload:
    try:
        _settle(opened)
        with default_storage.open(stored_name(opened)) as file:
            kind, told = receive.examine(opened.owner, cast(BinaryIO, file), opened.size)
    except FileNotFoundError:
        raise NotThere(SAY_NOT_THERE) from None
    upload = Upload(job_id=opened.pk, owner=opened.owner, kind=kind, name=opened.name, size=opened.size)
    receive.start(upload, told)
    opened.delete()
    if not opened.parts_id:
        transaction.on_commit(lambda: default_storage.delete(INCOMING.format(upload.pk)), robust=True)
    return upload


def _settle(opened: OpenUpload) -> None:
    """Brings the file to where nobody but the site can write; once more does no harm."""
    if not opened.parts_id:
        bucket.copy(INCOMING.format(opened.pk), stored_name(opened))
        return
    with suppress(
        FileNotFoundError
    ):  # a close that was broken off, or a question that was asked twice, has joined them
        parts = arrived(opened)
        if sum(part["Size"] for part in parts) != opened.size:
            raise NotThere(SAY_NOT_THERE)
        bucket.join_parts(stored_name(opened), opened.parts_id, parts)


def discard(owner: User, upload_id: UUID) -> None:
    """Forgets an open upload and what has arrived of it. Raises OpenUpload.DoesNotExist."""
    with transaction.atomic():
        _discard(OpenUpload.objects.select_for_update().get(pk=upload_id, owner=owner))


def _discard(opened: OpenUpload) -> None:
    if opened.parts_id:
        with suppress(FileNotFoundError):
            bucket.drop_parts(stored_name(opened), opened.parts_id)
    else:
        default_storage.delete(INCOMING.format(opened.pk))
    default_storage.delete(stored_name(opened))
    opened.delete()


def discard_abandoned() -> int:
    """Forgets the uploads that were opened a day ago and never closed, as many as it can in 10 s; returns how many."""
    stop, old = time.monotonic() + CLEAN_UP_SECONDS, timezone.now() - KEEP
    abandoned = OpenUpload.objects.filter(opened_at__lt=old).order_by("opened_at")
    count = 0
    while time.monotonic() < stop:
        with transaction.atomic():
            opened = abandoned.select_for_update(skip_locked=True).first()
            if opened is None:
                break
            _discard(opened)
        count += 1
    # What was sent once more after the close, or by an owner who was deleted, has no row.
    for name in bucket.names_before(INCOMING.format(""), old):
        if time.monotonic() > stop:
            break
        default_storage.delete(name)
        count += 1
    return count
