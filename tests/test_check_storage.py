"""The system checks find incomplete settings of the storage."""

import pytest

from workers.storage import checks

WHOLE = {
    "S3_BUCKET": "files",
    "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "S3_PUBLIC_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.mark.parametrize(
    ("changed", "ids"),
    [
        ({}, []),
        ({"AWS_SECRET_ACCESS_KEY": ""}, ["storage.E001"]),
        ({"S3_BUCKET": ""}, ["storage.E002"]),
        ({"S3_BUCKET": "", "S3_ENDPOINT_URL": ""}, []),
        ({"HTTPS": True}, ["storage.W001"]),
        ({"HTTPS": True, "S3_PUBLIC_URL": "https://files.example.com"}, []),
        ({"SCRATCH_BYTES": 3_999_999_999}, ["storage.W002"]),
        ({"SCRATCH_BYTES": 3_999_999_999, "S3_BUCKET": "", "S3_ENDPOINT_URL": ""}, []),
    ],
)
def test_incomplete_settings_are_found(settings, changed, ids):
    for name, value in (WHOLE | changed).items():
        setattr(settings, name, value)
    assert [message.id for message in checks.check()] == ids
