"""System checks of the object storage's settings."""

from typing import Any

from django.conf import settings
from django.core import checks

REQUIRED_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
NO_BUCKET = "S3_ENDPOINT_URL is set, but no S3_BUCKET: nothing is stored there."
NO_KEYS = "S3_BUCKET is set without the keys to it."
SCRATCH_TOO_SMALL = "SCRATCH_BYTES has no room for the largest upload and what is made of it."
STORAGE_WITHOUT_TLS = "The site has TLS and its storage has none: browsers refuse to mix them."


def check(**_: Any) -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    if not settings.S3_BUCKET:
        if settings.S3_ENDPOINT_URL:
            hint = "Set S3_BUCKET, or unset S3_ENDPOINT_URL to keep files on this machine's disk."
            messages.append(checks.Error(NO_BUCKET, hint, id="storage.E002"))
        return messages
    if missing := [name for name in REQUIRED_KEYS if not getattr(settings, name)]:
        hint = f"Set {' and '.join(missing)}: a key that may read, write, list and delete in the bucket."
        messages.append(checks.Error(NO_KEYS, hint, id="storage.E001"))
    if settings.HTTPS and not settings.S3_PUBLIC_URL.startswith("https://"):
        hint = "Give the storage an https address for browsers, in S3_PUBLIC_URL."
        messages.append(checks.Warning(STORAGE_WITHOUT_TLS, hint, id="storage.W001"))
    needed_bytes = 2 * max(settings.MAX_VIDEO_BYTES, settings.MAX_CSV_BYTES)
    if needed_bytes > settings.SCRATCH_BYTES:
        hint = "Give workers twice the room of MAX_VIDEO_BYTES and MAX_CSV_BYTES, or lower these."
        messages.append(checks.Warning(SCRATCH_TOO_SMALL, hint, id="storage.W002"))
    return messages
