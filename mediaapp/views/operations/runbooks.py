"""What to do when a practice does not hold, or an alarm rings, with the newest finding of the practice."""

import re
from html import unescape

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import strip_tags
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from mediaapp import documents
from mediaapp.documents.addresses import RUNBOOKS
from mediaapp.operations.findings import Tile, measure_board, read_board
from mediaapp.permissions import public_staff_required
from workers.practices import registry

ROW = re.compile(r"<tr>\n<td>(.*?)</td>", re.DOTALL)
NOW_ID = ' id="now"'
NOW = '<tr class="now">\n<td><span class="tag bad">Now</span> '
INDEX = f"{RUNBOOKS}/README.md"


@require_safe
@public_staff_required
def show_runbooks(request: HttpRequest) -> HttpResponse:
    context = {"title": documents.title(INDEX), "document": documents.render(INDEX)}
    return render(request, "operations/runbooks.html", context)


@require_safe
@public_staff_required
def show_runbook(request: HttpRequest, slug: str) -> HttpResponse:
    path = f"{RUNBOOKS}/{slug}.md"
    if path == INDEX:
        raise Http404
    try:
        title, document = documents.title(path), documents.render(path)
    except FileNotFoundError:
        raise Http404 from None
    practice = next((each for each in registry.PRACTICES if each.runbook == path), None)
    tile = read_tile(practice) if practice else None
    if tile:
        document = mark_sentences(document, tile.finding.reason)
    context = {"title": title, "document": document, "tile": tile, "is_marked": NOW_ID in document}
    return render(request, "operations/runbook.html", context)


def read_tile(practice: registry.Practice) -> Tile:
    """Measured for this page, if the database is away."""
    try:
        board = read_board()
    except DatabaseError:
        board = measure_board(None)
    return next(each for each in board.tiles if each.practice is practice)


def mark_sentences(document: SafeString, reason: str) -> SafeString:
    """Marks each row of a table whose first cell quotes a sentence of the reason; "…" stands for any text."""

    def mark(row: re.Match[str]) -> str:
        quotes = re.findall(r'"(.+?)[.?]?"', unescape(strip_tags(row[1])))
        patterns = (".*".join(map(re.escape, quote.split("…"))) for quote in quotes)
        is_said = any(re.search(pattern, reason) for pattern in patterns)
        return row[0].replace("<tr>\n<td>", NOW) if is_said else row[0]

    marked = ROW.sub(mark, document).replace(NOW, NOW.replace(">", f"{NOW_ID}>", 1), 1)
    return mark_safe(marked)  # noqa: S308 - the document is HTML, and nothing of the reason gets in
