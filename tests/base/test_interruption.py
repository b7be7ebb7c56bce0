"""Killed at any moment and started again: nothing finished is lost, and the bits are those of a quiet run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import qlazy

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")

ROOT = Path(qlazy.__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def killing(mode: str, job: str, count: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    program = [sys.executable, "-m", "tests.killing", mode, job, str(count), str(seed), str(folder)]
    run = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


SLOW = pytest.mark.slow


@pytest.mark.parametrize(("job", "count"), [("sweep", 8), pytest.param("tiles", 8, marks=SLOW)])
def test_random_kills(job, count, tmp_path):
    assert killing("random", job, count, tmp_path)["kills"] == count


@pytest.mark.slow
@pytest.mark.parametrize(("job", "count"), [("small_sweep", 8), ("small_tiles", 40)])
def test_kills_on_a_slow_disk(job, count, tmp_path):
    found = killing("slow", job, count, tmp_path)
    assert found["kills"] == count
    assert found["drafts"], "no kill came while a file was written"


@pytest.mark.slow
@pytest.mark.parametrize(("job", "count"), [("sweep", 200), ("tiles", 200)])
def test_two_hundred_random_kills(job, count, tmp_path):
    assert killing("random", job, count, tmp_path, seed=1)["kills"] == count


@pytest.mark.parametrize("job", ["small_sweep", "small_tiles", pytest.param("study", marks=SLOW)])
def test_a_kill_at_every_step_of_writing(job, tmp_path):
    assert killing("step", job, 300, tmp_path)["steps"] > 10


@pytest.mark.slow
def test_a_kill_at_every_step_of_the_kernel_command(tmp_path):
    assert killing("step", "kernel", 300, tmp_path)["steps"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("job", ["small_sweep", "tiles"])
def test_two_on_one_folder_of_which_one_is_killed(job, tmp_path):
    assert killing("pair", job, 2, tmp_path) == {"pairs": 2}


def heed_interrupts():
    """What a shell starts in the background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


COMMANDS = {
    "compare": ["compare", "mlp:2", "--train", "10", "--test", "10", "--alphas", "1,10,100", "--seeds", "4"],
}


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=SLOW)])
def test_a_command_that_is_stopped_goes_on(sent, tmp_path):
    command = [
        sys.executable,
        "-m",
        "qlazy.commands.main",
        *COMMANDS["compare"],
        "--steps",
        "500",
        "--out",
        "out",
    ]
    stopped, whole = (
        tmp_path / "stopped",
        tmp_path / "whole",
    )  # a report tells its --out: the same name for both
    for folder in (stopped, whole):
        folder.mkdir()
    process = subprocess.Popen(
        command, cwd=stopped, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    while not list(stopped.glob("out/runs/*/run.npz")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(sent)
    _, errors = process.communicate()
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert errors.splitlines()[-1].startswith("qlazy: interrupted")
        assert "Traceback" not in errors
    else:
        assert process.returncode == -sent
    done = {path: path.stat().st_mtime_ns for path in stopped.glob("out/runs/*/run.npz")}
    assert 0 < len(done) < 12
    for folder in (stopped, whole):
        subprocess.run(command, cwd=folder, capture_output=True, check=True, env=ENVIRONMENT)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert {path.relative_to(stopped) for path in stopped.rglob("*") if path.is_file()} == set(files)
    for path in files:
        assert (stopped / path).read_bytes() == (whole / path).read_bytes()
