"""Runs in an experiment tracker: TensorBoard, MLflow, Weights & Biases, or any that logs a named number at a step.

A logger is a function ``log(name, value, step)``: ``SummaryWriter.add_scalar`` of ``torch.utils.tensorboard`` and
``mlflow.log_metric`` are loggers as they stand.

    writer = SummaryWriter("runs")
    train(model, params, data, steps=500, observer=observe(writer.add_scalar))
    log_comparison(comparison, writer.add_scalar)
"""

from __future__ import annotations

from collections.abc import Callable

from qlazy.base.errors import require
from qlazy.comparison.metrics import METRICS
from qlazy.comparison.result import Comparison
from qlazy.training.history import History

Logger = Callable[[str, float, int], object]


def observe(log: Logger, *, name: str = "loss", every: int = 1) -> Callable[[int, float], None]:
    """An observer for :func:`qlazy.train`: logs the loss R(a h(w)) while training, each ``every`` steps."""
    require(every >= 1, "every", "be positive", every)

    def observer(step: int, risk: float) -> None:
        if step % every == 0:
            log(name, risk, step)

    return observer


def log_trace(trace: History, log: Logger, *, prefix: str = "") -> None:
    """Log what a trace recorded: losses and parameter drift, at the steps recorded."""
    series = {"train loss": trace.train_loss, "test loss": trace.test_loss, "parameter drift": trace.drift}
    for name, values in series.items():
        if values is not None:
            for step, value in zip(trace.steps, values, strict=True):
                log(f"{prefix}{name}", float(value), int(step))


def log_comparison(comparison: Comparison, log: Logger) -> None:
    """Log every run under ``model/seed 0/a = 1/``, and its drift, kernel change and gaps at its last step."""
    for run in comparison.runs:
        prefix = f"{run.model}/seed {run.seed}/a = {run.alpha:g}/"
        log_trace(run.trace, log, prefix=prefix)
        for name, metric in METRICS.items():
            log(f"{prefix}largest {name}", metric(run), int(run.trace.steps[-1]))
