"""Maps the columns of a CSV to fields."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from typing import IO, Any

from mediaapp.models import CatalogueItem, ColumnMapping
from workers.csvimport.header import make_unique_labels
from workers.csvimport.preview import Preview, make_preview
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.target_table import TargetTable

# Column names that shops and libraries use for the fields. The comparison ignores accents and punctuation.
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


def catalogue_table(owner_id: int) -> TargetTable:
    return TargetTable(CatalogueItem, fixed={"owner_id": owner_id})


def guess_import_arguments(owner_id: int, file: IO[bytes]) -> dict[str, Any]:
    """The dialect is None if the owner must confirm it. {}: the file is unreadable, and its import will fail."""
    try:
        file_preview, is_known = preview_mapping(owner_id, file)
    except CsvUnreadable:
        return {}
    if file_preview.doubts or file_preview.missing or not (file_preview.is_exact or is_known):
        return {"dialect": None}
    # No person has checked the text, so the import guesses the encoding again, from the whole file.
    dialect = asdict(replace(file_preview.dialect, encoding=""))
    return {"dialect": dialect, "start": asdict(file_preview.start), "columns": file_preview.columns}


def preview_mapping(
    owner_id: int, file: IO[bytes], choices: Mapping[str, str] | None = None, columns: dict[str, int] | None = None
) -> tuple[Preview, bool]:
    """The preview, and whether the owner confirmed these columns before. Raises CsvUnreadable.

    choices, columns: as for make_preview(). Columns without names are never known, and only suggested.
    """
    table, choices = catalogue_table(owner_id), choices or {}
    file_preview = make_preview(file, table, synonyms=SYNONYMS, choices=choices, columns=columns)
    if columns is not None:
        return file_preview, False
    digest = columns_digest_of(file_preview.names)
    known = ColumnMapping.objects.filter(owner=owner_id, columns_digest=digest).first()
    if known is None:
        return file_preview, False
    labels = make_unique_labels(file_preview.names)
    columns = {field: labels.index(label) for field, label in known.columns.items()}
    # The confirmed marks apply only where the file itself leaves a doubt.
    choices = {name: getattr(known, name) for name in file_preview.doubts & {"decimal", "dates"}} | dict(choices)
    return make_preview(file, table, synonyms=SYNONYMS, choices=choices, columns=columns), file_preview.start.has_header


def save_mapping(owner_id: int, confirmed: Preview) -> None:
    labels = make_unique_labels(confirmed.names)
    ColumnMapping.objects.update_or_create(
        owner_id=owner_id,
        columns_digest=columns_digest_of(confirmed.names),
        defaults={
            "columns": {field: labels[place] for field, place in confirmed.columns.items()},
            "decimal": confirmed.dialect.decimal,
            "dates": confirmed.dialect.dates,
        },
    )


def columns_digest_of(names: list[str]) -> str:
    """Independent of the order of the names."""
    return sha256("\0".join(sorted(make_unique_labels(names))).encode()).hexdigest()
