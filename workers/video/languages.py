"""English names of the languages that sound tracks and subtitles mostly have, by their code in a film (ISO 639-2)."""

_NAMES = """
    alb Albanian, ara Arabic, arm Armenian, baq Basque, bul Bulgarian, cat Catalan, ces Czech, chi Chinese, cym
    Welsh, cze Czech, dan Danish, deu German, dut Dutch, ell Greek, eng English, est Estonian, eus Basque, fas
    Persian, fin Finnish, fra French, fre French, geo Georgian, ger German, gle Irish, glg Galician, gre Greek, heb
    Hebrew, hin Hindi, hrv Croatian, hun Hungarian, hye Armenian, ice Icelandic, ind Indonesian, isl Icelandic, ita
    Italian, jpn Japanese, kat Georgian, kor Korean, lav Latvian, lit Lithuanian, mac Macedonian, may Malay, mkd
    Macedonian, msa Malay, nld Dutch, nno Norwegian, nob Norwegian, nor Norwegian, per Persian, pol Polish, por
    Portuguese, ron Romanian, rum Romanian, rus Russian, slk Slovak, slo Slovak, slv Slovenian, spa Spanish, sqi
    Albanian, srp Serbian, swe Swedish, tam Tamil, tel Telugu, tha Thai, tur Turkish, ukr Ukrainian, urd Urdu, vie
    Vietnamese, wel Welsh, zho Chinese
"""
NAMES = dict(each.split() for each in _NAMES.split(","))


def language_name(code: str) -> str:
    """The code itself, if it is of another language."""
    return NAMES.get(code.lower(), code)
