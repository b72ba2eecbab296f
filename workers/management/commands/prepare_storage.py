"""Makes the bucket, if it is not there, and sets who may send to it from a browser and what it forgets by itself."""

from typing import cast

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError

from workers.storage.object_reader import answering
from workers.storage.object_storage import ObjectStorage

FORGET_AFTER = 3  # days; the nightly clean-up deletes what was begun a day before


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
        with answering(bucket):
            client.head_bucket(Bucket=bucket)
    except FileNotFoundError:
        # At AWS the first of its regions has no name here.
        place = {} if settings.AWS_REGION == "us-east-1" else {"LocationConstraint": settings.AWS_REGION}
        with answering(bucket):
            client.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {}))
    senders = {"AllowedOrigins": [settings.SITE_URL], "AllowedMethods": ["POST", "PUT"], "AllowedHeaders": ["*"]}
    forgotten = {
        "ID": "broken-off",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": FORGET_AFTER},
    }
    with answering(bucket):
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [senders | {"MaxAgeSeconds": 3600}]})
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [forgotten]})
