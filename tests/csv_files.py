"""Files as real programs and people write them, each named by its difficulty, with the expected result."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HEADER = "external_id,title,creator,category,released_on,price,stock\n"
GERMAN = "Artikelnummer;Titel;Autor;Preis;Bestand;Erscheinungsdatum\n"
NUMBERS = "external_id;title;price;stock\n"
DATES = "external_id;title;released_on\n"


@dataclass(frozen=True)
class RealFile:
    """question: what its owner must choose before it starts, "" where it starts at once. choices: what they choose.

    values: field values of the row with the id A1.
    """

    make: Callable[[], str | bytes]
    created: int
    rejected: int = 0
    question: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        made = self.make()
        return made.encode() if isinstance(made, str) else made


def written(rows: list[list[str]], **dialect: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(rows)
    return text.getvalue()


def many(row: str, count: int = 20) -> str:
    """The row again and again, with its number for {n}."""
    return "".join(row.replace("{n}", str(number)) + "\n" for number in range(1, count + 1))


ROWS = [["external_id", "title", "price"], ["A1", 'The "Great", War', "9.90"], ["A2", "Two\nlines", ""]]
CYRILLIC = ["Война и мир", "Преступление и наказание", "Мастер и Маргарита", "Анна Каренина"] * 10
POLISH = ["Zażółć gęślą jaźń", "Łódź i Kraków", "Życie na gorąco", "Światło dnia"] * 10
TURKISH = ["Şeker Portakalı", "Ağrı Dağı Efsanesi", "İnce Memed", "Çalıkuşu"] * 10  # noqa: RUF001
GREEK = ["Ζορμπάς", "Οδύσσεια", "Αναφορά στον Γκρέκο", "Ο τελευταίος πειρασμός"] * 10  # noqa: RUF001
GERMAN_TITLES = ["Die Größe", "Schöne neue Welt", "Übermut", "Der Käsehändler"] * 10
HUNGARIAN = ["A Gyűrűk Ura", "Egri csillagok", "Őszi hajnal", "Tündérkert"] * 10
ICELANDIC = ["Sjálfstætt fólk", "Íslandsklukkan", "Brekkukotsannáll", "Þrúður"] * 10
JAPANESE = ["吾輩は猫である", "雪国", "ノルウェイの森", "銀河鉄道の夜"] * 10


def titled(titles: list[str], encoding: str) -> bytes:
    rows = "".join(f"A{number},{title}\n" for number, title in enumerate(titles, 1))
    return ("external_id,title\n" + rows).encode(encoding)


FILES = {
    "plain": RealFile(lambda: HEADER + many("A{n},Dune,Herbert,Book,1965-08-01,9.90,3"), 20, values={"stock": 3}),
    "with a byte order mark, from Excel": RealFile(
        lambda: "\ufeff" + HEADER + "A1,Größe,,,,,\n", 1, values={"title": "Größe"}
    ),
    "UTF-16 with a mark and tabs, from Excel's Unicode text": RealFile(
        lambda: (NUMBERS + many("A{n};Größe;9.90;3")).replace(";", "\t").encode("utf-16"), 20, values={"title": "Größe"}
    ),
    "UTF-16 LE without a mark": RealFile(
        lambda: (HEADER + many("A{n},Größe,,,,,")).encode("utf-16-le"), 20, values={"title": "Größe"}
    ),
    "UTF-16 BE without a mark": RealFile(
        lambda: (HEADER + many("A{n},吾輩は猫,,,,,")).encode("utf-16-be"), 20, values={"title": "吾輩は猫"}
    ),
    "Windows-1252, from a German Excel": RealFile(
        lambda: (GERMAN + many("A{n};Die Größe;Müller;1.234,56;1.000;31.12.2024")).encode("windows-1252"),
        20,
        question="columns",
        values={
            "title": "Die Größe",
            "creator": "Müller",
            "price": "1234.56",
            "stock": 1000,
            "released_on": "2024-12-31",
        },
    ),
    "Windows-1251, Cyrillic": RealFile(
        lambda: titled(CYRILLIC, "cp1251"),
        40,
        question="encoding",
        choices={"encoding": "cp1251"},
        values={"title": CYRILLIC[0]},
    ),
    "Windows-1250, Polish": RealFile(
        lambda: titled(POLISH, "cp1250"),
        40,
        question="encoding",
        choices={"encoding": "cp1250"},
        values={"title": POLISH[0]},
    ),
    "Windows-1254, Turkish": RealFile(
        lambda: titled(TURKISH, "cp1254"),
        40,
        question="encoding",
        choices={"encoding": "cp1254"},
        values={"title": TURKISH[0]},
    ),
    "Windows-1253, Greek": RealFile(
        lambda: titled(GREEK, "cp1253"),
        40,
        question="encoding",
        choices={"encoding": "cp1253"},
        values={"title": GREEK[0]},
    ),
    "Mac Roman, German": RealFile(
        lambda: titled(GERMAN_TITLES, "mac_roman"),
        40,
        question="encoding",
        choices={"encoding": "mac_roman"},
        values={"title": GERMAN_TITLES[0]},
    ),
    "Windows-1250, Hungarian": RealFile(
        lambda: titled(HUNGARIAN, "cp1250"),
        40,
        question="encoding",
        choices={"encoding": "cp1250"},
        values={"title": HUNGARIAN[0]},
    ),
    "Windows-1252, Icelandic": RealFile(
        lambda: titled(ICELANDIC, "cp1252"),
        40,
        question="encoding",
        choices={"encoding": "windows-1252"},
        values={"title": ICELANDIC[0]},
    ),
    "Shift JIS, Japanese": RealFile(
        lambda: titled(JAPANESE[:4], "shift_jis"),
        4,
        question="encoding",
        choices={"encoding": "shift_jis"},
        values={"title": JAPANESE[0]},
    ),
    "UTF-8 with strays from an older file": RealFile(
        lambda: (HEADER + many("A{n},Größe,,,,,")).encode() + b"B1,Caf\xe9,,,,,\n", 20, 1, values={"title": "Größe"}
    ),
    "Swiss numbers": RealFile(
        lambda: NUMBERS + many("A{n};Dune;1'234.50;1'000"), 20, values={"price": "1234.50", "stock": 1000}
    ),
    "French numbers with narrow spaces": RealFile(
        lambda: NUMBERS + many("A{n};Dune;1\u202f234,50 €;1\u00a0000"), 20, values={"price": "1234.50", "stock": 1000}
    ),
    "American numbers": RealFile(
        lambda: written([["external_id", "title", "price"], ["A1", "Dune", "$1,234.50"]]),
        1,
        values={"price": "1234.50"},
    ),
    "Spanish numbers": RealFile(
        lambda: NUMBERS + many("A{n};Dune;1.234,50 EUR;1.000"), 20, values={"price": "1234.50", "stock": 1000}
    ),
    "numbers that may be thousands": RealFile(
        lambda: NUMBERS + "A1;Dune;1.250;\nA2;Ubik;2.750;\n",
        2,
        question="decimal",
        choices={"decimal": ","},
        values={"price": "1250.00"},
    ),
    "decimal commas and a row with a point": RealFile(
        lambda: NUMBERS + "A1;Dune;9,90;1\nA2;Ubik;8,50;1\nA3;Emma;7.5;1\n", 2, 1, values={"price": "9.90"}
    ),
    "German dates": RealFile(
        lambda: DATES + "A1;Dune;1.8.1965\nA2;Ubik;31.12.2024\n", 2, values={"released_on": "1965-08-01"}
    ),
    "British dates": RealFile(
        lambda: DATES + "A1;Dune;03/04/2024\nA2;Ubik;31/12/2024\n", 2, values={"released_on": "2024-04-03"}
    ),
    "American dates": RealFile(
        lambda: DATES + "A1;Dune;03/04/2024\nA2;Ubik;12/31/2024\n", 2, values={"released_on": "2024-03-04"}
    ),
    "dates that may be either": RealFile(
        lambda: DATES + "A1;Dune;03/04/2024\n",
        1,
        question="dates",
        choices={"dates": "dmy"},
        values={"released_on": "2024-04-03"},
    ),
    "dates with midnight, from a database": RealFile(
        lambda: DATES + "A1;Dune;2024-04-03 00:00:00\n", 1, values={"released_on": "2024-04-03"}
    ),
    "two-digit years": RealFile(lambda: DATES + "A1;Dune;\nA2;Ubik;03.04.24\n", 1, 1),
    "ragged rows": RealFile(lambda: HEADER + "A1,Dune,,,,,\nA2,Ubik\nA3,Emma,,,,,,,x\n", 1, 2),
    "quoted newlines": RealFile(lambda: written(ROWS, lineterminator="\r\n"), 2, values={"title": 'The "Great", War'}),
    "single quotes": RealFile(
        lambda: "'external_id';'title'\n'A1';'Dune; or Arrakis'\n", 1, values={"title": "Dune; or Arrakis"}
    ),
    "backslashes before quotes, from MySQL": RealFile(
        lambda: '"external_id","title"\n"A1","The \\"Great\\", War"\n"A2","Ubik"\n',
        2,
        values={"title": 'The "Great", War'},
    ),
    "an unclosed quote": RealFile(lambda: HEADER + 'A1,Dune,,,,,\nA2,"Ubik,,,,,\nA3,Emma,,,,,\n', 2, 1),
    "NUL bytes": RealFile(lambda: HEADER + "A1,Dune,,,,,\nA2,Ub\0ik,,,,,\n", 1, 1),
    "Ctrl-Z at the end, from DOS": RealFile(lambda: HEADER + "A1,Dune,,,,,\nA2,Ubik,,,,,\n\x1a", 2),
    "Ctrl-Z behind the last cell, and a filled block": RealFile(
        lambda: "external_id,title\nA2,Ubik\nA1,Dune\x1a" + "\0" * 100, 2, values={"title": "Dune"}
    ),
    "a NUL early": RealFile(lambda: HEADER + "A2,Ub\0ik,,,,,\n" + many("A{n}x,Dune,,,,,") + "A1,Emma,,,,,\n", 21, 1),
    "a NUL in a column that is not imported": RealFile(
        lambda: "external_id,title,remark\nA1,Dune,\0\n", 1, values={"title": "Dune"}
    ),
    "a NUL in the header": RealFile(lambda: "external_id,ti\0tle\nA1,Dune\n", 1, values={"title": "Dune"}),
    "delimiters at the end of rows only": RealFile(
        lambda: "external_id;title;stock\nA1;Dune;3;\nA2;Ubik;;;\nA3;Emma;1; \nA4;Ulysses;1;;x\n",
        3,
        1,
        values={"stock": 3},
    ),
    "columns called line and reason": RealFile(
        lambda: "external_id,title,line,reason\nA1,'=Dune,5,old\n", 1, values={"title": "'=Dune"}
    ),
    "times behind the days": RealFile(
        lambda: DATES + "A1;Dune;2024-12-31 14:22:11\nA2;Ubik;2024-12-31T00:00:00Z\nA3;Emma;12/31/2024 2:05:00 PM\n",
        3,
        values={"released_on": "2024-12-31"},
    ),
    "months by their names": RealFile(
        lambda: DATES + "A1;Dune;31 Dec 2024\nA2;Ubik;31-Dec-2024\nA3;Emma;December 31, 2024\n",
        3,
        values={"released_on": "2024-12-31"},
    ),
    "a line about the delimiter, for Excel": RealFile(
        lambda: "sep=;\n" + NUMBERS + many("A{n};Bread, Salt;9.90;3"), 20
    ),
    "a line about the delimiter, and unknown names": RealFile(
        lambda: "sep=;\r\n" + GERMAN + "A1;Dune;Herbert;9,90;3;31.12.2024\r\n",
        1,
        question="columns",
        values={"stock": 3},
    ),
    "a title, a blank line, the names": RealFile(
        lambda: "Books in stock, 2024\n\n" + NUMBERS + many("A{n};Dune;9.90;3"), 20, values={"price": "9.90"}
    ),
    "a title padded by a spreadsheet": RealFile(
        lambda: "Bücher 2024;;;;;\n;;;;;\n" + GERMAN + many("A{n};Dune;Herbert;9,90;3;31.12.2024"),
        20,
        question="columns",
        values={"price": "9.90"},
    ),
    "facts above the table": RealFile(
        lambda: "Customer,ACME\nDate,2024-12-31\n\n" + HEADER + many("A{n},Dune,,,,9.90,"), 20, values={"price": "9.90"}
    ),
    "comments above the table": RealFile(
        lambda: "# exported by a shop\n# on 2024-12-31, at night\n" + HEADER + many("A{n},Dune,,,,9.90,"), 20
    ),
    "a column called #": RealFile(lambda: "#,external_id,title\n1,A1,Dune\n2,A2,Ubik\n", 2),
    "ids that begin with #": RealFile(lambda: "external_id,title\n#1,Dune\nA1,Emma\n", 2, values={"title": "Emma"}),
    "a cell longer than any": RealFile(lambda: HEADER + "A1,Dune,,,,,\nA2," + "x" * 200_000 + ",,,,,\n", 1, 1),
    "10,000 columns": RealFile(
        lambda: (
            ",".join(["external_id", "title", *map(str, range(9_998))]) + "\n" + many("A{n},Dune" + ",x" * 9_998, 5)
        ),
        5,
    ),
    "two columns of one name": RealFile(
        lambda: "external_id,title,Title\nA1,Dune,Ubik\n", 1, question="columns", values={"title": "Dune"}
    ),
    "old Mac line ends": RealFile(lambda: (HEADER + "A1,Dune,,,,,\nA2,Ubik,,,,,\n").replace("\n", "\r"), 2),
    "one key twice": RealFile(lambda: HEADER + "A1,Dune,,,,,\nA1,Ubik,,,,,\n", 1, values={"title": "Ubik"}),
    "semicolons, and commas in the texts": RealFile(lambda: "external_id;title\n" + many("A{n};Bread, Salt, Wine"), 20),
    "vertical bars": RealFile(lambda: (HEADER + "A1,Dune,,,,,\n").replace(",", "|"), 1),
    "a date column without a name": RealFile(
        lambda: "external_id,title,\nA1,Dune,2024-12-31\n", 1, question="columns", values={"released_on": "2024-12-31"}
    ),
    "misspelt names": RealFile(
        lambda: "Externl ID,Titel,Catagory\nA1,Dune,Novel\n", 1, question="columns", values={"category": "Novel"}
    ),
    "blank lines and spaces": RealFile(
        lambda: "\n\nexternal_id , title\n\n A1 , Dune \n\n\n", 1, values={"title": "Dune"}
    ),
}
