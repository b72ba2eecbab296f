"""Files in a bucket, on a real S3 server."""

from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from workers.storage import object_reader, object_storage

CONTENT = bytes(range(256)) * 4000  # a megabyte

pytestmark = pytest.mark.usefixtures("bucket")


@pytest.fixture
def requested_ranges(monkeypatch) -> list[str]:
    """The byte ranges of GET requests, in order."""
    ranges: list[str] = []
    client = default_storage.client
    client.meta.events.register(
        "provide-client-params.s3.GetObject", lambda params, **_: ranges.append(params["Range"])
    )
    return ranges


def store(content: bytes = CONTENT, name: str = "uploads/some/source") -> str:
    return default_storage.save(name, ContentFile(content))


def test_head_and_end_of_a_file_are_read_without_the_middle(requested_ranges):
    with default_storage.open(store()) as file:
        assert (file.size, file.read(1000)) == (len(CONTENT), CONTENT[:1000])
        file.seek(-100, 2)
        assert (file.read(), file.read()) == (CONTENT[-100:], b"")
        file.seek(0)
        assert file.read(10) == CONTENT[:10]
    first = object_reader.FIRST_RANGE_BYTES
    assert requested_ranges == [
        f"bytes=0-{first - 1}",
        f"bytes={len(CONTENT) - 100}-{len(CONTENT) - 1}",
        f"bytes=0-{first - 1}",
    ]


def test_a_whole_file_is_read_in_growing_ranges(requested_ranges):
    with default_storage.open(store()) as file:
        assert file.read() == CONTENT
    assert len(requested_ranges) == 5  # 64, 128, 256 and 512 kB, and the rest


def test_its_lines_are_read_one_by_one():
    with default_storage.open(store(b"one\ntwo\n")) as file:
        assert list(file) == [b"one\n", b"two\n"]


def test_an_empty_file_is_empty():
    with default_storage.open(store(b"")) as file:
        assert (file.size, file.read()) == (0, b"")


def test_a_missing_file_is_a_file_not_found_error():
    with pytest.raises(FileNotFoundError):
        default_storage.open("uploads/none")


def test_a_file_that_is_replaced_while_it_is_read_is_an_error():
    with default_storage.open(store()) as file:
        file.read(10)
        store(b"x" * len(CONTENT))
        with pytest.raises(OSError, match="did not answer"):
            file.read()


def test_a_storage_that_is_away_is_an_os_error(settings):
    name = store()
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    settings.STORAGES = dict(settings.STORAGES)
    with pytest.raises(OSError, match="did not answer"):
        default_storage.open(name)


def test_only_the_exact_presigned_url_reads_a_file_and_it_expires(settings):
    link = default_storage.url(store(b"secret"), parameters={"ResponseContentDisposition": "attachment"})
    with urlopen(link) as answer:
        assert (answer.read(), answer.headers["Content-Disposition"]) == (b"secret", "attachment")
    assert f"X-Amz-Expires={object_storage.LINK_SECONDS}" in link
    bare = urlsplit(link)._replace(query="").geturl()
    for refused in (bare, link.replace("source", "other"), link[:-1] + ("0" if link[-1] != "0" else "1")):
        with pytest.raises(HTTPError) as error, urlopen(refused):
            pass
        assert error.value.code == 403
    settings.S3_PUBLIC_URL = "https://files.example.com"
    settings.STORAGES = dict(settings.STORAGES)
    assert default_storage.url("some/name").startswith(f"https://files.example.com/{settings.S3_BUCKET}/some/name?")


def test_preparing_a_bucket_twice_keeps_its_files(capsys):
    name = store(b"kept")
    call_command("prepare_storage")
    assert "is ready" in capsys.readouterr().out
    assert default_storage.open(name).read() == b"kept"
    client, bucket = default_storage.client, default_storage.bucket_name
    assert client.get_bucket_cors(Bucket=bucket)["CORSRules"][0]["AllowedOrigins"] == ["http://testserver"]
    rule = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}


def test_without_a_bucket_there_is_nothing_to_prepare(settings):
    settings.S3_BUCKET = ""
    with pytest.raises(CommandError, match="S3_BUCKET is not set"):
        call_command("prepare_storage")
