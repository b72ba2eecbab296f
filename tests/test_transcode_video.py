"""What a transcode makes of a video: the MP4, the poster, the progress, and the sentence of a failure."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.videos import bare_ffmpeg, colours, ffmpeg_output, loudness, make_video
from workers.video.ffmpeg import TranscodeResult, transcode
from workers.video.languages import language_name
from workers.video.probe import VideoUnreadable, probe

STAGES = ["looking at the file", "making the poster", "transcoding", "finishing"]


@pytest.fixture
def target(tmp_path):
    (tmp_path / "done").mkdir()
    return tmp_path / "done/film.mp4"


@pytest.fixture
def make(target):
    """Transcode a file to `target`, the poster beside it; `reports` holds what was reported."""

    def transcode_it(source: Path) -> TranscodeResult:
        return transcode(
            source,
            target,
            target.with_suffix(".jpg"),
            report=lambda *progress: transcode_it.reports.append(progress),
            time_limit=60,
        )

    transcode_it.reports = []
    return transcode_it


def files_beside(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_a_video_becomes_an_mp4_that_starts_before_it_is_whole(make, target, tmp_path):
    result = make(make_video(tmp_path / "holiday.avi"))

    said = ffmpeg_output(target)
    assert "Video: h264" in said
    assert "yuv420p" in said
    assert "Audio: aac" in said
    film_bytes = target.read_bytes()
    assert film_bytes.index(b"moov") < film_bytes.index(b"mdat")
    assert files_beside(target) == ["film.jpg", "film.mp4"]
    assert result.after == probe(target)
    assert json.loads(json.dumps(asdict(result)))["before"]["bytes"] > 0


def test_the_result_describes_the_video_before_and_after(make, tmp_path):
    result = make(make_video(tmp_path / "wide.mkv", seconds=0.2, size="2560x1440"))

    assert (result.before.width, result.before.height) == (2560, 1440)
    assert (result.after.width, result.after.height) == (1920, 1080)
    assert result.before.duration == pytest.approx(0.2, abs=0.1)
    assert result.after.duration == pytest.approx(0.2, abs=0.1)
    assert result.before.has_sound
    assert result.after.has_sound


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("1440x2560", (1080, 1920)),
        ("2000x1500", (1440, 1080)),
        ("1920x1080", (1920, 1080)),
        ("160x120", (160, 120)),
        ("161x121", (160, 120)),
    ],
)
def test_it_fits_1080p_is_even_and_never_enlarged(make, tmp_path, size, expected):
    after = make(make_video(tmp_path / "f.mov", "-pix_fmt", "yuv444p", "-frames:v", 1, size=size, sound=False)).after
    assert (after.width, after.height) == expected


def test_pixels_that_are_not_square_become_square(make, target, tmp_path):
    after = make(make_video(tmp_path / "dv.mov", "-vf", "setsar=16/15", size="720x576")).after
    assert (after.width, after.height) == (768, 576)
    assert "SAR 1:1" in ffmpeg_output(target)


def test_a_telephone_held_upright_gives_an_upright_video_and_poster(make, target, tmp_path):
    lying = make_video(tmp_path / "lying.mp4", "-vf", "drawbox=w=iw/2:color=red:t=fill", picture="color=blue")
    upright = tmp_path / "upright.mp4"
    bare_ffmpeg("-display_rotation", 90, "-i", lying, "-c", "copy", upright)

    result = make(upright)

    # Turned left by 90 degrees, what was at the left is at the bottom.
    assert (result.before.width, result.before.height) == (120, 160)
    assert (result.after.width, result.after.height) == (120, 160)
    for picture in (target, target.with_suffix(".jpg")):
        (top_red, _, top_blue), (bottom_red, _, bottom_blue) = colours(picture, columns=1, rows=2)
        assert top_blue > 200 > 50 > top_red
        assert bottom_red > 200 > 50 > bottom_blue


def test_a_video_without_sound_is_fine(make, tmp_path):
    assert not make(make_video(tmp_path / "silent.webm", "-c:v", "libvpx", sound=False)).after.has_sound


def test_only_the_first_picture_and_the_first_sound_are_kept(make, target, tmp_path):
    one, two = make_video(tmp_path / "one.mkv"), make_video(tmp_path / "two.mkv", size="320x240")
    both = tmp_path / "both.mkv"
    bare_ffmpeg("-i", one, "-i", two, "-map", 0, "-map", 1, "-c", "copy", both)

    make(both)

    assert ffmpeg_output(both).count(": Video: ") == 2
    assert ffmpeg_output(target).count(": Video: ") == 1
    assert ffmpeg_output(target).count(": Audio: ") == 1
    assert probe(target).width == 160


def test_a_cover_picture_is_not_the_video(make, tmp_path):
    cover, whole = tmp_path / "cover.jpg", tmp_path / "whole.mp4"
    bare_ffmpeg("-f", "lavfi", "-i", "color=red:size=300x300", "-frames:v", 1, cover)
    streams = ("-map", 0, "-map", 1, "-c", "copy", "-disposition:v:1", "attached_pic")
    bare_ffmpeg("-i", make_video(tmp_path / "film.mp4"), "-i", cover, *streams, whole)
    # Some writers put the box with the cover in front, which makes it the first stream.
    head, tracks = whole.read_bytes().split(b"trak", 1)
    head, length = head[:-4], head[-4:]
    udta = tracks.index(b"udta") - 4
    whole.write_bytes(head + tracks[udta:] + length + b"trak" + tracks[:udta])
    assert ": Video: mjpeg" in ffmpeg_output(whole).split("Stream #0:1")[0]

    assert make(whole).after.width == 160


def test_metadata_of_place_and_time_is_removed(make, target, tmp_path):
    private = ("-metadata", "title=Our garden", "-metadata", "location=+52.5163+013.3777/")
    dated = ("-metadata", "creation_time=2026-05-01T12:00:00Z", "-metadata:s:a", "language=deu")
    source = make_video(tmp_path / "garden.mov", *private, *dated)

    make(source)

    assert "Our garden" in ffmpeg_output(source)
    for word in ("Our garden", "+52.5", "2026-05-01", "deu"):
        assert word not in ffmpeg_output(target)


def test_the_poster_shows_a_frame_a_tenth_in_and_is_at_most_1280_wide(make, target, tmp_path):
    turns_green = "drawbox=color=green:t=fill:enable='gte(t,0.2)'"
    make(make_video(tmp_path / "f.mov", "-vf", turns_green, seconds=3, size="1600x900", picture="color=red"))

    poster = target.with_suffix(".jpg")
    red, green, _ = colours(poster)[0]
    assert green > 100 > 20 > red
    assert ", 1280x720" in ffmpeg_output(poster)


def test_a_video_of_a_single_frame_has_a_poster_too(make, target, tmp_path):
    make(make_video(tmp_path / "still.mp4", "-frames:v", 1, sound=False))
    assert colours(target.with_suffix(".jpg"))


def test_the_progress_goes_forward_through_its_stages(make, tmp_path):
    make(make_video(tmp_path / "f.mp4", seconds=4, size="640x480", rate=25))

    done, totals, stages = zip(*make.reports, strict=True)
    assert list(dict.fromkeys(stages)) == STAGES
    assert list(done) == sorted(done)
    assert done[-1] == 4
    assert set(totals) == {0, 4}


def test_a_video_that_does_not_say_its_length_is_measured(make, tmp_path):
    live = tmp_path / "live.mkv"
    live.write_bytes(bare_ffmpeg("-i", make_video(tmp_path / "f.mkv"), "-c", "copy", "-f", "matroska", "-live", 1, "-"))

    result = make(live)

    assert probe(live).duration == 0
    assert result.before.duration == pytest.approx(1, abs=0.1)
    assert result.after.duration == pytest.approx(1, abs=0.1)
    done, totals, _ = zip(*make.reports, strict=True)
    assert set(totals) == {0, result.before.duration}
    assert list(done) == sorted(done)


def test_a_file_that_is_no_video_fails_with_a_sentence_and_leaves_nothing(make, target, tmp_path):
    source = tmp_path / "film.mp4"
    source.write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(5000))

    with pytest.raises(VideoUnreadable) as failed:
        make(source)

    assert "could not be read as a video" in failed.value.sentence
    assert "Invalid data found" in failed.value.detail
    assert files_beside(target) == []


def test_sound_alone_fails_with_a_sentence(make, tmp_path):
    sound = tmp_path / "song.m4a"
    bare_ffmpeg("-f", "lavfi", "-i", "sine=440", "-t", 1, sound)
    with pytest.raises(VideoUnreadable, match="no moving pictures"):
        make(sound)


def test_a_truncated_file_fails_with_a_sentence_and_leaves_nothing(make, target, tmp_path):
    whole = make_video(tmp_path / "whole.mkv", "-g", 10, seconds=6)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    with pytest.raises(VideoUnreadable, match=r"ends in the middle \([23] of 6 seconds"):
        make(cut)

    assert files_beside(target) == []


def test_a_file_that_stops_a_moment_early_is_kept(make, tmp_path):
    whole = make_video(tmp_path / "whole.mkv", "-g", 10, seconds=4)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: round(whole.stat().st_size * 0.9)])
    assert make(cut).after.duration > 3


def test_a_film_with_a_timecode_track_is_transcoded_and_the_track_is_not_missed(make, target, tmp_path):
    result = make(make_video(tmp_path / "drone.mov", "-timecode", "01:00:00:00"))

    assert "Stream group" in ffmpeg_output(tmp_path / "drone.mov")
    assert (result.after.width, result.after.has_sound, result.left_out) == (160, True, ())


def test_the_default_sound_is_taken_and_what_is_left_out_is_named(make, target, tmp_path):
    subtitles, film = tmp_path / "said.srt", tmp_path / "film.mkv"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    silence = ("-f", "lavfi", "-i", "anullsrc")
    inputs = ("-i", make_video(tmp_path / "one.mp4"), *silence, "-i", subtitles)
    tags = ("-metadata:s:a:1", "title=Commentary", "-metadata:s:a:1", "language=eng", "-metadata:s:s:0", "language=fra")
    default = ("-disposition:a:0", "default", "-disposition:a:1", 0)
    bare_ffmpeg(*inputs, "-map", "1:a", "-map", "0:v", "-map", "0:a", "-map", "2", "-t", 1, *tags, *default, film)
    bare_ffmpeg(
        "-i",
        film,
        "-map",
        0,
        "-c",
        "copy",
        "-disposition:a:0",
        0,
        "-disposition:a:1",
        "default",
        film2 := tmp_path / "film2.mkv",
    )

    assert make(film).left_out == (
        {"kind": "sound track", "name": "Commentary, English"},
        {"kind": "subtitles", "name": "French"},
    )
    assert loudness(target) < -80, "the default track is the silent one"
    assert make(film2).left_out == ({"kind": "sound track", "name": ""}, {"kind": "subtitles", "name": "French"})
    assert loudness(target) > -40


@pytest.mark.parametrize(("code", "name"), [("deu", "German"), ("ger", "German"), ("ENG", "English"), ("tlh", "tlh")])
def test_a_language_has_its_english_name_or_keeps_its_code(code, name):
    assert language_name(code) == name
