"""What a CSV's columns are: its first rows, our guesses, and its owner's word."""

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
from mediaapp.permissions import get_owned_upload_or_404, get_upload_or_404, login_required_on
from mediaapp.uploads.mapping import digest, look, remember, table_of
from workers import jobs
from workers.csvimport.header import labels_of
from workers.csvimport.preview import Preview
from workers.csvimport.reading.dialect import DATES, DECIMALS, DELIMITERS, QUOTES
from workers.csvimport.reading.encoding import ERRORS
from workers.csvimport.reading.records import CsvUnreadable
from workers.models import Job

# UTF-16 with its mark is always recognised, and nothing else may be read so.
VALUES = {
    "encoding": [name for name in ERRORS if name != "utf-16"],
    "delimiter": tuple(DELIMITERS),
    "quote": QUOTES,
    "decimal": DECIMALS,
    "dates": DATES,
}
GONE = "The file is no longer there. Cancel this one, and upload it again."
AWAY = "Our storage of files does not answer. Your file is safe: look again in a minute."
SHOWN_ROWS, SHOWN_COLUMNS, SHOWN_REJECTS = 20, 30, 10
MOST_OPTIONS = 500  # columns to choose from; files with more are rare, and theirs are guessed by name


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required_on("mapping")
def show_mapping(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The first rows and what would become of them; a POST shows the same with other choices, and changes nothing."""
    upload = get_upload_or_404(request, job_id)
    if upload.job.state != Job.State.NEEDS_MAPPING:
        return redirect("job", job_id)
    return _show(request, upload)


@require_POST
@login_required_on("job")
def confirm_mapping(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Starts the import as the form says, and remembers that for the next file with these columns."""
    upload = get_owned_upload_or_404(request, job_id)
    if upload.job.state != Job.State.NEEDS_MAPPING:
        return redirect("job", job_id)
    try:
        seen = _look(upload, request.POST)
    except CsvUnreadable:
        return _show(request, upload)
    if seen.doubts or seen.missing:
        messages.error(request, "Nothing has started yet: something is still to be chosen.")
        return _show(request, upload)
    if jobs.confirm(upload.job, dialect=asdict(seen.dialect), columns=seen.columns, force=False):
        remember(upload.owner_id, seen)
    return redirect("job", job_id)


@require_POST
@login_required_on("job")
def change_mapping(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Takes an import that has ended back to its columns; what it wrote stays, until it is written anew."""
    upload = get_owned_upload_or_404(request, job_id)
    if upload.kind == Upload.Kind.CSV:
        jobs.reopen_mapping(upload.job)
    return redirect("mapping", job_id)


def _show(request: HttpRequest, upload: Upload) -> HttpResponse:
    context: dict[str, Any] = {"upload": upload, "job": upload.job, "is_own": upload.owner_id == request.user.pk}
    chosen = _choices(request.POST or upload.job.arguments.get("dialect") or {})
    try:
        seen = _look(upload, request.POST)
    except CsvUnreadable as error:
        context |= {"sentence": error.sentence, "selects": _selects(chosen, None)}
    else:
        context |= {"seen": seen, "selects": _selects(chosen, seen)} | _parts(upload, seen)
    return render(request, "mapping/mapping.html", context)


def _look(upload: Upload, form: QueryDict) -> Preview:
    """The file with the form's choices; without a form with those of the last time, or with guesses."""
    before = upload.job.arguments
    choices = _choices(form or before.get("dialect") or {})
    try:
        with default_storage.open(upload.file) as file:
            seen, _ = look(upload.owner_id, file, choices, None if form else before.get("columns"))
            # With another delimiter the columns are others: what was chosen of the old ones means nothing.
            if form.get("digest") == digest(seen.names):
                seen, _ = look(upload.owner_id, file, choices, _columns(upload, form, len(seen.names)))
            return seen
    except FileNotFoundError:
        raise CsvUnreadable(GONE) from None
    except OSError as error:
        raise CsvUnreadable(AWAY, str(error)) from error


def _choices(form: Any) -> dict[str, str]:
    """What was chosen of the dialect; what nobody offered is left out."""
    return {name: form[name] for name, values in VALUES.items() if form.get(name) and form[name] in values}


def _columns(upload: Upload, form: QueryDict, width: int) -> dict[str, int]:
    chosen = {field.name: form.get(f"column-{field.name}", "") for field in table_of(upload.owner_id).importable}
    places = dict(zip(map(str, range(width)), range(width), strict=True))
    return {name: places[place] for name, place in chosen.items() if place in places}


def _selects(chosen: dict[str, str], seen: Preview | None) -> list[dict[str, Any]]:
    """One for each part of the dialect: what was chosen, what is guessed, what there is."""
    return [
        {
            "name": name,
            "values": values,
            "chosen": chosen.get(name, ""),
            "guess": getattr(seen.dialect, name) if seen else "",
            "is_doubtful": bool(seen and name in seen.doubts),
        }
        for name, values in VALUES.items()
    ]


def _parts(upload: Upload, seen: Preview) -> dict[str, Any]:
    labels = labels_of(seen.names)
    fields = [
        {
            "field": field,
            "is_required": table_of(upload.owner_id).requires(field),
            "place": (place := seen.columns.get(field.name)),
            "samples": _samples(seen.rows, place),
        }
        for field in table_of(upload.owner_id).importable
    ]
    used = sorted(seen.columns.values())
    shown = sorted([*used, *[place for place in range(len(labels)) if place not in used][: SHOWN_COLUMNS - len(used)]])
    return {
        "digest": digest(seen.names),
        "fields": fields,
        "options": [(place, label) for place, label in enumerate(labels) if place < MOST_OPTIONS or place in used],
        "heads": [(labels[place], _field_at(seen, place)) for place in shown],
        "rows": [[row[place] if place < len(row) else "" for place in shown] for row in seen.rows[:SHOWN_ROWS]],
        "hidden_columns": len(labels) - len(shown),
        "good": seen.records - len(seen.rejects),
        "rejects": seen.rejects[:SHOWN_REJECTS],
        "more_rejects": len(seen.rejects) - SHOWN_REJECTS,
    }


def _samples(rows: list[list[str]], place: int | None) -> list[str]:
    """The first different values of a column."""
    if place is None:
        return []
    return list(dict.fromkeys(row[place] for row in rows if place < len(row) and row[place].strip()))[:3]


def _field_at(seen: Preview, place: int) -> str:
    return ", ".join(name for name, at in seen.columns.items() if at == place)
