"""Files that are whole or absent: drafts of the living and of the dead, and disks that are full."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from qlazy.base.storage import atomic_write, draft_of, load_arrays, remove_stale_drafts, save_arrays

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="drafts are locked on POSIX alone")

KILLED = """
import os, signal, sys
from pathlib import Path
from qlazy.base.storage import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.readline()
"""


def start_writing(path: Path) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", KILLED, str(path)]
    writer = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    return writer


def test_the_draft_of_a_living_process_stays_and_that_of_a_dead_one_goes(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "run.npz"
    with start_writing(target) as writer:
        (draft,) = target.parent.iterdir()
        assert remove_stale_drafts(tmp_path) == []
        writer.send_signal(signal.SIGKILL)
    assert draft.exists()
    assert remove_stale_drafts(tmp_path) == [draft]
    assert not list(target.parent.iterdir())


def test_a_living_writer_is_not_disturbed(tmp_path: Path) -> None:
    with start_writing(tmp_path / "run.npz") as writer:
        remove_stale_drafts(tmp_path)
        writer.communicate("go on\n", timeout=60)
    assert writer.returncode == 0
    assert (tmp_path / "run.npz").read_bytes() == b"half"


def test_other_files_are_not_drafts(tmp_path: Path) -> None:
    names = [
        "run.npz",
        ".hidden",
        "a.tmp",
        ".a.tmp",
        ".a.12345678.tmp.npz",
        ".a.1234567.tmp",
        ".a.1234567g.tmp",
    ]
    for name in names:
        (tmp_path / name).touch()
    assert remove_stale_drafts(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_draft_taken_before_it_is_locked_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    original, taken = fcntl.flock, []

    def flock(file: object, how: int) -> None:
        if how == fcntl.LOCK_EX and not taken:  # another process sweeps the folder in just this moment
            (draft,) = tmp_path.iterdir()
            draft.unlink()
            taken.append(draft)
        original(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with draft_of(tmp_path / "file") as (path, file):
        assert path.exists()
        assert taken != [path]
        file.write(b"whole")
        path.replace(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=str(path)) as raised, atomic_write(path) as file:
            file.write(bytes(10**6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.errno == errno.EFBIG
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_member_longer_than_its_array_is_refused(tmp_path: Path) -> None:
    """Bytes behind an array are not part of what was saved, whether or not their checksum fits."""
    path = save_arrays(tmp_path / "whole.npz", {"a": np.arange(3.0)}, {"name": "b"})
    arrays, settings = load_arrays(path)
    assert arrays["a"].tolist() == [0, 1, 2]
    assert settings == {"name": "b"}
    longer = tmp_path / "longer.npz"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(longer, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name) + (b"\0" if name == "a.npy" else b""))
    with pytest.raises(ValueError, match=r"longer\.npz is damaged .*is not 153 bytes long"):
        load_arrays(longer)


def test_no_flipped_bit_hides_an_array(tmp_path: Path) -> None:
    """Every bit of the list of members at the end: a longer comment of one would swallow those behind it, unseen."""
    path, arrays = tmp_path / "run.npz", {name: np.arange(3) for name in ("a", "b", "c")}
    save_arrays(path, arrays, {"seed": 1})
    saved = path.read_bytes()
    for place in range(saved.index(b"PK\x01\x02"), len(saved)):
        for bit in range(8):
            damaged = bytearray(saved)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                found, settings = load_arrays(path)
            except ValueError:
                continue
            assert (set(found), settings) == (set(arrays), {"seed": 1}), (place, bit)
