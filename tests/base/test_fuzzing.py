"""The command that damages texts: it counts what was read and refused, and keeps what fell."""

from __future__ import annotations

import json

import pytest

from tests import fuzzing


def test_every_text_is_read_or_refused(tmp_path, capsys):
    assert fuzzing.main("all", "300", "5", str(tmp_path)) == 0
    for line in capsys.readouterr().out.splitlines():
        found = json.loads(line)
        assert found["read"] + found["refused"] == 100
        assert min(found["read"], found["refused"]) > 5
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", fuzzing.KINDS)
def test_a_text_that_falls_is_kept(name, tmp_path, monkeypatch):
    def falls(text: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(fuzzing.KINDS, name, fuzzing.KINDS[name]._replace(use=falls))
    assert fuzzing.main(name, "3", "5", str(tmp_path)) == 1
    assert len(list(tmp_path.iterdir())) == 3
