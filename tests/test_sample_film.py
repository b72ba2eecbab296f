"""Who has no video gets one from the site, to follow it from the click to the end (docs/0-life-of-a-message.md).

The film is smptehdbars of ffmpeg, 1280x720 at 25 pictures a second for 120 s, with a drawbox that moves by
mod(t*10,1200); libx264, preset veryfast, crf 40, a key picture each 1,000.
"""

from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.templatetags.static import static

from workers.video.probe import probe

NAME = "mediaapp/sample.mp4"


@pytest.mark.django_db
def test_an_empty_library_offers_it(as_alice):
    assert f'<a href="{static(NAME)}" download>' in as_alice.get("/").content.decode()


def test_it_is_small_and_takes_a_while():
    film = Path(finders.find(NAME))
    assert film.stat().st_size < 200_000
    info = probe(film)
    assert info.duration == pytest.approx(120, abs=1)
    assert (info.width, info.height) == (1280, 720)
