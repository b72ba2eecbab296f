"""The Markdown files of docs/ as HTML for the site's pages.

A link to a document that has a page leads to the page; one to another file of the repository becomes its path. HTML in
a document is shown as text, except an anchor such as <a id="confirms"></a>.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from workers.practices import registry

DOCS = settings.BASE_DIR / "docs"
RUNBOOKS = "docs/runbooks"
ANCHOR = re.compile(r'<a id="[\w-]+"></a>')


def render(path: str, *, for_staff: bool = True) -> SafeString:
    """All but the title, which title() returns. path: from the root, as in docs/deploy.md.

    for_staff: with links to the pages of the staff. Raises FileNotFoundError unless it is a Markdown file of docs/.
    """
    return _read(path, for_staff)[1]


def title(path: str) -> str:
    """The text of the first heading. Raises FileNotFoundError as render() does."""
    return _read(path, for_staff=True)[0]


def page_of(path: str) -> str | None:
    """The address of the page that shows a file of docs/."""
    if path == f"{RUNBOOKS}/README.md":
        return reverse("runbooks")
    if path.startswith(f"{RUNBOOKS}/"):
        return reverse("runbook", args=[PurePosixPath(path).stem])
    numbers = {practice.chapter: practice.number for practice in registry.PRACTICES}
    return reverse("practice", args=[numbers[path]]) if path in numbers else None


def _read(path: str, for_staff: bool) -> tuple[str, SafeString]:
    file = (settings.BASE_DIR / path).resolve()
    if file.suffix != ".md" or not file.is_relative_to(DOCS):
        raise FileNotFoundError(path)
    return _convert(file, for_staff, file.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _convert(file: Path, for_staff: bool, _changed_at: int) -> tuple[str, SafeString]:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.inline.ruler.before("autolink", "anchor", _parse_anchor)
    parser.add_render_rule("fence", _render_fence)
    parser.add_render_rule("code_inline", _render_code)
    tokens = parser.parse(file.read_text(encoding="utf-8"))
    heading = ""
    if tokens and tokens[0].tag == "h1":
        heading, tokens = "".join(each.content for each in tokens[1].children or ()), tokens[3:]
    _set_attributes(tokens)
    folder = file.parent.relative_to(settings.BASE_DIR).as_posix()
    for token in tokens:
        if token.children:
            token.children = _resolve_links(token.children, folder, for_staff)
    html = parser.renderer.render(tokens, parser.options, {"for_staff": for_staff})
    return heading, mark_safe(html)  # noqa: S308 - the parser escapes all text, and html is off


def _parse_anchor(state: StateInline, silent: bool) -> bool:
    """A rule of the parser."""
    if not (match := ANCHOR.match(state.src, state.pos)):
        return False
    if not silent:
        state.push("html_inline", "", 0).content = match.group()
    state.pos = match.end()
    return True


def _render_fence(_renderer: object, tokens: Sequence[Token], index: int, *_: object) -> str:
    """Long lines scroll, so the keyboard must reach it."""
    return format_html('<pre tabindex="0"><code>{}</code></pre>\n', tokens[index].content)


def _render_code(_: object, tokens: Sequence[Token], index: int, _options: object, env: Mapping[str, bool]) -> str:
    """The address of a page of this site becomes a link to it."""
    text = tokens[index].content
    if text.startswith("/") and _is_page(text, env["for_staff"]):
        return format_html('<a href="{}"><code>{}</code></a>', text, text)
    return format_html("<code>{}</code>", text)


def _is_page(address: str, for_staff: bool) -> bool:
    try:
        resolve(address.partition("?")[0])
    except Resolver404:
        return False
    return "<" not in address and (for_staff or not is_for_staff(address))


def is_for_staff(address: str) -> bool:
    return address.startswith(reverse("operations"))


def _set_attributes(tokens: list[Token]) -> None:
    """Headings get the ids that GitHub gives them, and columns their scope."""
    seen: Counter[str] = Counter()
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            name = re.sub(r"[^\w -]", "", following.content.lower()).replace(" ", "-")
            token.attrSet("id", f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
        elif token.type == "th_open":
            token.attrSet("scope", "col")


def _resolve_links(tokens: list[Token], folder: str, for_staff: bool) -> list[Token]:
    """folder: of the document, from the root."""
    resolved: list[Token] = []
    path = ""
    for token in tokens:
        if token.type == "link_open":
            path = _rewrite(token, folder, for_staff)
        if path and token.type in ("link_open", "link_close"):
            if token.type == "link_close":
                resolved += _path_tokens(resolved, path)
                path = ""
            continue
        resolved.append(token)
    return resolved


def _rewrite(link: Token, folder: str, for_staff: bool) -> str:
    """Point it to its page. Returns the path of a file that has none: this is no link."""
    target = str(link.attrGet("href") or "")
    if ":" in target or target.startswith("#"):
        return ""
    name, _, anchor = target.partition("#")
    path = normpath(f"{folder}/{name}")
    page = page_of(path)
    if page and (for_staff or not is_for_staff(page)):
        link.attrSet("href", f"{page}#{anchor}" if anchor else page)
        return ""
    return path


def _path_tokens(before: Sequence[Token], path: str) -> list[Token]:
    """The path in brackets after its text; in place of a text that is the name of the file."""
    text: Any = before[-1] if before else None
    if text and text.content.strip("`") in (path, PurePosixPath(path).name):
        text.type, text.tag, text.content = "code_inline", "code", path
        return []
    code = Token("code_inline", "code", 0, content=path)
    return [Token("text", "", 0, content=" ("), code, Token("text", "", 0, content=")")]
