"""A file that is not UTF starts at once where it is plainly Western; of any other one its owner is asked."""

import io

import pytest

from mediaapp.uploads.mapping import guess_import_arguments
from tests.csv_imports import HEADER, catalogue, import_for
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.encoding import guess_encoding
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.inspection import inspect_file
from workers.csvimport.reading.sample import HEAD_BYTES

# ruff: noqa: RUF001 - letters that look like others are what this is about
WESTERN = {
    "German": ["Die Größe", "Übermut – „Käse“", "20 °C", "5 m³ für 9 €", "Müller´s Ölmühle", "ÄÖ", "60×80"],
    "French": ["L’Étranger", "À la recherche", "Œuvres complètes", "créée", "« Là »", "Noël", "N° 5", "aujourd’hui"],
    "Spanish": ["Cien años de soledad", "¿Qué pasa?", "¡Ay!", "2ª edición", "Nº 7", "pingüino", "García"],
    "Portuguese": ["Grande Sertão", "Canções", "Memórias Póstumas", "às três"],
    "Italian": ["Perché", "Città", "È così", "Più", "Ciò"],
    "Nordic": ["Røde Ærlig Århus", "Gösta Änglar Ång", "Täällä Pohjantähden"],
    "several": ["Die Größe", "Señor", "Café", "Øresund", "Coração", "Coeur · Herz", "Köln–Bonn"],
}
OTHERS = {
    "Turkish": ("cp1254", ["Şeker Portakalı", "Ağrı Dağı"]),
    "Turkish, one name": ("iso8859_9", ["Yaşar Kemal"]),
    "Greek": ("cp1253", ["Ζορμπάς", "Αναφορά στον Γκρέκο"]),
    "Greek, one word": ("cp1253", ["Ιλιάδα"]),
    "Polish": ("cp1250", ["Życie na gorąco", "Światło"]),
    "Czech": ("cp1250", ["Příliš hlučná samota", "Žert"]),
    "Hungarian": ("cp1250", ["Őszi hajnal"]),
    "Croatian": ("cp1250", ["Ivo Andrić", "Miroslav Krleža"]),
    "Romanian": ("cp1250", ["Moromeţii"]),
    "Russian": ("cp1251", ["Война и мир"]),
    "Mac, German": ("mac_roman", ["Müller"]),
    "Mac, French": ("mac_roman", ["Les Misérables", "Le Père Goriot"]),
    "Mac, Spanish": ("mac_roman", ["García Márquez", "Cien años"]),
    "DOS, German": ("cp850", ["Die Größe", "Müller"]),
    "Chinese": ("gb18030", ["红楼梦", "西游记"]),
    "Icelandic": ("cp1252", ["Þórbergur Þórðarson"]),
}


def file_of(titles: list[str], encoding: str) -> bytes:
    rows = "".join(f"A{number},{title},,,,,\n" for number, title in enumerate(titles))
    return (HEADER + rows).encode(encoding)


@pytest.mark.parametrize("language", WESTERN)
def test_a_plainly_western_file_starts_at_once(alice, language):
    data = file_of(WESTERN[language], "windows-1252")
    assert guess_import_arguments(alice.pk, io.BytesIO(data))["dialect"]
    assert guess_encoding(data, is_whole=True) == ("windows-1252", True)
    import_for(alice, data).run()
    assert [row[1] for row in catalogue(alice)] == WESTERN[language]


@pytest.mark.parametrize("language", OTHERS)
def test_of_any_other_file_the_owner_is_asked(alice, language):
    encoding, titles = OTHERS[language]
    assert guess_import_arguments(alice.pk, io.BytesIO(file_of(titles, encoding))) == {"dialect": None}


# The library's guess is another encoding, in which the same bytes are letters too.
GUESSED_WRONG = {"Turkish, one name", "Icelandic", "Mac, Spanish", "DOS, German"}


@pytest.mark.parametrize("language", sorted(OTHERS.keys() - GUESSED_WRONG))
def test_the_guess_is_right_where_the_letters_tell(language):
    encoding, titles = OTHERS[language]
    guess = guess_encoding(file_of(titles * 10, encoding), is_whole=True)
    assert guess == (encoding.replace("iso8859_9", "cp1254"), False)


@pytest.mark.parametrize("letter", ["ş", "ý"])
def test_letters_that_come_late_stop_the_import_before_its_first_row_until_somebody_has_chosen(alice, letter):
    rows = [f"A{number},Café {number},,,,,\n" for number in range(HEAD_BYTES // 20)]
    data = (HEADER + "".join(rows) + f"B1,Ya{letter}ar,,,,,\n").encode("cp1254" if letter == "ş" else "cp1252")
    assert guess_import_arguments(alice.pk, io.BytesIO(data))["dialect"]["encoding"] == ""
    with pytest.raises(CsvUnreadable, match="Change the mapping"):
        inspect_file(io.BytesIO(data))
    for encoding in ("cp1254", "windows-1252"):
        assert inspect_file(io.BytesIO(data), dialect=Dialect(encoding=encoding)).encoding == encoding
