"""The Markdown files of docs/ and of the exercises as HTML for the site's pages.

A link to a document that has a page leads to the page; one to another file of the repository becomes its path. HTML in
a document is shown as text, except folded parts, anchors and a few tags without attributes (markdown.py).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from markdown_it.token import Token

from mediaapp.documents import markdown
from mediaapp.documents.addresses import page_of

__all__ = ["Document", "convert", "page_of", "read", "render", "render_inline", "title"]
FOLDERS = ("docs", "exercises")


@dataclass(frozen=True)
class Document:
    """sections: id and text of each heading of the second level. parts: all but the title, split at its rules (---)."""

    title: str
    sections: tuple[tuple[str, str], ...]
    parts: tuple[SafeString, ...]

    @property
    def html(self) -> SafeString:
        return mark_safe("<hr>\n".join(self.parts))  # noqa: S308 - all of them are


def read(path: str, *, for_staff: bool = True) -> Document:
    """path: from the root, as in docs/deploy.md. for_staff: with links to the pages of the staff.

    Raises FileNotFoundError unless it is a Markdown file of docs/ or exercises/.
    """
    file = (settings.BASE_DIR / path).resolve()
    folders = [(settings.BASE_DIR / name).resolve() for name in FOLDERS]
    if file.suffix != ".md" or not any(file.is_relative_to(folder) for folder in folders):
        raise FileNotFoundError(path)
    shown = file.relative_to(settings.BASE_DIR.resolve()).as_posix()
    return _convert_file(file, shown, for_staff, settings.DEBUG, file.stat().st_mtime_ns)


def render(path: str, *, for_staff: bool = True) -> SafeString:
    """All but the title, which title() returns. Raises FileNotFoundError as read() does."""
    return read(path, for_staff=for_staff).html


def title(path: str) -> str:
    """The text of the first heading. Raises FileNotFoundError as read() does."""
    return read(path).title


def convert(text: str, path: str, *, for_staff: bool) -> Document:
    """Markdown as the document that it would be in this file. path: from the root, for its links."""
    parser = markdown.make_parser()
    tokens = parser.parse(text)
    heading = ""
    if tokens and tokens[0].tag == "h1":
        heading, tokens = _text_of(tokens[1]), tokens[3:]
    markdown.set_attributes(tokens)
    opened = [index for index, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    sections = tuple((str(tokens[index].attrGet("id")), _text_of(tokens[index + 1])) for index in opened)
    markdown.resolve_addresses(tokens, PurePosixPath(path).parent.as_posix(), for_staff=for_staff)
    groups = [
        [*group]
        for is_rule, group in groupby(tokens, lambda token: (token.type, token.level) == ("hr", 0))
        if not is_rule
    ]
    parts = [parser.renderer.render(group, parser.options, {"for_staff": for_staff}) for group in groups]
    return Document(heading, sections, tuple(map(mark_safe, parts)))


def render_inline(text: str) -> SafeString:
    """One line of Markdown: code, emphasis and links, without a paragraph around it."""
    html: str = markdown.make_parser().renderInline(text, {"for_staff": False})
    return mark_safe(html)  # noqa: S308 - as in convert()


@lru_cache(maxsize=256)
def _convert_file(file: Path, path: str, for_staff: bool, _links_to_source: bool, _changed_at: int) -> Document:
    return convert(file.read_text(encoding="utf-8"), path, for_staff=for_staff)


def _text_of(inline: Token) -> str:
    return "".join(each.content for each in inline.children or ())
