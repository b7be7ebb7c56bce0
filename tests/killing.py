"""Jobs that are killed: a process of its own, single-threaded, that forks a child for every life of a job.

``python -m tests.killing MODE JOB COUNT SEED FOLDER``; JOB "all" is each in turn.
Every job leaves a folder, which must come out with the same
bytes however often it was killed. MODE "random" kills after random times, "step" at every step of writing a file in
turn, "pair" kills one of two that work on one folder, "slow" kills after random times on a disk that takes its time.
Prints what it did, as JSON; a broken promise is an error.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tqdm import tqdm

import qlazy
from qlazy.base import storage
from qlazy.base.storage import is_draft
from tests.makers import curved_function, inputs
from tests.studies.test_result import Sizes

Job = Callable[[Path], object]
SLOWLY, PIECE = 0.002, 512
"""Seconds for each thing that is done to a file on a slow disk, and bytes that it takes at once."""


def sweep(folder: Path) -> None:
    data = qlazy.load_data("digits", features=3, train=20, test=20)
    models = {"net": qlazy.mlp([3, 4, 1]), "circuit": qlazy.load_circuit("hardware_efficient", n=3, layers=1)}
    qlazy.compare(
        models, data, alphas=(1, 10, 100), seeds=(0, 1), steps=12, out=folder, progress=False
    )  # fmt: skip


def small_sweep(folder: Path) -> None:
    data = qlazy.load_data("digits", features=3, train=10, test=10)
    model = qlazy.mlp([3, 2, 1])
    qlazy.compare({"net": model}, data, alphas=(1, 10), seeds=(0,), steps=3, out=folder, progress=False)


def tiles(folder: Path) -> None:
    model, params, _ = curved_function()
    qlazy.tiled_kernel(model, params, inputs(60, 3), store=folder, tile=5, workers=2, progress=False)


def small_tiles(folder: Path) -> None:
    model, params, _ = curved_function()
    qlazy.tiled_kernel(model, params, inputs(5, 3), store=folder, tile=3, workers=1, progress=False)


def kernel(folder: Path) -> None:
    from qlazy.commands import main as cli

    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - of a child that ends soon
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # the report tells its --out: one name for all
    assert cli.main(["kernel", "mlp:2", "--train", "8", "--test", "8", "--out", "out"]) == cli.OK


def check(folder: Path) -> None:
    net = qlazy.mlp([3, 2, 1])
    data = qlazy.load_data("digits", features=3, train=10, test=10)
    verdict = qlazy.check(
        net, data, panels=("lazy",), alphas=(1, 10), seeds=2, steps=3, out=folder, progress=False
    )
    verdict.report(folder)


def subset(folder: Path) -> None:
    data = qlazy.load_data("digits", features=3, train=20, test=10)
    selector = qlazy.subset.SmallLoss()
    qlazy.select_subset(
        qlazy.mlp([3, 4, 1]), data, selector=selector, epochs=8, batch_size=5, out=folder, progress=False
    )  # fmt: skip


def study(folder: Path) -> None:
    from qlazy.studies.report import finish
    from qlazy.studies.result import Finding, StudyResult

    findings = (Finding("one", "a number", 1.0, 1.0),)
    arrays = {"x": torch.arange(3.0).numpy()}
    finish(StudyResult("example", Sizes(), findings, arrays), folder, lambda result: {})


JOBS: dict[str, Job] = {
    job.__name__: job for job in (sweep, small_sweep, tiles, small_tiles, kernel, check, subset, study)
}


def begin(job: Job, folder: Path) -> int:
    """Start a life of the job in a child process; returns its id."""
    child = os.fork()
    if child == 0:
        code = 1
        tqdm.set_lock(threading.RLock())  # the one of all children stays shut where one is killed within it
        try:
            job(folder)
            code = 0
        finally:
            os._exit(code)
    return child


def ended(child: int) -> bool:
    """Wait for a child: True where it finished its job, False where it was killed."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"a child ended with status {status}"
    return status == 0


def finished_files(folder: Path) -> dict[str, bytes]:
    """What is there under its own name; drafts are nobody's."""
    files = (path for path in folder.rglob("*") if path.is_file() and not is_draft(path))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*.tmp") if is_draft(path)]


def lasts(name: str) -> bool:
    """Whether a file is written once."""
    return name.endswith(("run.npz", "qlazy.json"))


class Watch:
    """The promises: what is there is whole, what was there stays as it was, and in the end all is there."""

    def __init__(self, reference: dict[str, bytes], folder: Path) -> None:
        self.reference, self.folder = reference, folder
        self.kept: dict[str, int] = {}

    def look(self) -> None:
        files = finished_files(self.folder)
        for name, contents in files.items():
            grows = name.startswith("SmallLoss-")  # the state of a selection, which goes on from pass to pass
            assert grows or contents == self.reference[name], (
                f"{name} is not what an uninterrupted job writes"
            )
        assert self.kept.keys() <= files.keys(), f"lost: {self.kept.keys() - files.keys()}"
        for name, modified in self.kept.items():
            assert self.modified(name) == modified, f"{name} was done again"
        self.kept = {name: self.modified(name) for name in files if lasts(name)}

    def modified(self, name: str) -> int:
        return (self.folder / name).stat().st_mtime_ns

    def whole(self) -> None:
        assert finished_files(self.folder) == self.reference
        assert not drafts(self.folder), "stale drafts were left"


def random_kills(job: Job, count: int, rng: random.Random, root: Path) -> dict[str, int]:
    reference, seconds = uninterrupted(job, root)
    kills = rounds = left = 0
    while kills < count:
        watch = Watch(reference, root / f"round{rounds}")
        rounds += 1
        while True:
            child = begin(job, watch.folder)
            if kills < count:
                time.sleep(rng.uniform(0, seconds / 2))
                os.kill(child, signal.SIGKILL)
            if ended(child):
                break
            kills += 1
            left += len(drafts(watch.folder)) if watch.folder.exists() else 0
            watch.look()
        watch.whole()
    return {"kills": kills, "rounds": rounds, "drafts": left}


def kills_at_every_step(job: Job, count: int, rng: random.Random, root: Path) -> dict[str, int]:
    """Kill at step 1 of all that happens to files, then at step 2, and so on: before and after each."""
    reference, _ = uninterrupted(job, root)
    for step in range(1, count):
        watch = Watch(reference, root / f"step{step}")
        if ended(begin(lambda folder: job_until(job, folder, step), watch.folder)):  # noqa: B023
            assert step > 4, "no steps were counted"
            return {"steps": step - 1}
        watch.look()
        assert ended(begin(job, watch.folder))
        watch.look()
        watch.whole()
    raise AssertionError(f"more than {count} steps")


def job_until(job: Job, folder: Path, step: int) -> None:
    """Do the job, but die at the given one of its steps: opening, writing through, moving or linking a draft."""
    steps = SimpleNamespace(left=step)

    def dying(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            die()
            result = function(*arguments, **options)
            die()
            return result

        return call

    def die() -> None:
        steps.left -= 1
        if steps.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = dying(os.fsync)  # type: ignore[assignment]
    os.link = dying(os.link)  # type: ignore[assignment]
    Path.replace = dying(Path.replace)  # type: ignore[method-assign, assignment]
    storage.draft_of = dying(storage.draft_of)  # type: ignore[assignment]
    job(folder)


def kills_of_one_of_two(job: Job, count: int, rng: random.Random, root: Path) -> dict[str, int]:
    reference, seconds = uninterrupted(job, root)
    for index in range(count):
        folder = root / f"pair{index}"
        pair = [begin(job, folder) for _ in range(2)]
        time.sleep(rng.uniform(0, seconds))
        os.kill(pair[0], signal.SIGKILL)
        ended(pair[0])
        assert ended(pair[1])
        assert finished_files(folder) == reference
        assert ended(begin(job, folder))
        Watch(reference, folder).whole()
    return {"pairs": count}


class SlowFile(io.FileIO):
    """A file on a disk that takes few bytes at once and its time for them."""

    def write(self, data: Any) -> int:
        time.sleep(SLOWLY)
        return super().write(memoryview(data).cast("B")[:PIECE])


def on_a_slow_disk(job: Job, folder: Path) -> None:
    """Do the job where whatever is done to files takes its time, and where half of a file may long be there."""

    def late(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            time.sleep(SLOWLY)
            result = function(*arguments, **options)
            time.sleep(SLOWLY)
            return result

        return call

    def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode in ("wb", "xb"):
            return io.BufferedWriter(SlowFile(path, mode[0]))
        return plainly(path, mode, *arguments, **options)

    plainly = Path.open
    os.fsync, os.link = late(os.fsync), late(os.link)
    Path.open = late(opened)  # type: ignore[method-assign]
    Path.replace, Path.unlink, Path.mkdir = late(Path.replace), late(Path.unlink), late(Path.mkdir)  # type: ignore[method-assign]
    job(folder)


def kills_on_a_slow_disk(job: Job, count: int, rng: random.Random, root: Path) -> dict[str, int]:
    """Random kills on a slow disk; what it leaves is what a quick one holds."""
    reference, _ = uninterrupted(job, root)
    found = random_kills(functools.partial(on_a_slow_disk, job), count, rng, root / "slow")
    assert finished_files(root / "slow" / "reference") == reference
    return found


def uninterrupted(job: Job, root: Path) -> tuple[dict[str, bytes], float]:
    """The bytes of a job that nobody disturbs, and how long it takes."""
    assert ended(begin(job, root / "warm"))  # compiles, where nothing was compiled yet
    start = time.perf_counter()
    assert ended(begin(job, root / "reference"))
    seconds = time.perf_counter() - start
    reference = finished_files(root / "reference")
    assert reference and reference == finished_files(root / "warm")  # noqa: PT018
    return reference, seconds


MODES = {
    "random": random_kills, "step": kills_at_every_step, "pair": kills_of_one_of_two, "slow": kills_on_a_slow_disk,
}  # fmt: skip


def preload(folder: Path) -> None:
    """Import what every life of a job would import anew: most of it comes with the first derivative."""
    for module in ("chunks", "computing", "work"):
        importlib.import_module(f"qlazy.kernels.tiles.{module}")
    small_sweep(folder)
    circuit = qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    for model in (circuit, curved_function()[0]):
        model.jacobian(model.init(torch.Generator()), inputs(2, 3))
    assert threading.active_count() == 1, threading.enumerate()


if __name__ == "__main__":
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0  # no thread of tqdm's
    mode, job, count, seed, folder = sys.argv[1:]
    preload(Path(folder, "preload"))
    for name in JOBS if job == "all" else (job,):
        place = Path(folder, name) if job == "all" else Path(folder)
        found = MODES[mode](JOBS[name], int(count), random.Random(int(seed)), place)
        print(json.dumps({"job": name, **found} if job == "all" else found), flush=True)
