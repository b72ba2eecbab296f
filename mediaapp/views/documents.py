"""Everybody reads the documents of docs/. Chapters and runbooks have pages of their own."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp import documents
from mediaapp.documents.addresses import INDEX
from mediaapp.documents.code_blocks import number_lines
from mediaapp.documents.source import find_source
from mediaapp.permissions import is_staff


@never_cache
@require_safe
def show_document(request: HttpRequest, name: str = "README") -> HttpResponseBase:
    """name: a path in docs/ without .md."""
    path = f"docs/{name}.md"
    page = documents.page_of(path)
    return redirect(page) if page and page != request.path else show_file(request, path)


@never_cache
@require_safe
def show_source(request: HttpRequest, path: str) -> HttpResponse:
    """On a learner's own machine alone (documents/source.py)."""
    if (file := find_source(path)) is None:
        raise Http404
    is_staff(request)  # the page needs no database
    lines = number_lines(file.read_text(encoding="utf-8", errors="replace"), file.name)
    return render(request, "documents/source.html", {"path": path, "lines": lines})


def show_file(request: HttpRequest, path: str) -> HttpResponse:
    """Raises Http404 unless it is a Markdown file of docs/."""
    try:
        document = documents.read(path, for_staff=is_staff(request))
    except (OSError, ValueError):
        raise Http404 from None
    return render(request, "documents/document.html", {"document": document, "path": path, "is_index": path == INDEX})
