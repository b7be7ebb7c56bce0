"""A sweep of thousands of small runs that is killed and started again.

``python -m tests.sweep MODELS ALPHAS SEEDS KILLS FOLDER``; ``10 50 10 20`` are 5,000 runs of models of one weight,
killed 20 times. What the killed sweep leaves must be the bytes of a quiet one. Then one run is taken away, and the time
is taken that the sweep needs to find it; and the time of a start that has nothing left to do. Prints figures as JSON,
in seconds of the processor, and the time of one key of each model of the demo.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

import qlazy
from qlazy.comparison.compare import tasks as making
from qlazy.comparison.compare.seeded import SeededModel
from qlazy.comparison.specs import build_models
from qlazy.training.losses import SquaredError
from qlazy.training.methods import GradientDescent
from tests.killing import Job, Watch, begin, ended, finished_files

DEMO = ("strongly_entangling:layers=2", "hardware_efficient:layers=3", "mlp")


class Sizes(NamedTuple):
    models: int
    alphas: int
    seeds: int

    def sweep(self, folder: Path) -> object:
        """Compare models of one weight, of which no two are the same."""
        x = torch.linspace(-1, 1, 6, dtype=torch.float64).unsqueeze(1)
        data = qlazy.Dataset("a line", x[:4], x[:4].sin(), x[4:], x[4:].sin(), (), "")
        return qlazy.compare(
            {f"model {i}": of_one_weight(1.0 + i / 2) for i in range(self.models)}, data, steps=3, out=folder,
            alphas=[1.0 + i for i in range(self.alphas)], seeds=self.seeds, progress=False,
        )  # fmt: skip


def of_one_weight(factor: float) -> qlazy.Function:
    return qlazy.Function(lambda w, x: factor * torch.tanh(w[0] * x), 1)


def killed(job: Job, reference: dict[str, bytes], seconds: float, kills: int, seed: int, folder: Path) -> int:
    """Start the job until it is done, killing it on the way; returns how often that was."""
    rng, watch, done = random.Random(seed), Watch(reference, folder), 0
    while True:
        child = begin(job, folder)
        if done < kills:
            time.sleep(rng.uniform(0, 1.5 * seconds / max(kills, 1)))
            os.kill(child, signal.SIGKILL)
        if ended(child):
            watch.whole()
            return done
        done += 1
        watch.look()


class FoundError(Exception):
    """The work begins: what is missing has been found."""


def time_to_find(job: Job, folder: Path) -> float:
    """Seconds of the processor from the start of a job to its first run. ``folder`` lacks at least one."""
    start = time.process_time()
    with _in_place_of_work():
        try:
            job(folder)
        except FoundError:
            return time.process_time() - start
    raise AssertionError("nothing was missing")


@contextmanager
def _in_place_of_work() -> Iterator[None]:
    def stop(*arguments: object) -> None:
        raise FoundError

    held, making.make_runs_here = making.make_runs_here, stop  # type: ignore[assignment]
    try:
        yield
    finally:
        making.make_runs_here = held


def time_of_a_key(seeds: int) -> dict[str, float]:
    """Milliseconds of the processor of one key, the median over seeds, for each model of the demo."""
    data = qlazy.load_data("digits", features=4)
    models = build_models(DEMO, data)
    return {name: _median(partial(_key, model, data), seeds) for name, model in models.items()}


def _key(model: qlazy.Model, data: qlazy.Dataset, seed: int) -> str:
    settings = (data, seed, SquaredError(), GradientDescent(0.1), 100, True)
    return SeededModel("model", model, *settings).key(1.0)


def _median(call: Callable[[int], object], count: int) -> float:
    call(count)  # what is done once
    found = []
    for i in range(count):
        start = time.process_time()
        call(i)
        found.append(time.process_time() - start)
    return round(1000 * sorted(found)[count // 2], 2)


def measure(sizes: Sizes, kills: int, seed: int, root: Path) -> dict[str, object]:
    """All figures. Raises AssertionError where a promise is broken."""
    start = time.perf_counter()
    assert ended(begin(sizes.sweep, root / "quiet"))
    seconds = time.perf_counter() - start
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    reference = finished_files(root / "quiet")
    died = killed(sizes.sweep, reference, seconds, kills, seed, root / "killed")
    last = max((root / "killed" / "runs").iterdir())
    shutil.rmtree(last)
    finding = time_to_find(sizes.sweep, root / "killed")
    assert ended(begin(sizes.sweep, root / "killed"))
    assert finished_files(root / "killed") == reference
    begun = time.process_time()
    sizes.sweep(root / "killed")
    return {
        "runs": sizes.models * sizes.alphas * sizes.seeds, "kills": died, "bytes": sum(map(len, reference.values())),
        "quiet": round(spent, 1), "finding": round(finding, 2), "nothing left": round(time.process_time() - begun, 2),
    }  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0
    models, alphas, seeds, kills = map(int, sys.argv[1:5])
    place = Path(sys.argv[5])
    Sizes(1, 1, 1).sweep(place / "preload")  # imports what every child would import anew
    print(json.dumps(measure(Sizes(models, alphas, seeds), kills, 0, place)), flush=True)
    print(json.dumps({"milliseconds of a key": time_of_a_key(20)}))
