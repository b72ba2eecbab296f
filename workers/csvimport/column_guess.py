"""Guesses which column is meant for which field."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from django.db.models import DateField, Field

from workers.csvimport.cells.dates import looks_like_date
from workers.csvimport.reading.table_start import CountNames
from workers.csvimport.target_table import TargetTable

MIN_SIMILARITY = 0.82  # "catagory" resembles "category" by 0.88
MAX_COLUMNS = 300  # an owner of more columns must name them like the fields
MAX_CELLS = 100
MAX_NAME_CHARACTERS = 60
Synonyms = Mapping[str, Sequence[str]]  # field name -> other words for it, in any language


def guess_columns(names: list[str], rows: list[list[str]], table: TargetTable, synonyms: Synonyms) -> dict[str, int]:
    """Field name -> index of its column."""
    words, own_words = _words_for_fields(table, synonyms)
    matches = [
        (-certainty, index, field)
        for index, name in enumerate(names[:MAX_COLUMNS])
        for field, certainty in [_find_field(name, words, own_words)]
        if field
    ]
    columns: dict[str, int] = {}
    for _, index, field in sorted(matches):
        if field not in columns and index not in columns.values():
            columns[field] = index
    return columns | _match_only_date(names, rows, table.importable, columns)


def make_name_counter(table: TargetTable, synonyms: Synonyms) -> CountNames:
    words, _ = _words_for_fields(table, synonyms)

    def count_names(cells: Sequence[str]) -> int:
        folded = {_fold(cell[:MAX_NAME_CHARACTERS]) for cell in cells[:MAX_COLUMNS]}
        return len({words[name] for name in folded & words.keys()})

    return count_names


def _words_for_fields(table: TargetTable, synonyms: Synonyms) -> tuple[dict[str, str], dict[str, str]]:
    """Folded word -> field name: all words, and the fields' own names."""
    fields = table.importable[::-1]
    own_words = {_fold(word): field.name for field in fields for word in (str(field.verbose_name), field.name)}
    words = {_fold(word): field.name for field in fields for word in synonyms.get(field.name, ())} | own_words
    return words, own_words


def _find_field(name: str, words: dict[str, str], own_words: dict[str, str]) -> tuple[str, float]:
    folded = _fold(name)
    if folded in words:
        return words[folded], 2 if folded in own_words else 1
    for part in re.split(r"[\W_]+", name):
        if len(part) > 2 and _fold(part) in words:
            return words[_fold(part)], 0.9
    close = get_close_matches(folded[:MAX_NAME_CHARACTERS], words, n=1, cutoff=MIN_SIMILARITY)
    return (words[close[0]], MIN_SIMILARITY) if close else ("", 0)


def _match_only_date(
    names: list[str], rows: list[list[str]], fields: list[Field], columns: dict[str, int]
) -> dict[str, int]:
    date_fields = [field.name for field in fields if isinstance(field, DateField) and field.name not in columns]
    free = [index for index in range(min(len(names), MAX_COLUMNS)) if index not in columns.values()]
    date_columns = [
        index for index in free if _has_dates([row[index] for row in rows if index < len(row) and row[index]])
    ]
    return {date_fields[0]: date_columns[0]} if len(date_fields) == len(date_columns) == 1 else {}


def _has_dates(cells: list[str]) -> bool:
    return bool(cells) and all(map(looks_like_date, cells[:MAX_CELLS]))


def _fold(name: str) -> str:
    """ "Art.-Nr." becomes "artnr"."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]+", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))
