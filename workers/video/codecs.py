"""The formats that the sandbox's programs may read: what cameras, editors, recorders and the web write.

Each decoder reads what strangers wrote. Those of games, of one forgotten program, and MagicYUV (CVE-2026-8461) are
not in the list. It has the decoder of each encoder of ours that makes films, so that tests can make them all.
"""

CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg"

WEB = "h264 hevc vvc av1 libdav1d libaom-av1 vp3 theora vp4 vp5 vp6 vp6a vp6f vp7 vp8 vp9 libvpx libvpx-vp9"
MPEG = "mpeg1video mpeg2video mpegvideo mpeg4 h261 h263 h263i h263p msmpeg4v1 msmpeg4v2 msmpeg4 cavs svq1 svq3"
WINDOWS = "wmv1 wmv2 wmv3 wmv3image vc1 vc1image mss1 mss2 flv flashsv flashsv2 rv10 rv20 rv30 rv40 msvideo1 msrle"
STUDIOS = "prores prores_raw dnxhd cfhd dvvideo dvcprohd apv jpeg2000 hap hqx hq_hqa dxv aic pixlet speedhq media100"
CAMERAS = (
    "mjpeg mjpegb ljpeg jpegls sp5x amv asv1 asv2 vcr1 cljr cinepak indeo2 indeo3 indeo4 indeo5 rpza smc qtrle 8bps"
)
LOSSLESS = "ffv1 ffvhuff huffyuv hymt utvideo lagarith sheervideo snow dirac vc2 loco zlib mszh"
SCREENS = "camstudio tscc tscc2 zmbv fraps g2m fic screenpresso vmnc truemotion1 truemotion2 cyuv aura aura2"
RAW = "rawvideo v210 v210x v308 v408 v410 r10k r210 avrp avui y41p yuv4 ayuv bitpacked"
PICTURES = "png apng bmp gif webp tiff targa sgi dpx exr qdraw qoi pam ppm pgm pgmyuv sunrast"

SOUND = (
    "aac aac_latm ac3 eac3 mp1 mp1float mp2 mp2float mp3 mp3float mp3adu mp3adufloat mp3on4 mp3on4float als opus"
    " libopus vorbis libvorbis flac alac wavpack tta truehd mlp dca ape speex libspeex gsm gsm_ms ilbc amrnb amrwb"
    " libopencore_amrnb libopencore_amrwb evrc qcelp wmav1 wmav2 wmapro wmalossless wmavoice nellymoser qdm2 qdmc mace3"
    " mace6 cook ralf sipr atrac3 atrac3plus dvaudio s302m imc iac truespeech dolby_e g722 g726 g726le g723_1 g729"
    " adpcm_ms adpcm_ima_wav adpcm_ima_qt adpcm_ima_amv adpcm_swf adpcm_yamaha adpcm_ct adpcm_g722 roq_dpcm"
    " pcm_alaw pcm_bluray pcm_dvd pcm_mulaw pcm_s8 pcm_s8_planar pcm_u8 pcm_s16be pcm_s16be_planar pcm_s16le"
    " pcm_s16le_planar pcm_s24be pcm_s24daud pcm_s24le pcm_s24le_planar pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be"
    " pcm_s64le pcm_u16be pcm_u16le pcm_u24be pcm_u24le pcm_u32be pcm_u32le pcm_f16le pcm_f24le pcm_f32be pcm_f32le"
    " pcm_f64be pcm_f64le pcm_vidc"
)
# They are not shown. ffprobe opens them all the same, and prints nothing if one is refused.
SUBTITLES = (
    "ass ssa srt subrip text webvtt mov_text dvbsub dvdsub pgssub xsub cc_dec libzvbi_teletextdec libaribb24"
    " libaribcaption microdvd sami realtext subviewer"
)

DECODERS = ",".join(
    " ".join(
        (WEB, MPEG, WINDOWS, STUDIOS, CAMERAS, LOSSLESS, SCREENS, RAW, PICTURES, SOUND, SUBTITLES),
    ).split()
)
