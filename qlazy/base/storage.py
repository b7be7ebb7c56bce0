"""Results on disk: arrays and JSON in one file, never pickle, and never half a file.

The file is an uncompressed zip of ``.npy`` members, which ``numpy.load`` reads as an ``.npz``, with a member
``settings.json`` beside them, and a digest of them all, so that no part can be exchanged, added or left out. Every
member carries a checksum, and equal contents give equal bytes. What a file says of its sizes is held to its length
before anything is allocated.
"""

from __future__ import annotations

import errno
import functools
import io
import json
import math
import os
import re
import secrets
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from qlazy.base.errors import path_of, require

try:
    import fcntl
except ImportError:  # Windows, which has no such locks: there drafts are never removed
    fcntl = None  # type: ignore[assignment]

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")

Arrays = dict[str, NDArray[Any]]
Settings = dict[str, Any]

_SETTINGS = "settings.json"
_DIGEST = "digest.txt"
_LARGEST_AXIS = 2**40
_LONGEST_HEAD = 10_000
_LENGTHS = {(1, 0): 2, (2, 0): 4}
"""Bytes that tell the length of the head of an ``.npy``, by its format."""
_PIECE = 2**20


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
        archive.writestr(zipfile.ZipInfo(_DIGEST), _digest_of(text.encode(), arrays))
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
        text = archive.read(_SETTINGS)
        settings = json.loads(text)
        for name in archive.namelist():
            if name not in (_SETTINGS, _DIGEST):
                arrays[name.removesuffix(".npy")] = _read_array(archive, name)
        if archive.read(_DIGEST).decode() != _digest_of(text, arrays):
            raise ValueError("its parts do not belong together")
    if not isinstance(settings, dict):
        raise ValueError("its settings are no mapping")
    return arrays, settings


def _digest_of(text: bytes, arrays: Mapping[str, NDArray[Any]]) -> str:
    """64 hexadecimal digits of the settings and of every array with its name, type and shape."""
    found = sha256(text)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"\0{name}\0{array.dtype.str}{array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _check_members(file: IO[bytes], archive: zipfile.ZipFile) -> None:
    """Refuse a list of members that lost some: by a comment that swallows them, or a name that became another's."""
    file.seek(-22, os.SEEK_END)  # the end of a zip without a comment
    count = int.from_bytes(file.read(22)[10:12], "little")
    members = archive.infolist()
    whole = count == len({info.filename for info in members}) == len(members)
    plain = (not info.comment and (not info.extra or _is_large(info)) for info in members)
    if archive.comment or not whole or not all(plain):
        raise ValueError("its list of members is not as it was written")
    stored = all(info.compress_type == zipfile.ZIP_STORED for info in members)
    if not stored or sum(info.file_size for info in members) > file.seek(0, os.SEEK_END):
        raise ValueError("its members are larger than the file")


def _is_large(info: zipfile.ZipInfo) -> bool:
    return max(info.file_size, info.header_offset) >= zipfile.ZIP64_LIMIT


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as member:
        shape, transposed, dtype = require_whole_array(member, archive.getinfo(name).file_size)
        array = np.empty(shape[::-1] if transposed else shape, dtype)
        # The checksum is compared once the member has been read to its end.
        _fill(array.reshape(-1).view(np.uint8).data, member)
    return array.T if transposed else array


def _fill(place: memoryview, file: IO[bytes]) -> None:
    """Read bytes to the end of a file that is known to have as many as ``place``."""
    start = 0
    while piece := file.read(_PIECE):
        place[start : start + len(piece)] = piece
        start += len(piece)
    if start != len(place):
        raise ValueError("an array ends before its last number")


def require_whole_array(file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Refuse an ``.npy`` of ``size`` bytes whose head speaks of more or other than numbers and texts of that length.

    Before anything is allocated. Returns the shape, whether columns come first, and the type. Raises ValueError.
    """
    version = npy.read_magic(file)
    if version not in _LENGTHS:
        raise ValueError(f"an array is of the format {version}")
    length = file.read(_LENGTHS[version])
    text = file.read(min(int.from_bytes(length, "little"), _LONGEST_HEAD))
    shape, transposed, dtype = _head(version, length + text)
    if dtype.kind not in "biufcSU" or dtype.itemsize == 0:
        raise ValueError(f"an array must hold numbers or texts, but is of {dtype}")
    if not all(0 <= extent < _LARGEST_AXIS for extent in shape) or len(shape) > 32:
        raise ValueError(f"an array has the shape {shape}")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"an array of shape {shape} and {dtype} is not {size} bytes long")
    return shape, transposed, dtype


@functools.lru_cache(maxsize=1024)
def _head(version: tuple[int, int], text: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Parse the head of an ``.npy``, which Python compiles: runs of a sweep have the same ones."""
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, transposed, dtype = read(io.BytesIO(text))
    return shape, transposed, dtype


def write_json(path: str | os.PathLike[str], value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, atomically, with a digest of itself under the name "digest"."""
    text = json.dumps({**value, "digest": _digest_of_json(value)}, indent=1, ensure_ascii=False)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "surrogatepass"))


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What :func:`write_json` wrote. Raises ValueError naming a file that is damaged, and OSError as reading does."""
    contents = Path(path).read_bytes()
    try:
        found = json.loads(contents.decode("utf-8", "surrogatepass"))
        own = found.pop("digest", None) if isinstance(found, dict) else None
        if own is None or own != _digest_of_json(found):
            raise ValueError("its parts do not belong together")
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{os.fspath(path)} is damaged or not a qlazy result: {reason}") from error
    return dict(found)


def _digest_of_json(value: Mapping[str, Any]) -> str:
    return sha256(json.dumps(json.loads(json.dumps(value)), sort_keys=True).encode()).hexdigest()


def digest_of_file(path: str | os.PathLike[str]) -> str:
    """64 hexadecimal digits of a file's bytes."""
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@contextmanager
def read_as(path: str | os.PathLike[str], otherwise: str) -> Iterator[None]:
    """What fails within is told of the file: ``otherwise`` is what to say of it, such as "is not a run".

    Raises ValueError naming the file, in place of whatever odd contents raise.
    """
    try:
        yield
    except (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} {otherwise}: {error}") from error


def require_own_files(path: Path, noted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Refuse files beside ``path``, by name, whose digests as ``found`` are not those that are ``noted`` there.

    Raises ValueError naming the file.
    """
    for name, digest in found.items():
        if noted.get(name) != digest:
            raise ValueError(f"{path.parent / name} is damaged or not the one that belongs to {path}")


def require_arrays(
    arrays: Mapping[str, NDArray[Any]],
    shapes: Mapping[str, str],
    absent: Collection[str] = (),
    finite: Collection[str] = (),
) -> None:
    """Refuse arrays that are not those of ``shapes``, such as {"outputs": "t n c", "kernel": "nc nc"}.

    A letter stands for the same number wherever it stands, several for their product. Those of ``absent`` may be
    missing or None, all others not; those of ``finite`` hold neither NaN nor infinity. Raises ValueError.
    """
    known = {name: array for name, array in arrays.items() if array is not None}
    names = known.keys() - shapes.keys() or shapes.keys() - known.keys() - set(absent)
    require(not names, "arrays", f"be {', '.join(shapes)}", f"other than that in {', '.join(sorted(names))}")
    sizes: dict[str, int] = {}
    for name in sorted(known, key=lambda name: max(map(len, shapes[name].split()), default=0)):
        array, axes = known[name], shapes[name].split()
        numbers = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
        require(numbers, name, "hold real numbers", getattr(array, "dtype", type(array).__name__))
        fits = array.ndim == len(axes) and all(
            extent
            == (
                math.prod(sizes[letter] for letter in axis)
                if len(axis) > 1
                else sizes.setdefault(axis, extent)
            )
            for extent, axis in zip(array.shape, axes, strict=True)
        )
        must = f"have shape ({', '.join(axes)}), as the other arrays have"
        require(fits, name, must, array.shape)
        require(name not in finite or np.isfinite(array).all(), name, "be finite", "not")


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
