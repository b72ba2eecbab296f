"""Makes the bucket, if it is not there, and sets who may send to it from a browser and what it forgets by itself."""

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from workers.object_storage import is_not_found, the_bucket

FORGET_AFTER = 2  # days; the site itself deletes after one what was begun and never ended


class Command(BaseCommand):
    help = "Prepare the bucket of the object storage (S3_BUCKET). Run it once, and after SITE_URL has changed."

    def handle(self, **_: object) -> None:
        if not settings.S3_BUCKET:
            raise CommandError("S3_BUCKET is not set: files are on this machine's disk, and nothing is to prepare.")
        try:
            prepare()
        except (BotoCoreError, ClientError) as error:
            raise CommandError(f"The storage did not do it: {error}") from error
        self.stdout.write(f"{settings.S3_BUCKET} is ready: browsers on {settings.SITE_URL} may send files to it.")


def prepare() -> None:
    """Raises BotoCoreError or ClientError."""
    client, bucket = the_bucket().client, settings.S3_BUCKET
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if not is_not_found(error):
            raise
        # At AWS the first of its regions has no name here.
        place = {} if settings.AWS_REGION == "us-east-1" else {"LocationConstraint": settings.AWS_REGION}
        client.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {}))
    senders = {"AllowedOrigins": [settings.SITE_URL], "AllowedMethods": ["POST", "PUT"], "AllowedHeaders": ["*"]}
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [senders | {"MaxAgeSeconds": 3600}]})
    broken_off = {
        "ID": "broken-off",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": FORGET_AFTER},
    }
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [broken_off]})
