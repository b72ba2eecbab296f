"""How Markdown becomes HTML: the parser's rules, and the few tags that a document may contain.

html is on in the parser, so that it finds tags, but whatever is not in ALLOWED is escaped.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from django.utils.html import escape, format_html
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mediaapp.documents.addresses import is_for_staff, is_page, page_of, picture_of
from mediaapp.documents.code_blocks import render_block
from mediaapp.documents.source import source_page

ALLOWED = re.compile(r'(</?(?:details|summary|b|code|kbd)>|<br>|<a id="[\w-]+">|</a>)')
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    for name, rule in RULES.items():
        parser.add_render_rule(name, rule)
    return parser


def set_attributes(tokens: Sequence[Token]) -> None:
    """Headings get the ids that GitHub gives them, columns their scope, and code its section."""
    seen: Counter[str] = Counter()
    section = ""
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            text = tokens[index + 1].content
            name = re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")
            token.attrSet("id", f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
            section = text if token.tag == "h2" else section
        if token.type == "th_open" and tokens[index + 1].content:
            token.attrSet("scope", "col")
        elif token.type == "th_open":  # to a screen reader, an empty cell is no header
            token.tag = tokens[index + 2].tag = "td"
        if token.attrs.pop("style", "") == "text-align:right":  # our policy allows no style in HTML
            token.attrSet("class", "number")
        if token.type == "fence":
            token.meta["section"] = section


def resolve_addresses(tokens: Sequence[Token], folder: str, *, for_staff: bool) -> None:
    """Point links and pictures to what the site has. folder: of the document, from the root."""
    for token in tokens:
        if token.children:
            token.children = _resolve_inline(token.children, folder, for_staff)


def _resolve_inline(tokens: list[Token], folder: str, for_staff: bool) -> list[Token]:
    resolved: list[Token] = []
    path = ""
    for token in tokens:
        if token.type == "image":
            token.attrSet("src", picture_of(normpath(f"{folder}/{token.attrGet('src')}")) or "")
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
    page = page_of(path) or source_page(path)
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


def _render_html(_: object, tokens: Sequence[Token], index: int, *_others: object) -> str:
    """Everything but the tags of ALLOWED is text."""
    parts = ALLOWED.split(COMMENT.sub("", tokens[index].content))
    html = "".join(part if at % 2 else escape(part) for at, part in enumerate(parts))
    is_text = tokens[index].type == "html_block" and len(parts) == 1 and html.strip()
    return format_html("<p>{}</p>\n", parts[0]) if is_text else html


def _render_fence(_: object, tokens: Sequence[Token], index: int, *_others: object) -> str:
    return render_block(tokens[index].content, tokens[index].info, tokens[index].meta["section"])


def _render_code(_: object, tokens: Sequence[Token], index: int, _options: object, env: Mapping[str, bool]) -> str:
    """The address of a page of this site becomes a link to it, and so does the path of a source file that has one."""
    text = tokens[index].content
    address = source_page(text) if "/" in text else None
    if text.startswith("/") and is_page(text, for_staff=env["for_staff"]):
        address = text
    if address and not _is_in_link(tokens, index):
        return format_html('<a href="{}"><code>{}</code></a>', address, text)
    return format_html("<code>{}</code>", text)


def _is_in_link(tokens: Sequence[Token], index: int) -> bool:
    return sum(token.nesting for token in tokens[:index] if token.type in ("link_open", "link_close")) > 0


def _render_image(_: object, tokens: Sequence[Token], index: int, *_others: object) -> str:
    """On a phone a wide picture scrolls, so the keyboard must reach it. Without its file, the words stay."""
    address, words = tokens[index].attrGet("src"), tokens[index].content
    if not address:
        return format_html("<i>{}</i>", words)
    return format_html('<span class="picture" tabindex="0"><img src="{}" alt="{}"></span>', address, words)


# On a phone a wide table scrolls too.
RULES: dict[str, Callable[..., str]] = {
    "html_inline": _render_html,
    "html_block": _render_html,
    "fence": _render_fence,
    "code_inline": _render_code,
    "image": _render_image,
    "table_open": lambda *_: '<div class="wide" tabindex="0"><table>\n',
    "table_close": lambda *_: "</table></div>\n",
}
