"""What a transcode does to pictures that no ordinary screen shows as they are: HDR and interlaced film."""

import re
import subprocess

import pytest

from tests.videos import FFMPEG, bare_ffmpeg, colours, make_video
from workers.video.ffmpeg import transcode

TAGS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
TO_HDR = "zscale=p=2020:t={transfer}:m=2020_ncl:r=tv:npl={nits},format=yuv420p10le"
FIELDS = "tinterlace=interleave_top,setfield=tff"
INTERLACED = {
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-b:v", "8M"),
    "h264.mp4": ("-c:v", "libx264", "-flags", "+ildct+ilme"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-flags", "+ildct+ilme", "-q:v", 2),
    "prores.mov": ("-c:v", "prores_ks", "-flags", "+ildct", "-pix_fmt", "yuv422p10le"),
    "mjpeg.mov": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "dv.avi": ("-c:v", "dvvideo"),
}


@pytest.fixture
def transcoded(tmp_path):
    """The MP4 that a transcode makes, its poster beside it."""
    (tmp_path / "done").mkdir()
    target = tmp_path / "done/film.mp4"

    def make(source):
        transcode(source, target, target.with_suffix(".jpg"), report=lambda *_: None, time_limit=60)
        return target

    return make


def furthest(one, other):
    """The greatest difference of a colour, of 255."""
    grids = (colours(path, columns=8, rows=6) for path in (one, other))
    return max(abs(a - b) for pair in zip(*grids, strict=True) for a, b in zip(*pair, strict=True))


@pytest.fixture
def hdr_pair(tmp_path):
    """A picture in SDR, and the same in HDR whose white has `nits`."""

    def make(picture, transfer, nits, *tags):
        sdr, hdr = tmp_path / "sdr.mp4", tmp_path / "hdr.mp4"
        names = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
        ordinary = ("-vf", f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{TAGS}", *names)
        make_video(sdr, *ordinary, "-qp", 1, picture=picture, size="320x240", rate=5, sound=False)
        coding = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-crf", 5)
        bare_ffmpeg("-i", sdr, "-vf", TO_HDR.format(transfer=transfer, nits=nits), *coding, *tags, hdr)
        return sdr, hdr

    return make


NAMED = ("-color_primaries", "bt2020", "-colorspace", "bt2020nc")


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("nits", [100, 203])
@pytest.mark.parametrize("picture", ["rgbtestsrc", "smptehdbars"])
def test_an_hdr_film_and_its_poster_look_like_the_sdr_one(hdr_pair, transcoded, picture, nits, transfer):
    sdr, hdr = hdr_pair(picture, transfer, nits, "-color_trc", transfer, *NAMED)
    assert furthest(sdr, hdr) > 60, "unchanged it is washed out"

    target = transcoded(hdr)

    assert furthest(sdr, target.with_suffix(".jpg")) <= 25
    assert furthest(sdr, target) <= 25


def test_hdr_that_names_only_its_transfer_is_shown_too(hdr_pair, transcoded):
    sdr, hdr = hdr_pair("smptehdbars", "smpte2084", 203, "-color_trc", "smpte2084")
    assert furthest(sdr, transcoded(hdr)) <= 25


def test_an_ordinary_film_keeps_its_colours(hdr_pair, transcoded):
    sdr, _ = hdr_pair("smptehdbars", "smpte2084", 203)
    target = transcoded(sdr)
    assert furthest(sdr, target) <= 8
    assert furthest(sdr, target.with_suffix(".jpg")) <= 12


def combed(path):
    """Pictures that ffmpeg's idet takes for two fields of different moments."""
    command = [FFMPEG, "-hide_banner", "-nostdin", "-i", str(path), "-vf", "extractplanes=y,idet", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return sum(map(int, re.findall(r"[TB]FF: *(\d+)", said.split("Multi frame detection:")[-1])))


@pytest.mark.parametrize("name", INTERLACED)
def test_an_interlaced_film_has_no_combs(transcoded, tmp_path, name):
    source = tmp_path / name
    image = f"testsrc2=size=720x576:rate=50:duration=1,{FIELDS}"
    bare_ffmpeg("-f", "lavfi", "-i", image, "-pix_fmt", "yuv420p", *INTERLACED[name], source)
    assert combed(source) >= 24

    assert combed(transcoded(source)) <= 6


def test_a_progressive_film_is_not_blurred(transcoded, tmp_path):
    """Deinterlaced, the last line of each pair would be a mean of its neighbours."""
    lines = "geq=lum='if(mod(Y,2),235,16)':cb=128:cr=128"
    source = make_video(tmp_path / "lines.mp4", "-vf", lines, size="64x64", sound=False)
    rows = colours(transcoded(source), columns=1, rows=64)
    assert min(row[0] for row in rows[1::2]) > 200
    assert max(row[0] for row in rows[::2]) < 50
