"""What a browser's script does to send a file straight to the bucket, in steps that a test can leave out."""

import urllib3
from django.core.files.storage import default_storage
from django.test import Client

JSON = {"Accept": "application/json"}
ROWS = b"external_id,title\n1,The Silent Sea\n"
LARGE = b"external_id,title\n" + b"".join(b"%07d,A title of some length\n" % row for row in range(300_000))


def opened(client: Client, content: bytes = ROWS, name: str = "books.csv", **more):
    """The site's answer to a file that is to be sent."""
    answer = client.post("/uploads/open/", {"name": name, "size": len(content), "last_modified": 1} | more)
    assert answer.status_code == 201, answer.content
    return answer.json()


def send_form(form: dict, content: bytes = ROWS, **fields: str) -> int:
    """The storage's status for the form, with other fields than the site said."""
    body = form["fields"] | fields | {"file": ("books.csv", content)}
    return urllib3.request("POST", form["url"], fields=body).status


def send_part(client: Client, parts: dict, number: int, content: bytes = LARGE) -> int:
    """The storage's status for one part of the file."""
    link = client.post(parts["sign"], {"number": number}).json()["url"]
    return urllib3.request("PUT", link, body=content[(number - 1) * parts["size"] : number * parts["size"]]).status


def in_bucket() -> dict[str, int]:
    """Every object with its size, and -1 for every file of which only parts are there."""
    bucket = {"Bucket": default_storage.bucket_name}
    whole = default_storage.client.list_objects_v2(**bucket).get("Contents", ())
    begun = default_storage.client.list_multipart_uploads(**bucket).get("Uploads", ())
    return {each["Key"]: -1 for each in begun} | {each["Key"]: each["Size"] for each in whole}
