"""The page on which an owner confirms the mapping of a CSV's columns."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from mediaapp.models import Upload
from mediaapp.permissions import get_owned_upload_or_404, get_upload_or_404, login_required_for
from mediaapp.retention import SOURCE_DELETED_MESSAGE
from mediaapp.uploads.mapping import catalogue_table, columns_digest_of, preview_mapping, save_mapping
from workers import jobs
from workers.csvimport.header import make_unique_labels
from workers.csvimport.preview import NO_HEADER, Preview
from workers.csvimport.reading.dialect import DATES, DECIMALS, DELIMITERS, QUOTES
from workers.csvimport.reading.encoding import ERROR_HANDLERS
from workers.csvimport.reading.errors import CsvUnreadable
from workers.models import Job

# No "utf-16": a byte order mark is always recognised, and no other file may be read as UTF-16.
DIALECT_CHOICES = {
    "encoding": [name for name in ERROR_HANDLERS if name != "utf-16"],
    "delimiter": tuple(DELIMITERS),
    "quote": QUOTES,
    "decimal": DECIMALS,
    "dates": DATES,
}
FILE_GONE_MESSAGE = "The file is no longer there. Cancel this one, and upload it again."
STORAGE_AWAY_MESSAGE = "Our storage of files does not answer. Your file is safe: look again in a minute."
SHOWN_ROWS, SHOWN_COLUMNS, SHOWN_REJECTS = 20, 30, 10
MAX_OPTIONS = 500  # columns in a select box; files with more are rare, and are mapped by name


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required_for("mapping")
def show_mapping(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """A POST previews other choices and saves nothing."""
    upload = get_upload_or_404(request, job_id)
    if upload.job.state != Job.State.NEEDS_MAPPING:
        return redirect("job", job_id)
    return _show(request, upload)


@require_POST
@login_required_for("job")
def confirm_mapping(request: HttpRequest, job_id: UUID) -> HttpResponse:
    upload = get_owned_upload_or_404(request, job_id)
    if upload.job.state != Job.State.NEEDS_MAPPING:
        return redirect("job", job_id)
    try:
        preview = _preview(upload, request.POST)
    except CsvUnreadable:
        return _show(request, upload)
    if preview.doubts or preview.missing:
        messages.error(request, "Nothing has started yet: something is still to be chosen.")
        return _show(request, upload)
    start = asdict(preview.start)
    if jobs.confirm(upload.job, dialect=asdict(preview.dialect), start=start, columns=preview.columns, force=False):
        save_mapping(upload.owner_id, preview)
    return redirect("job", job_id)


@require_POST
@login_required_for("job")
def change_mapping(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The imported rows stay until the new import updates them."""
    upload = get_owned_upload_or_404(request, job_id)
    if not upload.has_source:
        messages.error(request, SOURCE_DELETED_MESSAGE)
    elif upload.kind == Upload.Kind.CSV:
        jobs.reopen_mapping(upload.job)
    return redirect("mapping", job_id)


def _show(request: HttpRequest, upload: Upload) -> HttpResponse:
    context: dict[str, Any] = {"upload": upload, "job": upload.job, "is_own": upload.owner_id == request.user.pk}
    chosen = _choices(request.POST or upload.job.arguments)
    try:
        preview = _preview(upload, request.POST)
    except CsvUnreadable as error:
        context |= {"sentence": error.sentence, "selects": _selects(chosen, None), "start": chosen["start"]}
    else:
        context |= {
            "preview": preview,
            "selects": _selects(chosen, preview),
            "start": chosen["start"],
        } | _mapping_context(upload, preview)
    return render(request, "mapping/mapping.html", context)


def _preview(upload: Upload, form: QueryDict) -> Preview:
    """Without a form, uses the choices of the last import, or guesses."""
    previous = upload.job.arguments
    choices = _choices(form or previous)
    try:
        with default_storage.open(upload.file) as file:
            preview, _ = preview_mapping(upload.owner_id, file, choices, None if form else previous.get("columns"))
            # Another delimiter gives other columns, for which the form's column numbers mean nothing.
            if form.get("digest") == columns_digest_of(preview.names):
                columns = _columns(upload, form, len(preview.names))
                preview, _ = preview_mapping(upload.owner_id, file, choices, columns)
            return preview
    except FileNotFoundError:
        raise CsvUnreadable(FILE_GONE_MESSAGE) from None
    except OSError as error:
        raise CsvUnreadable(STORAGE_AWAY_MESSAGE, str(error)) from error


def _choices(given: Mapping[str, Any]) -> dict[str, str]:
    """given: the form, or the arguments of the last import. Drops values that the page does not offer."""
    previous = given.get("dialect") or {}
    values = {name: given.get(name) or previous.get(name) for name in DIALECT_CHOICES}
    choices = {name: value for name, value in values.items() if value and value in DIALECT_CHOICES[name]}
    start = given.get("start") or ""
    if isinstance(start, dict):
        start = str(start["line"]) if start["has_header"] else NO_HEADER
    return choices | {"start": start}


def _columns(upload: Upload, form: QueryDict, column_count: int) -> dict[str, int]:
    chosen = {field.name: form.get(f"column-{field.name}", "") for field in catalogue_table(upload.owner_id).importable}
    numbers = {str(number): number for number in range(column_count)}
    return {name: numbers[number] for name, number in chosen.items() if number in numbers}


def _selects(chosen: dict[str, str], preview: Preview | None) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "values": values,
            "chosen": chosen.get(name, ""),
            "guess": getattr(preview.dialect, name) if preview else "",
            "is_doubtful": bool(preview and name in preview.doubts),
        }
        for name, values in DIALECT_CHOICES.items()
    ]


def _mapping_context(upload: Upload, preview: Preview) -> dict[str, Any]:
    table, labels = catalogue_table(upload.owner_id), make_unique_labels(preview.names)
    fields = [
        {
            "field": field,
            "is_required": table.requires(field),
            "column": (column := preview.columns.get(field.name)),
            "samples": _samples(preview.rows, column),
        }
        for field in table.importable
    ]
    if not preview.start.has_header:
        labels = [_with_sample(label, preview.rows, column) for column, label in enumerate(labels)]
    used = sorted(preview.columns.values())
    unused = [column for column in range(len(labels)) if column not in used]
    shown = sorted([*used, *unused[: SHOWN_COLUMNS - len(used)]])
    return {
        "digest": columns_digest_of(preview.names),
        "top": [(str(line), ", ".join(filter(None, cells[:SHOWN_COLUMNS]))) for line, cells in preview.top],
        "fields": fields,
        "options": [(column, label) for column, label in enumerate(labels) if column < MAX_OPTIONS or column in used],
        "headings": [(labels[column], _field_names(preview, column)) for column in shown],
        "rows": [[row[column] if column < len(row) else "" for column in shown] for row in preview.rows[:SHOWN_ROWS]],
        "hidden_columns": len(labels) - len(shown),
        "accepted": preview.record_count - len(preview.rejections),
        "rejects": preview.rejections[:SHOWN_REJECTS],
        "more_rejects": len(preview.rejections) - SHOWN_REJECTS,
    }


def _with_sample(label: str, rows: list[list[str]], column: int) -> str:
    return f"{label}: {', '.join(_samples(rows, column)[:1])}"


def _samples(rows: list[list[str]], column: int | None) -> list[str]:
    if column is None:
        return []
    return list(dict.fromkeys(row[column] for row in rows if column < len(row) and row[column].strip()))[:3]


def _field_names(preview: Preview, column: int) -> str:
    return ", ".join(name for name, number in preview.columns.items() if number == column)
