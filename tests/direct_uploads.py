"""The steps by which a browser's script sends a file straight to the bucket. A test may leave some out."""

import urllib3
from django.core.files.storage import default_storage
from django.test import Client

JSON = {"Accept": "application/json"}
ROWS = b"external_id,title\n1,The Silent Sea\n"
LARGE = b"external_id,title\n" + b"".join(b"%07d,A title of some length\n" % row for row in range(300_000))


def open_upload(client: Client, content: bytes = ROWS, name: str = "books.csv", **more):
    """Opens an upload. Returns the site's JSON."""
    answer = client.post("/uploads/open/", {"name": name, "size": len(content), "last_modified": 1} | more)
    assert answer.status_code == 201, answer.content
    return answer.json()


def send_form(form: dict, content: bytes = ROWS, **fields: str) -> int:
    """Sends the form, with changed fields. Returns the storage's status."""
    body = form["fields"] | fields | {"file": ("books.csv", content)}
    return urllib3.request("POST", form["url"], fields=body).status


def send_part(client: Client, parts: dict, number: int, content: bytes = LARGE) -> int:
    """Sends one part of the file. Returns the storage's status."""
    link = client.post(parts["sign"], {"number": number}).json()["url"]
    return urllib3.request("PUT", link, body=content[(number - 1) * parts["size"] : number * parts["size"]]).status


def bucket_contents() -> dict[str, int]:
    """Object name -> size; -1 for an unfinished multipart upload."""
    bucket = {"Bucket": default_storage.bucket_name}
    whole = default_storage.client.list_objects_v2(**bucket).get("Contents", ())
    begun = default_storage.client.list_multipart_uploads(**bucket).get("Uploads", ())
    return {each["Key"]: -1 for each in begun} | {each["Key"]: each["Size"] for each in whole}
