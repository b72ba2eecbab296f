"""What the columns of a CSV are taken for: by their names, by what the owner said the last time, or by asking."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from typing import IO, Any

from mediaapp.models import CatalogueItem, ColumnMapping
from workers.csvimport.header import Table, labels_of
from workers.csvimport.preview import Preview, preview
from workers.csvimport.reading.records import CsvUnreadable

# Other words for the fields, as shops, libraries and their programs name the columns; without accents and signs.
SYNONYMS = {
    "external_id": (
        *("id", "item id", "product id", "sku", "isbn", "ean", "gtin", "code", "item number", "article number"),
        *("Artikelnummer", "Artikel-Nr", "Art.-Nr.", "Bestellnummer", "référence", "código", "codice", "artikelnr"),
    ),
    "title": ("name", "item name", "product name", "Titel", "Bezeichnung", "Produktname", "titre", "título", "titolo"),
    "creator": ("author", "artist", "by", "Autor", "Verfasser", "Urheber", "Künstler", "auteur", "autore", "tekijä"),
    "category": ("genre", "group", "Kategorie", "Warengruppe", "catégorie", "categoría", "categoria", "kategori"),
    "released_on": (
        *("release date", "published", "publication date", "date", "Datum", "Erscheinungsdatum", "Erschienen"),
        *("date de parution", "fecha", "data", "udgivet"),
    ),
    "price": ("unit price", "cost", "Preis", "Verkaufspreis", "VK", "prix", "precio", "prezzo", "pris", "prijs"),
    "stock": ("quantity", "qty", "in stock", "Bestand", "Menge", "Anzahl", "Lagerbestand", "quantité", "cantidad"),
}


def table_of(owner_id: int) -> Table:
    """Where an owner's files go."""
    return Table(CatalogueItem, fixed={"owner_id": owner_id})


def first_look(owner_id: int, file: IO[bytes]) -> dict[str, Any]:
    """What the import of a new file is told: "dialect", None where its owner has to be asked, and "columns".

    {} for a file that cannot be read at all: the import says so, with words.
    """
    try:
        seen, is_known = look(owner_id, file)
    except CsvUnreadable:
        return {}
    if seen.doubts or seen.missing or not (seen.is_exact or is_known):
        return {"dialect": None}
    # Nobody has looked at the letters, so all the bytes tell the encoding, and not the first.
    dialect = asdict(replace(seen.dialect, encoding=""))
    return {"dialect": dialect, "columns": seen.columns}


def look(
    owner_id: int, file: IO[bytes], choices: Mapping[str, str] | None = None, columns: dict[str, int] | None = None
) -> tuple[Preview, bool]:
    """The preview with a person's choices, or with guesses, and whether the owner has confirmed such columns before.

    choices, columns: as for preview(). Raises CsvUnreadable.
    """
    table, choices = table_of(owner_id), choices or {}
    seen = preview(file, table, synonyms=SYNONYMS, choices=choices, columns=columns)
    if columns is not None:
        return seen, False
    known = ColumnMapping.objects.filter(owner=owner_id, columns_digest=digest(seen.names)).first()
    if known is None:
        return seen, False
    labels = labels_of(seen.names)
    columns = {field: labels.index(label) for field, label in known.columns.items()}
    # The file's own word goes first.
    choices = {name: getattr(known, name) for name in seen.doubts & {"decimal", "dates"}} | dict(choices)
    return preview(file, table, synonyms=SYNONYMS, choices=choices, columns=columns), True


def remember(owner_id: int, seen: Preview) -> None:
    """Keeps what the owner has confirmed, for the next file with the same columns."""
    labels = labels_of(seen.names)
    ColumnMapping.objects.update_or_create(
        owner_id=owner_id,
        columns_digest=digest(seen.names),
        defaults={
            "columns": {field: labels[place] for field, place in seen.columns.items()},
            "decimal": seen.dialect.decimal,
            "dates": seen.dialect.dates,
        },
    )


def digest(names: list[str]) -> str:
    """The same for the same set of columns, in any order."""
    return sha256("\0".join(sorted(labels_of(names))).encode()).hexdigest()
