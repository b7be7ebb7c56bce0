"""The scripts that complete commands: valid shell, and they know commands, options and choices."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from qlazy.commands import COMMANDS
from qlazy.commands import main as cli


def test_bash_completes_commands_options_and_choices(capsys, tmp_path) -> None:
    pytest.importorskip("shtab")
    assert cli.main(["--completion", "bash"]) == 0
    script = tmp_path / "qlazy.bash"
    script.write_text(capsys.readouterr().out)
    subprocess.run(["bash", "-n", str(script)], check=True)

    def completed(*words: str) -> set[str]:
        """What bash offers for the last word."""
        line = " ".join(f"'{word}'" for word in words)
        run = (
            f'source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE="{" ".join(words)}"; '
            "COMP_POINT=${#COMP_LINE}; _shtab_qlazy; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        found = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=True)
        return set(found.stdout.split())

    assert completed("qlazy", "") >= set(COMMANDS)
    assert completed("qlazy", "co") == {"compare"}
    assert completed("qlazy", "compare", "--see") == {"--seeds"}
    assert {"--json", "--formats", "--style"} <= completed("qlazy", "compare", "--")
    assert completed("qlazy", "compare", "--method", "a") == {"adam"}
    assert completed("qlazy", "kernel", "--shot") == {"--shots"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_know_every_command(shell, capsys, tmp_path) -> None:
    pytest.importorskip("shtab")
    assert cli.main(["--completion", shell]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    assert "seeds" in text
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_other_shells_are_refused(capsys) -> None:
    assert cli.main(["--completion", "fish"]) == cli.USAGE
    assert "invalid choice: 'fish'" in capsys.readouterr().err


def test_the_absence_of_shtab_is_said_with_the_remedy(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--completion", "bash"]) == cli.USAGE
    assert "pip install shtab" in capsys.readouterr().err
