"""Columns of the inputs that a model's outputs do not depend on.

A circuit of two qubits takes data of four features without a word and reads the first two; models beside it read all
four. What is read cannot be told from outside, so the model is asked: outputs of rows in which one column holds another
value, at several parameter vectors, and then those of the whole of x with the columns in question shuffled.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from qlazy.base.errors import UnreadInputsWarning
from qlazy.models.model import Model

PROBES = 6
"""At so many parameter vectors and rows each column is changed alone."""
SHUFFLES = 4
"""So often columns that none of these showed are shuffled, at other parameters, before they are named."""
ROWS = 256
"""In so many rows of x, at most."""
NAMED = 8
"""So many columns are called by their names, at most."""
ROUNDING = 64
"""Outputs that differ by less than so many times the precision of their dtype are the same."""


def unread_columns(model: Model, x: Tensor) -> tuple[int, ...]:
    """Columns of x (n, d) that no output depends on, counted from 0.

    Columns that hold one value in every row of x are left out, since they tell nothing. So are all columns of inputs
    that are not rows of numbers, and of a model that does not run on rows other than those of x, such as states of norm
    1. The outputs are compared for values that lie in x and between them, at the model's initial parameters and others.
    """
    if x.ndim != 2 or not x.is_floating_point() or len(x) < 2:
        return ()
    varied = (x != x[:1]).any(0).nonzero().flatten().tolist()
    generator = torch.Generator().manual_seed(0)
    try:
        with torch.no_grad():
            left = _unchanged_alone(model, x, varied, generator)
            return tuple(_unchanged_shuffled(model, x, left, generator))
    except Exception:  # a row that the model does not take: nothing can be said
        return ()


def warn_of_unread_columns(
    models: Iterable[tuple[str, Model]], x: Tensor, names: Sequence[str] = (), stacklevel: int = 3
) -> dict[str, str]:
    """One :class:`UnreadInputsWarning` for each model that leaves columns of x unread; which they are, by its name.

    ``names`` are those of all columns, where they are known.
    """
    found = {}
    for name, model in models:
        if unread := unread_columns(model, x):
            found[name] = unread_which(unread, x.shape[1], names)
            warnings.warn(unread_text(name, found[name]), UnreadInputsWarning, stacklevel=stacklevel)
    return found


def unread_text(name: str, which: str) -> str:
    """What is said of a model that leaves columns of its inputs unread."""
    return f"no output of {name} depends on {which}, whatever stands there; other models on these data may use it"


def unread_which(columns: Sequence[int], width: int, names: Sequence[str] = ()) -> str:
    """The columns in words, by their numbers, and by their names if these are known: eight names at most."""
    which = f"column {columns[0]}" if len(columns) == 1 else f"columns {_listed(columns)}"
    called = [names[column] for column in columns[:NAMED]] if names else []
    more = ", ..." if called and len(columns) > NAMED else ""
    beside = f": {', '.join(called)}{more}" if called else ""
    return f"{which} of the {width} of its inputs (counted from 0{beside})"


def _listed(columns: Sequence[int]) -> str:
    """0, 1, 5 to 9: numbers that follow each other as a range."""
    runs: list[list[int]] = []
    for column in columns:
        if runs and runs[-1][-1] == column - 1:
            runs[-1].append(column)
        else:
            runs.append([column])
    parts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0].replace(", ", " and ")


def _unchanged_alone(
    model: Model, x: Tensor, columns: Sequence[int], generator: torch.Generator
) -> list[int]:
    """The columns that may hold another value of theirs in a row, and outputs stay the same."""
    left = list(columns)
    for probe in range(PROBES):
        if not left:
            break
        base = x[int(torch.randint(len(x), (), generator=generator))]
        rows = base.repeat(len(left) + 1, 1)
        for place, column in enumerate(left, start=1):
            others = x[:, column][x[:, column] != base[column]]
            rows[place, column] = others[int(torch.randint(len(others), (), generator=generator))]
        params = _params(model, probe, x, generator)
        outputs = torch.cat([model(params, part) for part in rows.split(len(x))])
        differs = _differ(outputs[1:], outputs[:1])
        left = [column for column, is_read in zip(left, differs.tolist(), strict=True) if not is_read]
    return left


def _unchanged_shuffled(
    model: Model, x: Tensor, columns: Sequence[int], generator: torch.Generator
) -> list[int]:
    """Those of the columns whose values may be shuffled among the rows, or mixed, and outputs stay the same."""
    if not columns:
        return []
    rows = x[torch.randperm(len(x), generator=generator)[:ROWS]]
    for probe in range(SHUFFLES):
        shuffled = rows.clone()
        for column in columns:
            shuffled[:, column] = rows[torch.randperm(len(rows), generator=generator), column]
        if probe % 2 and not _are_whole(rows[:, columns]):  # values between those of x
            share = torch.rand(len(rows), len(columns), generator=generator, dtype=torch.float64).to(x)
            shuffled[:, columns] = rows[:, columns] + share * (shuffled[:, columns] - rows[:, columns])
        params = _params(model, probe, x, generator)
        if bool(_differ(model(params, shuffled), model(params, rows)).any()):
            if len(columns) == 1:
                return []
            halves = columns[: len(columns) // 2], columns[len(columns) // 2 :]
            return [c for half in halves for c in _unchanged_shuffled(model, x, half, generator)]
    return list(columns)


def _params(model: Model, probe: int, x: Tensor, generator: torch.Generator) -> Tensor:
    """Initial parameters (p,), and, every second time, others at random around them."""
    params = model.init(generator).to(x)
    step = torch.randn(model.num_params, generator=generator, dtype=torch.float64)
    return params + step.to(params) if probe % 2 else params


def _differ(outputs: Tensor, others: Tensor) -> Tensor:
    """Which rows (n, c) differ by more than rounding, (n,); what is not finite differs."""
    scale = torch.maximum(outputs.abs(), others.abs()).amax(0).clamp(min=torch.finfo(outputs.dtype).tiny)
    same = (outputs - others).abs() <= ROUNDING * torch.finfo(outputs.dtype).eps * scale
    return ~same.flatten(1).all(1)


def _are_whole(values: Tensor) -> bool:
    """Bits and counts, of which there are none between."""
    return bool((values == values.round()).all())
