"""Which column of a CSV file is probably meant for which field, for a person to confirm.

By its name, by a name that is nearly the same or means the same, and a date by what stands in the column.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from django.db.models import DateField, Field

from workers.csvimport.cells.dates import looks_like_date
from workers.csvimport.header import Table

LIKE = 0.82  # "Titel" is like "title" by 0.8, and is named as a synonym; "catagory" is like "category" by 0.88
LOOKED_AT = 300  # columns; who has more knows their names
Synonyms = Mapping[str, Sequence[str]]  # field name -> other words for it, in any language


def guess_columns(names: list[str], rows: list[list[str]], table: Table, synonyms: Synonyms) -> dict[str, int]:
    """Field name -> index of its probable column. Each column at most once; the surest first."""
    fields = table.importable[::-1]
    own = {_folded(word): field.name for field in fields for word in (str(field.verbose_name), field.name)}
    words = {_folded(word): field.name for field in fields for word in synonyms.get(field.name, ())} | own
    found = [
        (-likeness, place, field)
        for place, name in enumerate(names[:LOOKED_AT])
        for field, likeness in [_nearest(name, words, own)]
        if field
    ]
    columns: dict[str, int] = {}
    for _, place, field in sorted(found):
        if field not in columns and place not in columns.values():
            columns[field] = place
    return columns | _dates_by_content(names, rows, table.importable, columns)


def _nearest(name: str, words: dict[str, str], own: dict[str, str]) -> tuple[str, float]:
    """The field for a name, "" for none, and how sure that is. own: those of the words that are the fields' names."""
    whole = _folded(name)
    if whole in words:
        return words[whole], 2 if whole in own else 1
    for part in re.split(r"[\W_]+", name):
        if len(part) > 2 and _folded(part) in words:
            return words[_folded(part)], 0.9
    close = get_close_matches(whole[:60], words, n=1, cutoff=LIKE)
    return (words[close[0]], LIKE) if close else ("", 0)


def _dates_by_content(
    names: list[str], rows: list[list[str]], fields: list[Field], columns: dict[str, int]
) -> dict[str, int]:
    """The one column of dates for the one field of dates that have not found each other by name."""
    wanting = [field.name for field in fields if isinstance(field, DateField) and field.name not in columns]
    free = [place for place in range(min(len(names), LOOKED_AT)) if place not in columns.values()]
    dated = [place for place in free if _has_dates([row[place] for row in rows if place < len(row) and row[place]])]
    return {wanting[0]: dated[0]} if len(wanting) == len(dated) == 1 else {}


def _has_dates(cells: list[str]) -> bool:
    return bool(cells) and all(map(looks_like_date, cells[:100]))


def _folded(name: str) -> str:
    """Without accents, spaces and signs: "Art.-Nr." is "artnr"."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]+", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))
