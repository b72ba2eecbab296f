"""A program in ffmpeg's place tries what a decoder that was taken over would try: to read secrets, and to call home.

Each trick is first shown to work without the sandbox.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from devtools.processes import ROOT, wait_until
from tests.videos import make_video
from workers import child_process
from workers.video import checks, confinement, limits, sandbox, stall
from workers.video.probe import probe

PROGRAM = """#!{python} -IS
import json, os, socket, sys

parent, folder, port = os.getppid(), {folder!r}, {port}
tries = {{
    "the worker's environment": lambda: open(f"/proc/{{parent}}/environ", "rb").read(1),
    "the worker's memory": lambda: open(f"/proc/{{parent}}/mem", "rb"),
    "the list of uploads": lambda: os.listdir(folder),
    "another upload": lambda: open(folder + "/secret").read(),
    "the accounts": lambda: open("/etc/passwd").read(),
    "a new file": lambda: open(folder + "/new", "w"),
    "TCP": lambda: socket.create_connection(("127.0.0.1", port)),
    "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "a local socket": lambda: socket.socket(socket.AF_UNIX),
    "a signal": lambda: os.kill(parent, 0),
}}
done = {{}}
for name, act in tries.items():
    try:
        act()
        done[name] = True
    except OSError as error:
        done[name] = False
print(json.dumps(done), file=sys.stderr)
sys.exit(1)
"""


@pytest.fixture
def protections():
    if missing := confinement.missing_protections():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"this kernel has no {' and no '.join(missing)}")


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "secret").write_text("the film of somebody else")
    return folder


@pytest.fixture
def program(uploads, tmp_path, monkeypatch):
    """Its interpreter may be outside of what the sandbox lets be read, which is where systems have theirs."""
    monkeypatch.setattr(confinement, "READABLE", (*confinement.READABLE, sys.base_prefix))
    path = tmp_path / "ffmpeg"
    with socket.create_server(("127.0.0.1", 0)) as server:
        python = os.path.realpath(sys.executable)
        path.write_text(PROGRAM.format(python=python, folder=str(uploads), port=server.getsockname()[1]))
        path.chmod(0o755)
        monkeypatch.setattr(sandbox.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(path))
        yield path


def run(source, *options, output=None):
    return sandbox.run(source, options, output, deadline=time.monotonic() + 600, on_progress=lambda _: None)


@pytest.mark.usefixtures("protections")
def test_a_program_in_ffmpegs_place_reads_and_reaches_nothing(program, uploads):
    bare = subprocess.run([program], capture_output=True, text=True, check=False, env={})
    assert set(json.loads(bare.stderr).values()) == {True}, "without the sandbox it does"

    done = json.loads(run(uploads / "secret").stderr)

    assert [name for name, worked in done.items() if worked] == []
    assert (uploads / "secret").exists()


@pytest.mark.usefixtures("protections")
@pytest.mark.parametrize(("folder", "is_allowed"), [("results", True), ("elsewhere", False)])
def test_ffmpeg_writes_into_the_folder_of_its_output_only(tmp_path, folder, is_allowed):
    for name in ("results", "elsewhere"):
        (tmp_path / name).mkdir()
    source, other = make_video(tmp_path / "f.mkv"), tmp_path / folder / "other.mkv"

    run(source, "-c", "copy", f"file:{other}", "-c", "copy", output=tmp_path / "results/film.mkv")

    assert other.exists() == is_allowed


@pytest.mark.usefixtures("protections")
@pytest.mark.parametrize(("constant", "value"), [("RETURN", 0xFFFF), ("RESTRICT_SELF", 0)], ids=["seccomp", "Landlock"])
def test_ffmpeg_does_not_start_if_the_kernel_refuses_to_confine_it(tmp_path, monkeypatch, constant, value):
    source = make_video(tmp_path / "f.mkv")
    monkeypatch.setattr(confinement, constant, value)
    with pytest.raises(subprocess.SubprocessError):
        run(source, "-c", "copy", output=tmp_path / "film.mkv")
    assert not (tmp_path / "film.mkv").exists()


def test_ffmpeg_can_gain_no_rights_from_what_it_starts(tmp_path):
    """sudo and the like do nothing for it."""
    seen = []

    def read_children(_):
        seen.extend(Path(f"/proc/{child.pid}/status").read_text() for child in psutil.Process().children())

    run_options = {"deadline": time.monotonic() + 600, "on_progress": read_children}
    sandbox.run(make_video(tmp_path / "f.mkv", seconds=3), ["-c:v", "libx264"], tmp_path / "film.mp4", **run_options)

    assert any("NoNewPrivs:\t1" in status and "Seccomp:\t2" in status for status in seen)


def test_a_film_that_needs_too_much_memory_is_called_too_large_not_damaged(tmp_path, monkeypatch):
    source = make_video(tmp_path / "large.mp4", size="3840x2160", seconds=0.5, sound=False)
    monkeypatch.setattr(limits, "MAX_MEMORY_BYTES", 300 * 1024**2)
    monkeypatch.setattr(limits, "MIN_MEMORY_BYTES", 300 * 1024**2)
    monkeypatch.setattr(stall, "STALL_SECONDS", 3)  # without memory, ffmpeg may wait for ever
    with pytest.raises(sandbox.VideoError, match="too large: it needs more memory"):
        run(source, "-c:v", "libx264", output=tmp_path / "film.mp4")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/app/worker", {"app/worker/memory.max": "max", "app/memory.max": str(2 * 1024**3)}, 2 * 1024**3),
        ("0::/", {"memory.max": str(1024**3)}, 1024**3),
        ("0::/hidden/by/the/container", {"memory.max": str(1024**3)}, 1024**3),
        ("4:memory:/docker/a", {"memory/docker/a/memory.limit_in_bytes": str(1024**3)}, 1024**3),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("0::/", {}, None),
    ],
)
def test_the_memory_is_that_of_the_container(tmp_path, monkeypatch, own, files, expected):
    unlimited = limits.memory_bytes()
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(limits, "OWN_CGROUP", tmp_path / "own")
    (tmp_path / "own").write_text(f"9:name=systemd:/\n{own}\n")
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert limits.memory_bytes() == (expected - limits.OWN_MEMORY_BYTES if expected else unlimited)


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mov"])
def test_a_decoder_that_nobody_needs_is_refused_by_name(tmp_path, suffix):
    source = make_video(tmp_path / f"film.{suffix}", "-c:v", "magicyuv", "-pix_fmt", "yuv444p", sound=False)
    with pytest.raises(sandbox.VideoError, match="coded as magicyuv, which the site does not read"):
        probe(source)
    ended = run(source, "-c:v", "libx264", output=tmp_path / "film.mp4")
    assert ended.returncode
    assert "not on whitelist" in ended.stderr


def test_a_worker_cannot_be_read_by_other_processes_of_its_user(start, tmp_path):
    start("video", app="tests.inspectable_app")
    told = {name: tmp_path / f"inspectable-{name}" for name in ("main", "child")}
    wait_until(lambda: all(file.exists() and file.read_text() for file in told.values()), "what its processes tell")
    assert {name: file.read_text() for name, file in told.items()} == {"main": "False", "child": "False"}
    assert child_process.is_inspectable(), "which the test is"


def test_a_worker_that_cannot_be_read_still_measures_its_memory():
    """Its own file in /proc is opened while the process is inspectable for a moment."""
    code = (
        "from workers import child_process; from workers.telemetry.meter import MemoryMeter;"
        "child_process.forbid_inspection(); meter = MemoryMeter();"
        "print(meter.peak_bytes() is not None, child_process.is_inspectable())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "False"]


def test_the_check_of_a_deploy_names_an_old_ffmpeg(tmp_path, monkeypatch):
    assert checks.check() == []
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\necho ffmpeg version 6.1.1 Copyright\n")
    old.chmod(0o755)
    monkeypatch.setattr(checks.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(old))
    [error] = checks.check()
    assert (error.id, "6.1.1" in error.msg) == ("video.E001", True)


def test_the_check_of_a_deploy_names_what_the_kernel_lacks(monkeypatch):
    monkeypatch.setattr(confinement, "landlock_version", lambda: 0)
    [warning] = checks.check()
    assert (warning.id, "no Landlock:" in warning.msg) == ("video.W001", True)


def test_without_landlock_a_video_is_transcoded_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(confinement, "landlock_version", lambda: 0)
    monkeypatch.setattr(confinement, "PROCESSORS", {})
    ended = run(make_video(tmp_path / "f.mkv"), "-c:v", "libx264", output=tmp_path / "film.mp4")
    assert (ended.returncode, (tmp_path / "film.mp4").exists()) == (0, True)
