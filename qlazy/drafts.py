"""Drafts: files that are still being written, each locked by its writer, so that those of the dead can be told.

A draft of ``run.npz`` is ``.run.npz.1a2b3c4d.tmp`` beside it. The lock goes with the process, however that ends;
a draft that anyone can lock is therefore nobody's. Where the system has no such locks, drafts are never removed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextmanager
def draft_of(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new binary file beside ``target``, removed at the end unless it has been moved away."""
    path, file = _locked_draft(target)
    try:
        with file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def is_draft(path: Path) -> bool:
    return _DRAFT.fullmatch(path.name) is not None


def remove_stale_drafts(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove the drafts that killed processes left anywhere below ``folder``; returns their paths.

    Those of living processes stay, on this machine or, where the file system locks across machines, on another.
    """
    if fcntl is None:
        return []
    found = (path for path in Path(folder).rglob(".*.tmp") if is_draft(path))
    return [path for path in found if _remove_if_stale(path)]


def _locked_draft(target: Path) -> tuple[Path, IO[bytes]]:
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        file = path.open("xb")
        if fcntl is None or _is_kept(path, file):
            return path, file
        file.close()


def _is_kept(path: Path, file: IO[bytes]) -> bool:
    """Lock a new draft; False where it was taken for a stale one before the lock was had."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks, where nobody can lock the draft to remove it either
        return True
    return path.exists()


def _remove_if_stale(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except OSError:  # in use, gone by now, or not ours to touch
        return False
    return True
