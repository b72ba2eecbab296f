"""The filters that make pictures of any video ones that every screen shows: whole, upright, of ordinary light."""

from array import array
from pathlib import Path
from typing import Any

# ffmpeg has already rotated the picture. The result has an even size and square pixels.
SCALE = (
    "scale=w='min(iw*sar,{wide})':h='min(ih,{high})'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2:reset_sar=1"
)
SCALE_TO_1080P = SCALE.format(wide="if(gt(iw*sar,ih),1920,1080)", high="if(gt(iw*sar,ih),1080,1920)")
SCALE_POSTER = SCALE.format(wide=1280, high=1280)
JPEG_COLOURS = ",scale=out_color_matrix=bt601:out_range=full,format=yuvj420p"  # which every JPEG has

INTERLACED = {"tt", "bb", "tb", "bt"}
# Codecs whose frames say it, each for itself, where the stream does not.
INTERLACED_BY_FRAME = {"dvvideo", "mpeg2video", "mpeg4", "h264", "vc1", "wmv3"}
DEINTERLACE = "bwdif=mode=send_frame:deint={}"
MIN_DEINTERLACED = 16  # pixels: bwdif refuses pictures of a few

HDR_TRANSFERS = {"smpte2084", "arib-std-b67"}  # PQ, HLG
SDR_NITS, HDR_WHITE_NITS, PEAK_NITS = 100, 203, 1000  # white of SDR; of HDR by ITU-R BT.2408; what HLG peaks at
LIGHT = ",zscale=w=64:h=36:t=linear:npl=100,format=gbrpf32le"
TONE_MAP = (
    "zscale=t=linear:npl={white},format=gbrpf32le,zscale=p=bt709"
    ",tonemap=mobius:param=0.8:desat=0:peak={peak},zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)


def is_hdr(picture: dict[str, Any]) -> bool:
    return picture.get("color_transfer") in HDR_TRANSFERS


def light_filter(picture: dict[str, Any]) -> str:
    """The linear light of a small picture, in units of 100 nits: red, green and blue as 32-bit floats."""
    return _name_colours(picture) + LIGHT


def white_nits(files: list[Path]) -> float:
    """What is shown as white, from files that light_filter made.

    HDR white is 203 nits, and a film that is darker throughout was made for 100.
    """
    brightest = 0.0
    for file in files:
        if file.exists() and (content := file.read_bytes()):
            brightest = max(brightest, *array("f", content[: len(content) // 4 * 4]))
    return min(max(brightest * 100, SDR_NITS), HDR_WHITE_NITS) if brightest else HDR_WHITE_NITS


def chain(picture: dict[str, Any], scale: str, white: float) -> str:
    """white: nits, of HDR only."""
    steps = [_deinterlace(picture), scale]
    if is_hdr(picture):
        # Scaled before, because light is computed in floats.
        steps += [_name_colours(picture), TONE_MAP.format(white=round(white), peak=round(PEAK_NITS / white, 2))]
    return ",".join(filter(None, steps))


def _deinterlace(picture: dict[str, Any]) -> str:
    if min(picture["width"], picture["height"]) < MIN_DEINTERLACED:
        return ""
    order = picture.get("field_order", "unknown")
    if order in INTERLACED:
        return DEINTERLACE.format("all")
    if order == "unknown" and picture.get("codec_name") in INTERLACED_BY_FRAME:
        return DEINTERLACE.format("interlaced")
    return ""


def _name_colours(picture: dict[str, Any]) -> str:
    """zscale refuses colours that the file does not name."""
    primaries, matrix = picture.get("color_primaries", "bt2020"), picture.get("color_space", "bt2020nc")
    return f"setparams=color_primaries={primaries}:color_trc={picture['color_transfer']}:colorspace={matrix}"
