"""A transcode keeps the times of a video whose pictures do not follow each other at one rate."""

import time
from pathlib import Path

import pytest

from tests.videos import bare_ffmpeg, make_video
from workers.video.ffmpeg import transcode
from workers.video.probe import inspect
from workers.video.timeline import Timeline, measure

# One second at 30 pictures a second, then one picture at 10, 20 and 30 s, as a screen recording has it.
SPARSE = "setpts='if(lt(N,30),N/30,(N-29)*10)/TB'"
# A picture a second for 100 s, then 60 a second.
THEN_FAST = "setpts='if(lt(N,100),N,100+(N-100)/60)/TB'"
# As a phone that drops pictures in the dark.
JUMPY = "setpts='(N+floor(N/7))/30/TB'"
FORMATS = {
    "mkv": ("-bf", 0, "-enc_time_base", "1:1000"),
    "mp4": ("-bf", 0, "-enc_time_base", "1:90000"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime"),
    "flv": ("-bf", 0),
}


def timeline_of(path: Path) -> Timeline:
    return measure(path, inspect(path), deadline=time.monotonic() + 600, on_tick=lambda: None)


def transcoded(source: Path) -> tuple[Timeline, float]:
    target = source.with_name("result.mp4")
    result = transcode(source, target, target.with_suffix(".jpg"), report=lambda *_: None, time_limit=600)
    return timeline_of(target), result.after.duration


@pytest.fixture
def film(tmp_path):
    def make(times: str, suffix: str, *options: object, seconds: float = 1.1, rate: int = 30) -> Path:
        image = f"testsrc2=size=160x120:rate={rate}:duration={seconds}"
        coding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *FORMATS[suffix])
        path = tmp_path / f"film.{suffix}"
        bare_ffmpeg("-f", "lavfi", "-i", image, "-vf", times, "-fps_mode", "vfr", *coding, *options, path)
        return path

    return make


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_silent_screen_recording_keeps_its_length_and_its_last_picture(film, suffix):
    source = film(SPARSE, suffix)
    after, declared = transcoded(source)
    assert len(after.pictures) == len(timeline_of(source).pictures) == 33
    assert declared == pytest.approx(30, abs=0.3)
    assert declared > after.pictures[-1] == pytest.approx(30, abs=0.01)


def test_a_recording_with_sound_keeps_its_last_picture(film, tmp_path):
    silent, source = film(SPARSE, "mkv"), tmp_path / "sound.mkv"
    bare_ffmpeg("-i", silent, "-f", "lavfi", "-i", "sine=duration=25", "-map", 0, "-map", 1, "-c:v", "copy", source)
    after, declared = transcoded(source)
    assert declared > after.pictures[-1] == pytest.approx(30, abs=0.01)


def test_a_last_picture_that_stays_for_long_stays(film):
    source = film(SPARSE, "mp4", "-bsf:v", "setts=duration='if(gte(N,32),10/TB,DURATION)'")
    assert transcoded(source)[1] == pytest.approx(40, abs=0.3)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_no_picture_is_lost_where_a_film_becomes_faster(film, suffix):
    source = film(THEN_FAST, suffix, seconds=3, rate=60)
    after, declared = transcoded(source)
    assert len(after.pictures) == 180
    assert declared == pytest.approx(101.333, abs=0.3)


def test_a_film_with_dropped_pictures_keeps_each_time(film):
    source = film(JUMPY, "mp4", seconds=2)
    before, (after, declared) = timeline_of(source), transcoded(source)
    assert [round(at, 2) for at in after.pictures] == [round(at, 2) for at in before.pictures]
    assert declared == pytest.approx(before.length, abs=0.1)


def test_a_film_of_one_rate_still_gets_the_smaller_coding(tmp_path):
    """B-frames, which the others do without: their decoding times run behind the pictures."""
    source = make_video(tmp_path / "even.mkv", seconds=2, rate=30, sound=False)
    transcoded(source)
    packets = bare_ffmpeg("-i", tmp_path / "result.mp4", "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
    times = [int(line.split(",")[2]) for line in packets if not line.startswith("#")]
    assert times != sorted(times)
