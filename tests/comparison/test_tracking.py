"""What trackers get is what the trace and the comparison hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qlazy import mlp, train
from qlazy.comparison.tracking import log_comparison, log_trace, observe
from tests.comparison.test_figures import made_up


@pytest.fixture
def logged():
    entries: list[tuple[str, float, int]] = []
    return entries, lambda name, value, step: entries.append((name, value, step))


def run(observer=None):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(6, d, generator=generator, dtype=torch.float64) for d in (2, 1))
    model = mlp([2, 3, 1])
    return train(model, model.init(generator).double(), (x, y), steps=6, observer=observer)


def test_losses_as_they_come(logged) -> None:
    entries, log = logged
    trace = run(observe(log, every=2))
    assert [step for _, _, step in entries] == [0, 2, 4, 6]
    np.testing.assert_array_equal([value for _, value, _ in entries][-1], trace.train_loss[-1])
    with pytest.raises(ValueError, match="`every` must be positive, but is 0"):
        observe(log, every=0)


def test_a_trace_afterwards(logged) -> None:
    entries, log = logged
    trace = run()
    log_trace(trace, log, prefix="net/")
    drift = [(step, value) for name, value, step in entries if name == "net/parameter drift"]
    assert drift == list(zip(trace.steps.tolist(), trace.drift.tolist(), strict=True))
    assert not any("test loss" in name for name, _, _ in entries)


def test_a_comparison_afterwards(logged) -> None:
    entries, log = logged
    comparison = made_up()
    log_comparison(comparison, log)
    found = {name: value for name, value, _ in entries}
    first = comparison.runs[0]
    assert found["one/seed 0/a = 1/largest kernel change"] == first.kernel_change
    assert sum(name.endswith("largest output gap") for name in found) == len(comparison.runs)


def test_tensorboard_reads_what_it_was_told(tmp_path) -> None:
    """Through torch's own writer, and back through TensorBoard's reader."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        trace = run(observe(writer.add_scalar))
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [event.step for event in events] == list(range(7))
    np.testing.assert_allclose(events[-1].value, trace.train_loss[-1], rtol=1e-6)
