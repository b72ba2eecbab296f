"""Blocks of code: their colours, the file that they are taken from, and whether they are the wrong or the right way.

A block's info string is a language and, for lines of a file, its path: python workers/practices/locks.py.
"""

from textwrap import dedent

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

from mediaapp.documents.source import line_of, source_page

WRONG_AND_RIGHT = ("Wrong and right", "Check it")
WRONG = "labs/"
TAGS = {True: mark_safe('<b class="tag bad">Wrong</b> '), False: mark_safe('<b class="tag good">Right</b> ')}


def render_block(code: str, info: str, section: str) -> str:
    """Long lines scroll, so the keyboard must reach it."""
    language, _, path = info.strip().partition(" ")
    block = format_html('<pre tabindex="0"><code>{}</code></pre>', colour(dedent(code), language))
    if not path:
        return f"{block}\n"
    is_wrong = path.startswith(WRONG)
    tag, kind = (TAGS[is_wrong], ("right", "wrong")[is_wrong]) if section in WRONG_AND_RIGHT else ("", "plain")
    name = format_html("<code>{}</code>", path)
    if (page := source_page(path)) and (line := line_of(path, code)):
        name = format_html('<a href="{}#L{}">{}</a>', page, line, name)
    caption = format_html("<figcaption>{}{}</figcaption>", tag, name)
    return format_html('<figure class="code {}">{}{}</figure>\n', kind, caption, block)


def colour(code: str, language: str) -> SafeString:
    """Escaped, with a span for each token."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return format_html("{}", code)
    spans: str = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return mark_safe(spans)  # noqa: S308 - pygments escapes


def number_lines(code: str, name: str) -> SafeString:
    """Each line with an anchor, L1 and so on. name: of the file."""
    try:
        language = get_lexer_for_filename(name).aliases[0]
    except ClassNotFound:
        language = ""
    lines = [mark_safe(line) for line in colour(code, language).rstrip("\n").split("\n")]  # noqa: S308 - of colour()
    return format_html_join("\n", '<span class="line" id="L{}">{}</span>', enumerate(lines, 1))
