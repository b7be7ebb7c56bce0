"""The command line, run in this process, and once as a program of its own."""

from __future__ import annotations

import argparse
import gc
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import qlazy
from qlazy.commands import COMMANDS, circuits, compare
from qlazy.commands import main as cli

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_models_may_stand_on_both_sides_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(compare, "run", lambda arguments: seen.append(arguments.models) or cli.OK)
    assert cli.main(["compare", "a", "--seeds", "2", "b", "c"]) == cli.OK
    assert cli.main(["compare"]) == cli.OK
    assert seen == [["a", "b", "c"], []]


EMPTY = [
    ["compare", "mlp", "--out", ""],
    ["check", "mlp", "--out="],
    ["kernel", "mlp", "--out", ""],
    ["study", "lazy", "--out", ""],
    ["diff", "p2", "--wrt", "a", "--out", ""],
    ["tiles", "mlp", "--store", ""],
]
"""What `--out "$FOLDER"` is where the variable is not set."""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["nothing"], "invalid choice: 'nothing'"),
        (["compare", "--nothing"], "unrecognized arguments: --nothing"),
        (["check", "mlp", "--baselines", "relu"], "unrecognized arguments: --baselines"),
        (["circuits", "tfim", "more"], "unrecognized arguments: more (see `qlazy circuits --help`)"),
        (["circuits", "--n", "4", "--draw", "x.png"], "`NAME` must be given with --n, --draw, but is absent"),
        (["diff", "p2", "--count", "--out", "d"], "--out: not allowed with argument --count"),
        (["kernel", "mlp", "--out", __file__], f"--out: must be a folder, but {__file__} is a file"),
        (["study", "lazy", "--out", __file__], "must be a folder"),
        *((words, "must name a folder, but is empty") for words in EMPTY),
        (["tiles", "mlp", "--tile", "0"], "--tile: must be a positive integer, but is '0'"),
        (
            ["kernel", "data_reuploading:layers=1", "--shots", "5"],
            "`--shots` must be at least one for each of 8",
        ),
        (["compare", "--alphas", "1,x"], "must be numbers with commas between, but is '1,x'"),
        (["compare", "--alphas", "1,-3", "mlp"], "`alphas` must be positive"),
        (["compare", "--ridge", "0", "mlp"], "`--ridge` must be positive, but is 0.0"),
        (["compare", "--seeds", "0"], "must be a positive integer, but is '0'"),
        (["compare", "--classes", "3", "mlp"], "classes"),
        (["compare", "--classes", "3,12", "mlp"], "12"),
        (["compare", "--features", "99", "mlp"], "`features` must be from 1 to 64"),
        (["compare", "mlp", "--method", "adam"], "`--learning-rate` must be given with --method adam"),
        (
            ["compare", "mlp", "--batch-size", "4"],
            "`--batch-size` must come with --method sgd or adam: gradient descent on batches is sgd, but is with gd",
        ),
        (
            ["compare", "mlp", "--method", "flow", "--learning-rate", "1", "--horizon", "1"],
            "`--learning-rate` must be absent",
        ),
        (["compare", "mlp", "--learning-rate", "-1"], "`learning_rate` must be positive"),
        (["kernel", "nothing"], "must be the path of a file or one of brickwork"),
        (["kernel", "tfim"], "must have 4 inputs, as digits has 4 features"),
        (["circuits", "tfim", "--draw", "tfim.bmp"], "must end in .png, .svg, .pdf"),
        (["circuits", "tfim:n=3", "--n", "4"], "`sizes` must be given once each, but is n"),
        (["circuits", "nowhere.qasm"], "nowhere.qasm"),
    ],
)
def test_bad_input_is_refused(refused, arguments: list[str], message: str) -> None:
    assert message in refused(*arguments)


def test_an_interrupt_says_so(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare", interrupted)
    assert cli.main(["compare", "mlp:2", "--train", "8", "--test", "12"]) == cli.INTERRUPTED
    assert capsys.readouterr().err.endswith("qlazy: interrupted\n")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["check", "mlp:2", "--out", "kept"], "kept"),
        (["compare", "mlp:2"], "qlazy-out/compare"),
        (["tiles", "mlp:2", "--store", "kept"], "kept"),
        (["study", "lazy"], "qlazy-out/lazy"),
        (["bench", "--scaling", "--out", "kept"], "kept"),
        (["bench", "--out", "kept"], None),
        (["bench", "--scaling"], None),
        (["kernel", "mlp:2", "--out", "kept"], None),
        (["diff", "p2", "--out", "kept"], None),
        (["study"], None),
    ],
)
def test_an_interrupt_promises_to_go_on_where_something_is_kept(
    capsys, monkeypatch: pytest.MonkeyPatch, words: list[str], place: str | None
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module(f"qlazy.commands.{words[0]}"), "run", interrupted)
    folder = Path(place or "kept")
    told = []
    for name in (
        None,
        ".run.npz.0.tmp",
        "run.npz",
    ):  # nothing, a draft that was being written, a finished file
        if name is not None:
            (folder / "runs").mkdir(parents=True, exist_ok=True)
            (folder / "runs" / name).touch()
        assert cli.main(words) == cli.INTERRUPTED
        told.append(capsys.readouterr().err)
    goes_on = "qlazy: interrupted; started again, it goes on where it stopped\n"
    assert told == ["qlazy: interrupted\n"] * 2 + ["qlazy: interrupted\n" if place is None else goes_on]


@pytest.mark.parametrize("command", ["check", "compare"])
def test_help_tells_the_scales_and_seeds_that_are_taken(
    capsys, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    seen = []
    monkeypatch.setattr(
        importlib.import_module(f"qlazy.commands.{command}"),
        "run",
        lambda given: seen.append(given) or cli.OK,
    )
    assert cli.main([command, "mlp"]) == cli.main([command, "--help"]) == cli.OK
    said = " ".join(capsys.readouterr().out.split())
    assert f"a (h(w) - h(w0)) ({','.join(f'{a:g}' for a in seen[0].alphas)})" in said
    assert f"seeds 0 to N-1 ({seen[0].seeds})" in said


class Read(argparse.Namespace):
    """Options that note which of them were looked at."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(**vars(given))
        self.looked_at: set[str] = set()

    def __getattribute__(self, name: str) -> object:
        if name not in ("looked_at", "__dict__"):
            self.looked_at.add(name)
        return super().__getattribute__(name)


SMALL = ["mlp:2", "--train", "8", "--test", "10", "--quiet"]
SHORT = ["--steps", "2", "--alphas", "1", "--seeds", "1"]
SHOTS = [
    "hardware_efficient:layers=1",
    "--features",
    "2",
    "--train",
    "4",
    "--test",
    "10",
    "--shots",
    "8",
    "--quiet",
]


@pytest.mark.parametrize(
    "words",
    [
        ["check", *SMALL, *SHORT, "--panels", "lazy"],
        ["compare", *SMALL, *SHORT],
        ["kernel", *SHOTS],
        ["tiles", *SMALL],
    ],
    ids=lambda words: words[0],
)
def test_a_command_looks_at_every_option_that_it_takes(capsys, words: list[str]) -> None:
    """An option that it takes and leaves alone would promise what it does not do."""
    given = cli._parse(words)
    given.command, taken = "qlazy", {action.dest for action in given.parser._actions} - {"help", "threads"}
    assert taken > {"data", "quiet"}
    read = Read(given)
    assert cli._run(read) == cli.OK
    assert not taken - read.looked_at


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(capsys, command: str) -> None:
    assert cli.main([command, "--help"]) == cli.OK
    shown = capsys.readouterr().out
    assert COMMANDS[command] in shown
    assert f"examples:\n  qlazy {command}" in shown


def test_threads_are_one_unless_told(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(circuits, "run", lambda arguments: seen.append(torch.get_num_threads()) or cli.OK)
    cli.main(["circuits"])
    cli.main(["circuits", "--threads", "2"])
    assert seen == [1, 2]


def test_the_list_of_commands_waits_for_nothing(capsys) -> None:
    """Neither torch, which takes seconds to import, nor anything that needs it."""
    program = """
import sys
from qlazy.commands import main as cli
codes = [cli.main(words) for words in (["--help"], ["--version"], [], ["compar"])]
print(codes, [name for name in ("torch", "numpy", "pennylane") if name in sys.modules])
"""
    path = str(Path(qlazy.__file__).parent.parent)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path}
    )
    assert run.stdout.splitlines()[-1] == "[0, 0, 2, 2] []"


def test_the_program_itself() -> None:
    program = [sys.executable, "-m", "qlazy.commands.main"]
    path = str(Path(qlazy.__file__).parent.parent)
    run = subprocess.run(
        [*program, "--version"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"qlazy {qlazy.__version__}\n", "")
    run = subprocess.run(
        [*program, "kernel", "nothing"], capture_output=True, text=True,
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1


GARBAGE = """\
import atexit, gc, sys
from qlazy.commands.main import program
looks = []
gc.callbacks.append(lambda phase, about: looks.append(about["generation"]))
atexit.register(lambda: print("ended", looks.count(2), gc.get_freeze_count() > 100_000))
program()
"""


@pytest.mark.parametrize(("words", "code"), [(["circuits"], 0), (["circuits", "nothing"], 2)])
def test_a_process_of_the_command_does_not_search_what_it_imported_for_garbage(words, code) -> None:
    run = subprocess.run([sys.executable, "-c", GARBAGE, *words], capture_output=True, text=True)
    assert (run.returncode, run.stdout.splitlines()[-1]) == (code, "ended 0 True")


def test_a_command_within_a_process_leaves_the_search_for_garbage_as_it_is() -> None:
    before = gc.get_threshold(), gc.get_freeze_count(), gc.isenabled()
    assert cli.main(["circuits", "nothing"]) == cli.USAGE
    assert (gc.get_threshold(), gc.get_freeze_count(), gc.isenabled()) == before


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qlazy", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("qlazy ")
