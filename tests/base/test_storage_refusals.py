"""Every refusal of a kept file, by a file that has this one fault; and disks that fill up after any number of bytes."""

from __future__ import annotations

import errno
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.lib import format as npy

from qlazy.base import storage
from qlazy.base.storage import (
    atomic_create,
    load_arrays,
    read_json,
    require_arrays,
    require_whole_array,
    require_writable,
    save_arrays,
    write_json,
)
from tests.killing import drafts, finished_files, small_sweep

WHOLE = np.arange(6.0).reshape(2, 3)


@given(
    arrays_of.arrays(
        st.sampled_from(("<f8", "<f4", ">f8", "<i8", "|b1", "|u1", "<c16", "<U3", "|S2")),
        arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.sampled_from("CF"),
)
def test_arrays_come_back_bit_for_bit_with_their_order(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray[Any, Any], order: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "array.npz"
    save_arrays(path, {"a": np.asarray(array, order=order)}, {})
    mine, theirs = load_arrays(path)[0]["a"], np.load(path)["a"]
    assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
    assert mine.tobytes() == theirs.tobytes() == array.tobytes()
    assert (mine.flags.c_contiguous, mine.flags.f_contiguous) == (
        theirs.flags.c_contiguous,
        theirs.flags.f_contiguous,
    )
    assert mine.flags.writeable


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, parts: dict[str, bytes], kind: int = zipfile.ZIP_STORED, comment: bytes = b"") -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.comment = comment
        for name, contents in parts.items():
            archive.writestr(zipfile.ZipInfo(name), contents, kind)


def headed(descr: Any, shape: tuple[int, ...], contents: bytes = b"") -> bytes:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + contents


OTHER_ARRAYS = {
    "a later format": (b"\x93NUMPY\x03\x00" + headed("<f8", (6,), bytes(48))[8:], r"of the format \(3, 0\)"),
    "no array": (b"text", "magic"),
    "a head without an end": (headed("<f8", (6,))[:40], "EOF|header|expected"),
    "a head beyond all measure": (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(20_000), "."),
    "objects": (headed("|O", (6,), bytes(48)), "must hold numbers or texts, but is of object"),
    "texts of no length": (headed("<U0", (6,)), "must hold numbers or texts"),
    "dates": (headed("<M8[s]", (6,), bytes(48)), "must hold numbers or texts"),
    "fields": (headed([("a", "<f8")], (6,), bytes(48)), "must hold numbers or texts"),
    "a huge axis": (headed("<f8", (2**62, 0)), "has the shape"),
    "a negative axis": (headed("<f8", (-1, -6), bytes(48)), "has the shape|shape"),
    "many axes": (headed("<f8", (1,) * 33, bytes(8)), "has the shape"),
    "more than there is": (headed("<f8", (2**30,), bytes(48)), "bytes long"),
    "less than there is": (headed("<f8", (5,), bytes(48)), "bytes long"),
}


@pytest.mark.parametrize("name", OTHER_ARRAYS)
def test_an_array_that_is_none_is_refused_by_name(name: str, tmp_path: Path) -> None:
    contents, why = OTHER_ARRAYS[name]
    path = save_arrays(tmp_path / "one.npz", {"a": WHOLE}, {})
    packed(path, {**members(path), "a.npy": contents})
    with pytest.raises(ValueError, match=rf"one\.npz is damaged or not a qlazy result: .*({why})"):
        load_arrays(path)


def test_only_heads_of_the_two_formats_are_read() -> None:
    file = io.BytesIO()
    npy.write_array_header_2_0(file, {"descr": "<f8", "fortran_order": True, "shape": (2, 3)})
    whole = file.getvalue() + bytes(48)
    assert require_whole_array(io.BytesIO(whole), len(whole)) == ((2, 3), True, np.dtype("<f8"))


OTHER_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a comment": (lambda p: packed(p, members(p), comment=b"more"), "list of members"),
    "a member more": (lambda p: packed(p, {**members(p), "b.npy": headed("<f8", (1,), bytes(8))}), "belong together"),
    "a member less": (lambda p: packed(p, {n: b for n, b in members(p).items() if n != "a.npy"}), "belong together"),
    "a member of another name": (
        lambda p: packed(p, {n.replace("a.npy", "c.npy"): b for n, b in members(p).items()}), "belong together"),
    "no digest": (
        lambda p: packed(p, {n: b for n, b in members(p).items() if n != "digest.txt"}), r"digest\.txt"),
    "no settings": (
        lambda p: packed(p, {n: b for n, b in members(p).items() if n != "settings.json"}), r"settings\.json"),
    "other settings": (lambda p: packed(p, {**members(p), "settings.json": b"{}"}), "belong together"),
    "settings of a list": (lambda p: _sealed(p, b"[]"), "settings are no mapping"),
    "settings that are deep": (lambda p: packed(p, {**members(p), "settings.json": b"[" * 10**5}), "recursion"),
    "members packed": (lambda p: packed(p, members(p), zipfile.ZIP_DEFLATED), "larger than the file"),
    "a bomb": (
        lambda p: packed(p, {**members(p), "a.npy": headed("<f8", (2**21,), bytes(2**24))}, zipfile.ZIP_DEFLATED),
        "larger than the file"),
    "nothing": (lambda p: p.write_bytes(b"") and None, "."),
    "a text": (lambda p: p.write_text("qlazy" * 20) and None, "."),
}  # fmt: skip


def _sealed(path: Path, text: bytes) -> None:
    """Other settings, with the digest that fits them."""
    from hashlib import sha256

    found = sha256(text)
    found.update(b"\0a\0<f8(2, 3)" + WHOLE.tobytes())
    packed(path, {**members(path), "settings.json": text, "digest.txt": found.hexdigest().encode()})


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_file_that_is_none_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, why = OTHER_FILES[name]
    path = save_arrays(tmp_path / "one.npz", {"a": WHOLE}, {"seed": 1})
    _sealed(path, members(path)["settings.json"])
    assert load_arrays(path)[1] == {"seed": 1}, "the digest of this test is not that of a file"
    change(path)
    with pytest.raises(ValueError, match=rf"one\.npz is damaged or not a qlazy result: .*({why})"):
        load_arrays(path)


def test_a_member_that_ends_before_its_size_is_refused(tmp_path: Path) -> None:
    """The list of members says that the last array is longer than what lies there."""
    path = save_arrays(tmp_path / "one.npz", {"a": WHOLE, "b": WHOLE}, {})
    held = path.read_bytes()
    size = len(members(path)["b.npy"]).to_bytes(4, "little")
    place = held.rindex(b"b.npy") - 46  # of its entry in the list
    assert held[place : place + 4] == b"PK\x01\x02"
    assert held[place + 24 : place + 28] == size
    longer = (int.from_bytes(size, "little") + 48).to_bytes(4, "little")
    path.write_bytes(held[: place + 24] + longer + held[place + 28 :])
    with pytest.raises(ValueError, match=r"one\.npz is damaged or not a qlazy result"):
        load_arrays(path)


OTHER_JSON = {
    "nothing": b"", "no JSON": b"{", "a list": b"[1]", "no digest": b'{"a": 1}',
    "another digest": b'{"a": 1, "digest": "0"}',
    "not UTF-8": b'{"a": "\xff"}', "deep": b'{"a":' * 10**5, "a long number": b'{"a": ' + b"9" * 10**5 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_JSON)
def test_json_that_is_none_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    write_json(path, {"a": [1, None, "\ud800"]})
    assert read_json(path) == {"a": [1, None, "\ud800"]}
    path.write_bytes(OTHER_JSON[name])
    with pytest.raises(ValueError, match=r"one\.json is damaged or not a qlazy result"):
        read_json(path)


ARRAYS = {"x": np.zeros((3, 2)), "k": np.zeros((6, 6))}
SHAPES = {"x": "n c", "k": "nc nc"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "one too many": ({**ARRAYS, "y": np.zeros(1)}, "that in y"),
    "one too few": ({"x": ARRAYS["x"]}, "that in k"),
    "no array": ({**ARRAYS, "x": [1]}, "`x` must hold real numbers, but is list"),
    "texts": ({**ARRAYS, "x": np.full((3, 2), "a")}, "`x` must hold real numbers, but is .*<U1"),
    "complex numbers": ({**ARRAYS, "x": np.zeros((3, 2), complex)}, "`x` must hold real numbers, but is .*complex128"),
    "another rank": ({**ARRAYS, "x": np.zeros(3)}, r"`x` must have shape \(n, c\).* but is \(3,\)"),
    "a product that fails": ({**ARRAYS, "k": np.zeros((6, 5))}, r"`k` must have shape \(nc, nc\)"),
    "NaN": ({**ARRAYS, "x": np.full((3, 2), np.nan)}, "`x` must be finite"),
    "infinity": ({**ARRAYS, "x": np.full((3, 2), -np.inf)}, "`x` must be finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit_are_refused(name: str) -> None:
    require_arrays(ARRAYS, SHAPES, finite=("x",))
    arrays, why = WRONG[name]
    with pytest.raises(ValueError, match=why):
        require_arrays(arrays, SHAPES, finite=("x",))


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    atomic_create(tmp_path / "one", b"first")
    with pytest.raises(FileExistsError, match="one"):
        atomic_create(tmp_path / "one", b"second")
    assert (tmp_path / "one").read_bytes() == b"first"


def test_a_file_where_a_folder_must_be_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for place in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(OSError, match=re.escape(str(place))):
            require_writable(place)


class Full:
    """A file on a disk that takes so many bytes more: ``left`` is shared by all of them."""

    def __init__(self, file: Any, left: list[int]) -> None:
        self._file, self._left = file, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, contents: Any) -> int:
        self._left[0] -= memoryview(contents).nbytes
        if self._left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(contents))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_disk_that_fills_up_is_said_and_what_was_written_stays(
    share: float, quiet: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, original = [int(share * sum(map(len, quiet.values())))], storage.draft_of

    @contextmanager
    def draft_of(target: Path) -> Iterator[tuple[Path, Any]]:
        with original(target) as (path, file):
            yield path, Full(file, left)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "draft_of", draft_of)
        with pytest.raises(OSError, match=re.escape(str(tmp_path))) as raised:
            small_sweep(tmp_path)
    assert raised.value.errno == errno.ENOSPC
    assert not drafts(tmp_path)
    kept = finished_files(tmp_path)
    assert kept.items() <= quiet.items()
    assert kept.keys() < quiet.keys()
    small_sweep(tmp_path)
    assert finished_files(tmp_path) == quiet


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("quiet")
    small_sweep(folder)
    return finished_files(folder)
