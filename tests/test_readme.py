"""The README's Python runs as it stands, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import qlazy
from qlazy.commands.main import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    # As written, but for fewer runs: what the code says is under test, not what compare() computes.
    whole = qlazy.compare
    monkeypatch.setattr(
        qlazy,
        "compare",
        lambda models, data, **_: whole(models, data, alphas=(1, 10, 100), seeds=(0,), steps=10),
    )
    asked = qlazy.check
    monkeypatch.setattr(
        qlazy,
        "check",
        lambda circuit, data, **given: asked(
            circuit, data, panels=("lazy",), alphas=(1,), seeds=2, steps=10, **given
        ),
    )
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert "slope against a" in capsys.readouterr().out


def test_the_first_example_is_short():
    first = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 12


SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"^qlazy (.*?)(?:\s+#.*)?$", SHELL, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_understood(command):
    words = command.split()
    assert main([words[0], "--help"]) == 0
