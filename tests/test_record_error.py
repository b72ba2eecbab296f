"""The error of a failed run: the end of its traceback, which PostgreSQL can store and which names no secret."""

from workers.telemetry import metadata
from workers.telemetry.metadata import error_metadata


def raised(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        return error_metadata(error)["error"]


def test_it_is_the_end_of_the_traceback():
    text = raised("x" * 5000 + " the end")
    assert len(text) == metadata.ERROR_CHARACTERS
    assert text.endswith("x the end\n")
    assert "in raised\n    raise ValueError(text)\nValueError: short\n" in raised("short")


def test_it_names_no_password():
    assert raised("redis://:sesame@cache:6379").endswith("ValueError: redis://:...@cache:6379\n")


def test_postgresql_can_store_any_text():
    assert raised("a\0b\ud800c").endswith("ValueError: ab?c\n")
