"""A file of this machine into the bucket, a part at a time: readers see all of it or nothing.

boto3's own upload works in threads, where a report can neither use its connection to the database nor end the work.
What a killed process leaves are parts that no reader sees; the clean-up of abandoned uploads removes them.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.storage import default_storage

PART = 8 * 1024**2  # bytes; S3 takes 10,000 parts of at least 5 MiB


def store(path: Path, name: str, tell: Callable[[int], None]) -> None:
    """Writes the file under its name into default_storage, an ObjectStorage; over one that is there.

    tell(bytes so far): called before every part; what it raises ends the transfer. Raises OSError where the storage
    does not do what it is asked.
    """
    storage: Any = default_storage
    key = {"Bucket": storage.bucket_name, "Key": name}
    try:
        with path.open("rb") as file:
            if path.stat().st_size <= PART:
                tell(0)
                storage.client.put_object(**key, Body=file)
            else:
                _store_in_parts(storage.client, key, file, tell)
    except (BotoCoreError, ClientError) as error:
        raise OSError(f"The storage did not take {name}: {error}") from error


def _store_in_parts(client: Any, key: dict[str, str], file: IO[bytes], tell: Callable[[int], None]) -> None:
    upload = key | {"UploadId": client.create_multipart_upload(**key)["UploadId"]}
    try:
        parts = list(_send(client, upload, file, tell))
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    except BaseException:
        with suppress(BotoCoreError, ClientError):
            client.abort_multipart_upload(**upload)
        raise


def _send(
    client: Any, upload: dict[str, str], file: IO[bytes], tell: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    number = 0
    while part := file.read(PART):
        tell(number * PART)
        number += 1
        sent = client.upload_part(**upload, PartNumber=number, Body=part)
        yield {"PartNumber": number, "ETag": sent["ETag"]}
