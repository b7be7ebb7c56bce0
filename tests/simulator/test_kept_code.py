"""Compiled code on disk: damaged, cut, exchanged or not to be written, it is compiled again and computes the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from numba import njit

from qlazy.simulator.kernels.kept_code import KeptCode, KeptFiles


def double(x):
    return 2 * x


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """A maker of the function as a new process would have it, with its files in a folder."""
    monkeypatch.setattr(KeptCode, "_said", set())

    def make(folder: Path = tmp_path):
        function = njit(double)
        function._cache = kept = KeptCode(double)
        kept._cache_path = str(folder)
        kept._impl.locator.ensure_cache_path = lambda: None
        kept._cache_file = KeptFiles(folder, "double", ())
        return function

    return make


def counts(function) -> tuple[int, int]:
    return sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())


def kept_by(compiled, folder: Path) -> Path:
    assert compiled()(3) == 6
    (file,) = folder.glob("*.nbc")
    return file


def test_code_is_kept_and_taken_up(compiled, tmp_path, capsys):
    kept_by(compiled, tmp_path)
    again = compiled()
    assert again(3) == 6
    assert counts(again) == (1, 0)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "longer"])
def test_damaged_code_is_made_anew_and_said_once(compiled, how, tmp_path, capsys):
    file = kept_by(compiled, tmp_path)
    whole = file.read_bytes()
    rng = random.Random(how)
    for _ in range(5):
        place = rng.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :]
        file.write_bytes({"flip": flipped, "cut": whole[:place], "empty": b"", "longer": whole + b"0"}[how])
        again = compiled()
        assert again(3) == 6
        assert counts(again) == (0, 1)
        assert counts_after(compiled) == (1, 0), "what was damaged is put right"
    assert capsys.readouterr().err.count("is damaged and made anew") == 1


def counts_after(compiled) -> tuple[int, int]:
    function = compiled()
    assert function(3) == 6
    return counts(function)


def test_a_folder_that_cannot_be_written_to_is_no_error(compiled, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for _ in range(2):
        function = compiled(tmp_path / "file" / "folder")
        assert function(3) == 6
    assert capsys.readouterr().err.count("cannot be kept") <= 1


def test_a_full_disk_is_no_error(compiled, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KeptFiles, "save", full)
    assert compiled()(3) == 6
    assert "No space left" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.nbc"))
