"""Results on disk: arrays and JSON in one file, never pickle, and never half a file.

The file is an uncompressed zip of ``.npy`` members, which ``numpy.load`` reads as an ``.npz``, with a member
``settings.json`` beside them. Every member carries a checksum, and equal contents give equal bytes.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from qlazy.base.errors import path_of

try:
    import fcntl
except ImportError:  # Windows, which has no such locks: there drafts are never removed
    fcntl = None  # type: ignore[assignment]

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")

Arrays = dict[str, NDArray[Any]]
Settings = dict[str, Any]

_SETTINGS = "settings.json"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of ``path`` when the block ends, and vanishes if it raises.

    A reader, a killed writer or a power cut finds the old contents or the new, never a part. Missing folders are
    made. An OSError, such as that of a full disk, names ``path``.
    """
    target = path_of("path", path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(target) as (draft, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":
                file.close()  # Windows moves no open file; elsewhere the draft stays locked until it is moved
            draft.replace(target)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def require_writable(folder: str | os.PathLike[str]) -> Path:
    """Make the folder, if there is none, and see that files can be written to it, before the work that they are for.

    Raises OSError naming it.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with draft_of(place / "writable"):
            return place
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(place)) from error


def atomic_create(path: str | os.PathLike[str], contents: bytes) -> None:
    """Write a new file at once. Raises FileExistsError where another process was quicker."""
    target = Path(path)
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(target) as (draft, file):
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
        os.link(draft, target)  # unlike a move, it fails where the name is taken


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]
) -> Path:
    """Write arrays and JSON settings to one file, atomically; returns its path.

    Raises TypeError for settings that are not JSON, ValueError for NaN among them and for object arrays.
    """
    text = json.dumps(settings, indent=1, allow_nan=False, ensure_ascii=False)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_SETTINGS), text)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, np.asanyarray(array), allow_pickle=False)
    return Path(path)


def load_arrays(path: str | os.PathLike[str]) -> tuple[Arrays, Settings]:
    """What :func:`save_arrays` wrote: arrays bit for bit, and the settings.

    Raises ValueError naming the file where it is truncated, corrupted or of another kind; OSError where it
    cannot be opened.
    """
    with path_of("path", path).open("rb") as file:
        try:
            return _read(file)
        except Exception as error:
            # A damaged zip raises nearly anything, from KeyError to struct.error; the reader needs the file.
            raise ValueError(f"{os.fspath(path)} is damaged or not a qlazy result: {error}") from error


def _read(file: IO[bytes]) -> tuple[Arrays, Settings]:
    arrays: Arrays = {}
    with zipfile.ZipFile(file) as archive:
        _check_members(file, archive)
        settings = json.loads(archive.read(_SETTINGS))
        for name in archive.namelist():
            if name != _SETTINGS:
                arrays[name.removesuffix(".npy")] = _read_array(archive, name)
    return arrays, settings


def _check_members(file: IO[bytes], archive: zipfile.ZipFile) -> None:
    """Refuse a list of members that lost some: by a comment that swallows them, or a name that became another's."""
    file.seek(-22, os.SEEK_END)  # the end of a zip without a comment
    count = int.from_bytes(file.read(22)[10:12], "little")
    members = archive.infolist()
    whole = count == len({info.filename for info in members}) == len(members)
    plain = (not info.comment and (not info.extra or _is_large(info)) for info in members)
    if archive.comment or not whole or not all(plain):
        raise ValueError("its list of members is not as it was written")


def _is_large(info: zipfile.ZipInfo) -> bool:
    return max(info.file_size, info.header_offset) >= zipfile.ZIP64_LIMIT


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as member:
        array = npy.read_array(member, allow_pickle=False)
        # The checksum is compared at the end of the member, which the array alone may not reach.
        if member.read():
            raise ValueError(f"{name} is longer than its array")
    return array


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
