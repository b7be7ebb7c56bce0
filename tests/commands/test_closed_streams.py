"""The command where a shell has closed one of its streams: nothing goes to the other that does not belong there."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "answer": ["circuits", "hardware_efficient", "--n", "2", "--json"],
    "refusal": ["circuits", "nothing"],
    "usage": ["circuits", "--nothing"],
}


def run(words: list[str], closing: str) -> subprocess.CompletedProcess[str]:
    line = f"{shlex.join([sys.executable, '-m', 'qlazy', *words])} {closing}"
    return subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(sys.platform == "win32", reason="of the shells of POSIX")
@pytest.mark.parametrize("closing", ["2>&-", ">&-", ">&- 2>&-", "<&-"])
@pytest.mark.parametrize("name", COMMANDS)
def test_what_belongs_to_a_closed_stream_is_lost_and_the_other_is_as_it_was(name: str, closing: str) -> None:
    whole, cut = run(COMMANDS[name], ""), run(COMMANDS[name], closing)
    assert cut.returncode == whole.returncode == (0 if name == "answer" else 2)
    assert cut.stdout == ("" if ">&-" in closing.split() else whole.stdout)
    assert cut.stderr == ("" if "2>&-" in closing else whole.stderr)
    if name == "answer":
        assert json.loads(whole.stdout)["result"]["name"] == "hardware_efficient"
