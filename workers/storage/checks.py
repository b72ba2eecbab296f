"""Are the settings of the object storage whole? Without them files are on this machine's own disk."""

from typing import Any

from django.conf import settings
from django.core import checks

NEEDED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SAY_NO_BUCKET = "S3_ENDPOINT_URL is set, but no S3_BUCKET: nothing is stored there."
SAY_NO_KEYS = "S3_BUCKET is set without the keys to it."
SAY_SMALL = "SCRATCH_BYTES has no room for the largest upload and what is made of it."
SAY_MIXED = "The site has TLS and its storage has none: browsers refuse to mix them."


def check(**_: Any) -> list[checks.CheckMessage]:
    """E001: a bucket without its keys. E002: a server without a bucket. W001: links that browsers will not follow.

    W002: files that the site takes and no worker has room for.
    """
    found: list[checks.CheckMessage] = []
    if not settings.S3_BUCKET:
        if settings.S3_ENDPOINT_URL:
            hint = "Set S3_BUCKET, or unset S3_ENDPOINT_URL to keep files on this machine's disk."
            found.append(checks.Error(SAY_NO_BUCKET, hint, id="storage.E002"))
        return found
    if missing := [name for name in NEEDED if not getattr(settings, name)]:
        hint = f"Set {' and '.join(missing)}: a key that may read, write, list and delete in the bucket."
        found.append(checks.Error(SAY_NO_KEYS, hint, id="storage.E001"))
    if settings.HTTPS and not settings.S3_PUBLIC_URL.startswith("https://"):
        hint = "Give the storage an https address for browsers, in S3_PUBLIC_URL."
        found.append(checks.Warning(SAY_MIXED, hint, id="storage.W001"))
    needed = 2 * max(settings.MAX_VIDEO_BYTES, settings.MAX_CSV_BYTES)
    if needed > settings.SCRATCH_BYTES:
        hint = "Give workers twice the room of MAX_VIDEO_BYTES and MAX_CSV_BYTES, or lower these."
        found.append(checks.Warning(SAY_SMALL, hint, id="storage.W002"))
    return found
