"""Months by their names, in the languages in which no name means two months."""

import re
import unicodedata

# English, German, French, Spanish, Italian, Portuguese, Dutch, Danish, Norwegian and Swedish, without accents. A name
# may be cut to its abbreviation: three letters, or four where three are two months'.
_NAMES = {
    1: "january januar janner janvier enero gennaio janeiro januari",
    2: "february februar fevrier febrero febbraio fevereiro februari",
    3: "march marz maerz mars marts marzo marco maart mrt",
    4: "april avril abril aprile",
    5: "may mai mayo maggio maio mei maj",
    6: "june juni juin junio giugno junho",
    7: "july juli juillet julio luglio julho",
    8: "august aout agosto augustus augusti",
    9: "september sept septembre septiembre settembre setembro",
    10: "october oktober octobre octubre ottobre outubro",
    11: "november novembre noviembre novembro",
    12: "december desember dezember decembre diciembre dicembre dezembro",
}


def _number_prefixes() -> dict[str, int]:
    numbers: dict[str, set[int]] = {}
    for number, names in _NAMES.items():
        for name in names.split():
            for length in range(3, len(name) + 1):
                numbers.setdefault(name[:length], set()).add(number)
    return {prefix: min(months) for prefix, months in numbers.items() if len(months) == 1}


_NUMBERS = _number_prefixes()
_NAME = r"([^\W\d_]{3,12})\.?"
# 31 Dec 2024, 31-Dec-2024, 31. Dezember 2024, 31 de diciembre de 2024
_DAY_FIRST = re.compile(rf"(?m)^(\d{{1,2}})(?:st|nd|rd|th)?\.?(?: de |[ -]?){_NAME}(?: de |,? ?|-)(\d{{4}})$")
_MONTH_FIRST = re.compile(rf"(?m)^{_NAME} ?(\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})$")  # Dec 31, 2024
_YEAR_FIRST = re.compile(rf"(?m)^(\d{{4}})[ -]{_NAME}[ -](\d{{1,2}})$")  # 2024-Dec-31


def replace_month_names(text: str) -> str:
    """Writes dates with the name of a month as 2024-12-31. text: a line for each date."""
    if text.lower() == text.upper():  # no letters, which a regular expression finds out ten times slower
        return text
    text = _DAY_FIRST.sub(lambda found: _as_iso(found[0], found[3], found[2], found[1]), text)
    text = _MONTH_FIRST.sub(lambda found: _as_iso(found[0], found[3], found[1], found[2]), text)
    return _YEAR_FIRST.sub(lambda found: _as_iso(found[0], found[1], found[2], found[3]), text)


def _as_iso(written: str, year: str, name: str, day: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    month = _NUMBERS.get("".join(letter for letter in letters if not unicodedata.combining(letter)))
    return f"{year}-{month:02}-{int(day):02}" if month else written
