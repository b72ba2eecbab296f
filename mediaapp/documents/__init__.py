"""The Markdown files of docs/ and of the exercises as HTML for the site's pages.

A link to a document that has a page leads to the page; one to another file of the repository becomes its path. HTML in
a document is shown as text, except folded parts, anchors and a few tags without attributes (markdown.py).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from markdown_it.token import Token

from mediaapp.documents import markdown
from mediaapp.documents.addresses import page_of

__all__ = ["Document", "page_of", "read", "render", "title"]
FOLDERS = ("docs", "exercises")


@dataclass(frozen=True)
class Document:
    """sections: id and text of each heading of the second level. html: all but the title."""

    title: str
    sections: tuple[tuple[str, str], ...]
    html: SafeString


def read(path: str, *, for_staff: bool = True) -> Document:
    """path: from the root, as in docs/deploy.md. for_staff: with links to the pages of the staff.

    Raises FileNotFoundError unless it is a Markdown file of docs/ or exercises/.
    """
    file = (settings.BASE_DIR / path).resolve()
    folders = [(settings.BASE_DIR / name).resolve() for name in FOLDERS]
    if file.suffix != ".md" or not any(file.is_relative_to(folder) for folder in folders):
        raise FileNotFoundError(path)
    return _convert(file, for_staff, file.stat().st_mtime_ns)


def render(path: str, *, for_staff: bool = True) -> SafeString:
    """All but the title, which title() returns. Raises FileNotFoundError as read() does."""
    return read(path, for_staff=for_staff).html


def title(path: str) -> str:
    """The text of the first heading. Raises FileNotFoundError as read() does."""
    return read(path).title


@lru_cache(maxsize=256)
def _convert(file: Path, for_staff: bool, _changed_at: int) -> Document:
    parser = markdown.make_parser()
    tokens = parser.parse(file.read_text(encoding="utf-8"))
    heading = ""
    if tokens and tokens[0].tag == "h1":
        heading, tokens = text_of(tokens[1]), tokens[3:]
    markdown.set_attributes(tokens)
    opened = [index for index, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    sections = tuple((str(tokens[index].attrGet("id")), text_of(tokens[index + 1])) for index in opened)
    folder = file.parent.relative_to(settings.BASE_DIR.resolve()).as_posix()
    markdown.resolve_addresses(tokens, folder, for_staff=for_staff)
    html = parser.renderer.render(tokens, parser.options, {"for_staff": for_staff})
    return Document(heading, sections, mark_safe(html))  # noqa: S308 - markdown.py escapes all but its own tags


def text_of(inline: Token) -> str:
    return "".join(each.content for each in inline.children or ())
