"""A file of this machine into the bucket, a part at a time: readers see all of it or nothing.

boto3's own upload works in threads, where a report can neither use its connection to the database nor end the work.
What a killed process leaves are parts that no reader sees, and the bucket forgets them after days.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from django.core.files import File
from django.core.files.storage import default_storage

if TYPE_CHECKING:
    from workers.storage.object_storage import ObjectStorage  # boto3, for nothing where there is no bucket

PART = 8 * 1024**2  # bytes; S3 takes 10,000 parts of at least 5 MiB
bucket = cast("ObjectStorage", default_storage)


def store(path: Path, name: str, tell: Callable[[int], None]) -> None:
    """Writes the file under its name into default_storage, where that is a bucket; over one that is there.

    tell(bytes so far): called before every part; what it raises ends it. Raises OSError: the storage did not take it.
    """
    with path.open("rb") as file:
        if path.stat().st_size <= PART:
            tell(0)
            bucket.save(name, File(file))
            return
        parts_id = bucket.begin_parts(name)
        try:
            bucket.join_parts(name, parts_id, list(_send(file, name, parts_id, tell)))
        except BaseException:
            with suppress(OSError):
                bucket.drop_parts(name, parts_id)
            raise


def _send(file: IO[bytes], name: str, parts_id: str, tell: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    number = 0
    while part := file.read(PART):
        tell(number * PART)
        number += 1
        yield bucket.send_part(name, parts_id, number, part)
