"""Some of a hundred kinds of film, and some damaged films; all of them are in `make drills`.

Those kinds are here that the first version of the site refused, or that a probe by another program does not see whole.
"""

import random

import pytest

from labs.convert_films import convert, damage
from labs.film_formats import FORMATS, FilmFormat, write_film
from labs.zlib_films import compress_header
from workers.video import quicktime

EVERY = 12
SUSPECTS = ("compress_", "timecode", "flashsv", "-c:v png", "libsvtav1 -preset 12 -c:a aac", "zmbv")
SOME = {
    film.name: film for at, film in enumerate(FORMATS) if at % EVERY == 0 or any(word in film.name for word in SUSPECTS)
}


def test_there_are_ninety_kinds_and_no_two_are_the_same():
    assert len({film.name for film in FORMATS}) == len(FORMATS) >= 90
    assert {film.suffix for film in FORMATS} >= {"mp4", "mov", "mkv", "webm", "avi", "mpg", "ts", "flv", "wmv", "ogv"}


@pytest.mark.parametrize("name", SOME)
def test_a_film_of_any_kind_is_converted_and_keeps_its_length(tmp_path, name):
    source = tmp_path / f"source.{SOME[name].suffix}"
    write_film(source, SOME[name])
    outcome = convert(source, tmp_path)
    assert outcome.sentence == ""
    assert outcome.keeps_length


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_film_ends_as_a_film_or_with_a_sentence(tmp_path, seed):
    """Any other error is raised."""
    film = FORMATS[seed * 17 % len(FORMATS)]
    source = tmp_path / f"source.{film.suffix}"
    write_film(source, film)
    source.write_bytes(damage(source.read_bytes(), random.Random(seed)))
    assert convert(source, tmp_path).sentence.endswith((".", "")), film.name
    assert not list(tmp_path.glob(".transcode-*"))


def test_a_film_that_ffmpeg_cannot_read_is_not_taken_for_a_converted_one(tmp_path):
    source = tmp_path / "source.mp4"
    write_film(source, FilmFormat("mp4", "-c:v libx264 -pix_fmt yuv420p"))
    source.write_bytes(source.read_bytes().replace(b"moov", b"none"))
    assert "could not be read as a video" in convert(source, tmp_path).sentence


def test_a_compressed_header_is_inflated_to_a_limit_only(tmp_path, monkeypatch):
    source = tmp_path / "source.mov"
    write_film(source, FilmFormat("mov", "-c:v libx264 -pix_fmt yuv420p", rewrite=compress_header))
    monkeypatch.setattr(quicktime, "MAX_HEADER_BYTES", 1000)
    assert "could not be read as a video" in convert(source, tmp_path).sentence
