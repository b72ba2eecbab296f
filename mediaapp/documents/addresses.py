"""Which page of the site shows which file of the repository."""

import re
from pathlib import PurePosixPath

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.urls import Resolver404, resolve, reverse

from workers.practices import registry

DOCS = "docs"
RUNBOOKS = f"{DOCS}/runbooks"
INDEX = f"{DOCS}/README.md"
RESULT = re.compile(r"docs/results/([1-9])(-rabbitmq)?\.json")
TASK = re.compile(r"exercises/([1-9])/(find|build)/task\.md")
LIFE_OF_A_MESSAGE = f"{DOCS}/0-life-of-a-message.md"


def chapters() -> dict[int, str]:
    """The path of each, by its number. Chapter 0 comes before the practices."""
    return {0: LIFE_OF_A_MESSAGE} | {practice.number: practice.chapter for practice in registry.PRACTICES}


def page_of(path: str) -> str | None:
    """The address of the page that shows a document, a task or a result of a lab; None if there is none.

    path: from the root.
    """
    if path == f"{RUNBOOKS}/README.md":
        return reverse("runbooks")
    if path.startswith(f"{RUNBOOKS}/"):
        return reverse("runbook", args=[PurePosixPath(path).stem])
    if result := RESULT.fullmatch(path):
        return f"{reverse('practice', args=[int(result[1])])}#lab"
    if task := TASK.fullmatch(path):
        return reverse("exercise", args=[int(task[1]), task[2]])
    numbers = {chapter: number for number, chapter in chapters().items()}
    if path in numbers:
        return reverse("practice", args=[numbers[path]])
    if not (path.startswith("docs/") and path.endswith(".md") and _is_file(path)):
        return None
    name = path.removeprefix("docs/").removesuffix(".md")
    return reverse("docs") if path == INDEX else reverse("document", args=[name])


def picture_of(path: str) -> str | None:
    """The address of a picture of docs/, which is a static file; None if there is none."""
    if not (path.startswith("docs/") and _is_file(path)):
        return None
    try:
        return staticfiles_storage.url(path)
    except ValueError:  # it came after the last collectstatic
        return None


def _is_file(path: str) -> bool:
    try:
        return (settings.BASE_DIR / path).is_file()
    except (OSError, ValueError):  # a name that is too long, a null byte
        return False


def is_page(address: str, *, for_staff: bool) -> bool:
    try:
        resolve(re.split("[?#]", address)[0])
    except Resolver404:
        return False
    return "<" not in address and (for_staff or not is_for_staff(address))


def is_for_staff(address: str) -> bool:
    return address.startswith(reverse("operations"))
