"""What training took: seconds, and the floating-point operations that its gradients need at least; what was kept.

Nothing of it is kept with a run, whose files are the same on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor

from qlazy.models.model import Model
from qlazy.training.history import History
from qlazy.training.methods import SGD, Adam, GradientDescent, Method


@dataclass
class Effort:
    """Of the runs trained in a block: how many, in how many seconds, with how many flops (None: one has no count).

    Of the runs ``asked`` for in it, ``kept`` were in a folder already and were taken up.
    """

    runs: int = 0
    seconds: float = 0.0
    flops: int | None = 0
    asked: int = 0
    kept: int = 0

    @property
    def rate(self) -> float:
        """Flops a second; 0 where they are not known."""
        return self.flops / self.seconds if self.flops and self.seconds > 0 else 0.0

    @property
    def kept_text(self) -> str:
        """How many runs were taken up, in words; nothing where none was."""
        return f"{self.kept} of {self.asked} runs were there already" if self.kept else ""


_WATCHED: ContextVar[Effort | None] = ContextVar("effort watched", default=None)


@contextmanager
def watched() -> Iterator[Effort]:
    """The effort of what is trained in a block, in this thread; runs in other processes are not seen."""
    effort = Effort()
    token = _WATCHED.set(effort)
    try:
        yield effort
    finally:
        _WATCHED.reset(token)


@contextmanager
def timed() -> Iterator[None]:
    """A block that trains, whose seconds count where they are watched."""
    start = time.perf_counter()
    try:
        yield
    finally:
        effort = _WATCHED.get()
        if effort is not None:
            effort.seconds += time.perf_counter() - start


def count_kept(kept: int, asked: int) -> None:
    """Count runs that are asked for, and those of them that are in a folder already, where efforts are watched."""
    effort = _WATCHED.get()
    if effort is not None:
        effort.asked += asked
        effort.kept += kept


def count_run(model: Model, params: Tensor, x: Tensor, method: Method, trace: History) -> None:
    """Count a run that was trained on x (n, ...), where efforts are watched."""
    effort = _WATCHED.get()
    if effort is not None:
        effort.runs += 1
        own = flops_of(model, params, x, method, int(trace.steps[-1]))
        effort.flops = None if own is None or effort.flops is None else effort.flops + own


def flops_of(model: Model, params: Tensor, x: Tensor, method: Method, steps: int) -> int | None:
    """Of the gradients of so many steps on x (n, ...); None where a model, or a method that searches, has no count."""
    if not isinstance(method, GradientDescent | SGD | Adam):
        return None
    once = model.gradient_flops(params, x)
    return None if once is None else once * _samples(method, len(x), steps) // len(x)


def _samples(method: Method, samples: int, steps: int) -> int:
    """How many samples the steps go through: an epoch ends with what is left over."""
    size = min(getattr(method, "batch_size", None) or samples, samples)
    epochs, rest = divmod(steps, -(-samples // size))
    return epochs * samples + rest * size
