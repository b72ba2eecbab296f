"""`manage.py prepare_storage`: creates the bucket, with its CORS and lifecycle rules."""

from typing import cast

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError

from workers.storage.object_reader import as_os_errors
from workers.storage.object_storage import ObjectStorage

ABORT_AFTER_DAYS = 3  # of multipart uploads. delete_old aborts them after a day, while the site runs.


class Command(BaseCommand):
    help = "Prepare the bucket of the object storage (S3_BUCKET). Run it once, and after SITE_URL has changed."

    def handle(self, **_: object) -> None:
        if not settings.S3_BUCKET:
            raise CommandError("S3_BUCKET is not set: files are on this machine's disk, and nothing is to prepare.")
        try:
            prepare()
        except OSError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{settings.S3_BUCKET} is ready: browsers on {settings.SITE_URL} may send files to it.")


def prepare() -> None:
    """Raises OSError."""
    client, bucket = cast(ObjectStorage, default_storage).client, settings.S3_BUCKET
    try:
        with as_os_errors(bucket):
            client.head_bucket(Bucket=bucket)
    except FileNotFoundError:
        # AWS refuses us-east-1 as a LocationConstraint.
        region = {} if settings.AWS_REGION == "us-east-1" else {"LocationConstraint": settings.AWS_REGION}
        with as_os_errors(bucket):
            client.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": region} if region else {}))
    cors = {"AllowedOrigins": [settings.SITE_URL], "AllowedMethods": ["POST", "PUT"], "AllowedHeaders": ["*"]}
    lifecycle = {
        "ID": "broken-off",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_AFTER_DAYS},
    }
    with as_os_errors(bucket):
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors | {"MaxAgeSeconds": 3600}]})
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [lifecycle]})
