"""Which files a function opens while it is traced: Python's own functions that open are watched meanwhile.

(``sys.addaudithook`` would tell the same, but stays for good, and makes each ``id()`` of a program ten times dearer.)
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, final

import numpy as np

from qlazy.quantum.pennylane.surroundings.kinds import is_a_library


def _data_bases() -> tuple[tuple[Any, str], ...]:
    try:
        import sqlite3
    except ImportError:  # Python may be built without it
        return ()
    return ((sqlite3, "connect"),)


LARGEST = 2**24
"""Files of more bytes are told by a checksum."""
_OPENING: tuple[tuple[Any, str], ...] = (
    (builtins, "open"), (io, "open"), (io, "open_code"), (os, "open"),
    (np.lib.npyio.DataSource, "open"),  # which keeps a function of its own
)  # fmt: skip
_BEYOND: tuple[tuple[Any, str], ...] = (
    (os, "listdir"), (os, "scandir"), (os, "system"), (subprocess.Popen, "__init__"), (socket.socket, "__init__"),
    *_data_bases(),
)  # fmt: skip
"""Through these a function looks at what else is outside of the program: it is traced anew at every call."""


@final
class Opened:
    """The paths of files that were opened to be read, and whether anything else outside was looked at."""

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}
        self.is_beyond = False


@final
class File:
    """A file by its path, and the bytes it holds now."""

    def __init__(self, path: str) -> None:
        self._path = path

    def content(self) -> bytes | int | None:
        """None where there is no such file."""
        place = Path(self._path)
        try:
            if not place.is_file():
                return None
            return place.read_bytes() if place.stat().st_size <= LARGEST else _checksum(place)
        except OSError:
            return None


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while piece := file.read(LARGEST):
            found = zlib.crc32(piece, found)
    return found


class _Watching(threading.local):
    opened: Opened | None = None


@final
class _Watched:
    """The functions of Python's that are watched, as long as any thread asks for it."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0
        self._kept: list[tuple[Any, str, Any]] = []

    def begin(self) -> None:
        with self._lock:
            self._count += 1
            if self._count == 1:
                for owner, name in _OPENING:
                    self._watch(owner, name, _note_file)
                for owner, name in _BEYOND:
                    self._watch(owner, name, _note_beyond)

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            while self._count == 0 and self._kept:
                owner, name, function = self._kept.pop()
                setattr(owner, name, function)

    def _watch(self, owner: Any, name: str, note: Callable[..., None]) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def watched(*arguments: Any, **options: Any) -> Any:
            if _WATCHING.opened is not None and _is_asked_by_user(sys._getframe(1)):
                note(_WATCHING.opened, *arguments, **options)
            return function(*arguments, **options)

        self._kept.append((owner, name, function))
        setattr(owner, name, watched)


_WATCHING, _WATCHED = _Watching(), _Watched()


@contextmanager
def opened_within() -> Iterator[Opened]:
    """What the user's code opens within, also by functions of libraries that it calls."""
    before, _WATCHING.opened = _WATCHING.opened, Opened()
    _WATCHED.begin()
    try:
        yield _WATCHING.opened
    finally:
        _WATCHED.end()
        _WATCHING.opened = before


def _note_file(opened: Opened, *arguments: Any, **options: Any) -> None:
    if arguments and isinstance(arguments[0], np.lib.npyio.DataSource):
        arguments = arguments[1:]
    path = arguments[0] if arguments else options.get("file", options.get("path"))
    how = arguments[1] if len(arguments) > 1 else options.get("mode", options.get("flags", "r"))
    is_only_written = (
        how & os.O_ACCMODE == os.O_WRONLY if isinstance(how, int) else not {"r", "+"} & set(str(how))
    )
    if isinstance(path, str | bytes | os.PathLike) and not is_only_written:
        opened.paths[os.fsdecode(path)] = None


def _note_beyond(opened: Opened, *arguments: Any, **options: Any) -> None:
    opened.is_beyond = True


def _is_asked_by_user(frame: FrameType | None) -> bool:
    """Whether code that is no library's asked for it; Python's own import of modules does not count."""
    while frame is not None:
        home = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if home == "qlazy" or frame.f_code.co_filename.startswith("<frozen importlib"):
            return False
        if not is_a_library(home):
            return True
        frame = frame.f_back
    return False
