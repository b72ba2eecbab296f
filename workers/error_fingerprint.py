"""One line for an error, and a fingerprint that is the same for equal errors of different jobs.

An exception's fingerprint is made of its class and of the innermost functions of our own code in its traceback, without
line numbers, so that a deploy does not change it. Any other error has that of its text, without what differs from job
to job: numbers, ids, paths, quoted words.
"""

import re
import sysconfig
import traceback
from hashlib import sha256
from pathlib import Path
from types import FrameType

from workers.log_context import redact

MAX_CHARACTERS = 300
FRAMES = 3  # a caller further out says nothing of the cause
LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
VARIABLE_PARTS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE), "<id>"),
    (re.compile(r"\"[^\"]*\"|'[^']*'|“[^”]*”|`[^`]*`"), "<text>"),
    (re.compile(r"(?<!\w)[\w.:-]*/[\w./:-]+"), "<path>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<number>"),
)


def describe_error(error: BaseException) -> str:
    """Such as `ValueError: bad price`, without passwords of addresses."""
    text = redact(" ".join(str(error).replace("\x00", "").split()))
    name = type(error).__name__
    return (f"{name}: {text}" if text.strip("()") not in ("", name) else name)[:MAX_CHARACTERS]


def fingerprint_error(error: BaseException) -> str:
    own = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if is_own(frame)]
    if not own:
        return fingerprint_text(describe_error(error))
    functions = [f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}" for frame in own[-FRAMES:]]
    return _digest(type(error).__module__, type(error).__qualname__, *functions)


def fingerprint_text(text: str) -> str:
    for variable, name in VARIABLE_PARTS:
        text = variable.sub(name, text)
    return _digest(text)


def is_own(frame: FrameType) -> bool:
    """Whether it is neither Python's nor an installed package's."""
    path = frame.f_code.co_filename
    return Path(path).is_absolute() and not path.startswith(LIBRARIES)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
