"""Takes from a child process, for ever, each right that ffmpeg does not need. Linux only.

Landlock: it reads the system's programs and libraries, writes one folder, and opens nothing else. seccomp: it makes no
socket, reads no other process and signals none. A kernel may have neither; `missing_protections` tells.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Static or not, a program finds its loader and libraries here. No secret is here.
READABLE = ("/usr", "/lib", "/lib64", "/bin", "/nix/store", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, RULE_PATH_BENEATH = 444, 445, 446, 1  # the same on all processors
# https://docs.kernel.org/userspace-api/landlock.html
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG, TRUNCATE = (1 << bit for bit in (0, 1, 2, 3, 5, 8, 14))
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = WRITE_FILE | READ_FILE | READ_DIR | REMOVE_FILE | MAKE_REG | TRUNCATE
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
# By Landlock's version: the rights on files, on TCP (bind, connect), and on others' sockets and signals.
RULESETS = {
    1: (2**13 - 1,),
    2: (2**14 - 1,),
    3: (2**15 - 1,),
    4: (2**15 - 1, 3),
    5: (2**16 - 1, 3),
    6: (2**16 - 1, 3, 3),
}

# Their numbers on x86-64 and on ARM64.
FORBIDDEN_CALLS = {
    "socket": (41, 198),
    "kill": (62, 129),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "pidfd_getfd": (438, 438),
}
PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
KILL, REFUSE, ALLOW = 0x80000000, 0x00050001, 0x7FFF0000  # REFUSE: with EPERM
OTHER_ABI = 0x40000000  # x32 has numbers of its own

_libc = ctypes.PyDLL(None, use_errno=True)


@contextmanager
def confinement(program: str, writable: Iterable[Path]) -> Iterator[Callable[[], None]]:
    """What the child calls between fork and exec. All else is prepared before the fork.

    Raises in the child if the kernel refuses what it has: Popen then raises SubprocessError, and nothing is started.
    """
    ruleset, code = _ruleset(program, writable), _seccomp_filter() if has_seccomp() else b""
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))

    def confine() -> None:
        if sys.platform == "linux":
            _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if ruleset is not None and _libc.syscall(RESTRICT_SELF, ruleset, 0):
            raise OSError("Landlock refuses its ruleset")
        if code and _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
            raise OSError("seccomp refuses its filter")

    try:
        yield confine
    finally:
        if ruleset is not None:
            os.close(ruleset)


def missing_protections() -> list[str]:
    found = {"Landlock": landlock_version() > 0, "seccomp": has_seccomp()}
    return [name for name, is_there in found.items() if not is_there]


def has_seccomp() -> bool:
    """A kernel that has it complains of the address, another one of the mode. False on a processor that is unknown."""
    refused = sys.platform == "linux" and _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, None) == -1
    return bool(refused and ctypes.get_errno() == errno.EFAULT and _seccomp_filter())


def landlock_version() -> int:
    """0 where the kernel has none."""
    return max(0, _libc.syscall(CREATE_RULESET, None, 0, 1)) if sys.platform == "linux" else 0


def _ruleset(program: str, writable: Iterable[Path]) -> int | None:
    """A file descriptor, which is closed at exec."""
    version = min(landlock_version(), max(RULESETS))
    if not version:
        return None
    handled = struct.pack(f"{len(RULESETS[version])}Q", *RULESETS[version])
    ruleset: int = _libc.syscall(CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock takes no ruleset")
    allowed = {Path(program): READ} | {Path(path): READ for path in READABLE} | dict.fromkeys(writable, WRITE)
    for path, rights in allowed.items():
        if path.exists():
            _allow(ruleset, path, rights & RULESETS[version][0])
    return ruleset


def _allow(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights if path.is_dir() else rights & ON_FILES, descriptor)
        if _libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0):
            raise OSError(ctypes.get_errno(), "Landlock takes no rule", str(path))
    finally:
        os.close(descriptor)


def _seccomp_filter() -> bytes:
    """Instructions of classic BPF. None for a processor whose numbers are not known here."""
    if sys.platform != "linux" or platform.machine() not in PROCESSORS:
        return b""
    column, processor = PROCESSORS[platform.machine()]
    numbers = [call[column] for call in FORBIDDEN_CALLS.values()]
    steps = [(LOAD, 0, 0, 4), (IF_EQUAL, 1, 0, processor), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    steps.append((IF_AT_LEAST, len(numbers) + 1, 0, OTHER_ABI))
    steps += [(IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
