"""What a comparison is given, made plain, or refused before any work: seeds, scales, splits, models, baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, cast

from qlazy.base.errors import quoted, require, require_instance
from qlazy.comparison.baselines import FourierModel, InfiniteCircuit, InfiniteNet
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model, require_model
from qlazy.quantum.interop.kinds import refuse_circuits_of_other_tools
from qlazy.training.losses import Loss, SquaredError
from qlazy.training.methods import GradientFlow, Method

LONGEST_NAME = 1000


def distinct_values(argument: str, values: Iterable[Any], kind: type, noun: str) -> tuple[Any, ...]:
    """Distinct numbers of whatever holds them, a range, an array or a generator, as plain ones."""
    fits = (
        isinstance(values, Iterable)
        and not isinstance(values, str | bytes | Mapping)
        and getattr(values, "ndim", 1) == 1
    )
    require(fits, argument, f"be a sequence of {noun}", quoted(values), TypeError)
    found = tuple(value.item() if hasattr(value, "item") else value for value in values)
    plain = all(isinstance(value, kind) and not isinstance(value, bool) for value in found)
    require(plain, argument, f"hold {noun} alone", found, TypeError)
    require(found, argument, "hold at least one value", "empty")
    require(len(set(found)) == len(found), argument, "hold each value once", list(found))
    return found


def outputs_for(data: Dataset) -> str:
    """What a model must have to be trained on these data, for a refusal."""
    targets = data.y_train.shape[1]
    values = "one expectation value" if targets == 1 else f"{targets} expectation values"
    other = "other `classes=`" if data.classes else "other targets"
    remedy = f"(let the circuit return {values}, or take {other})"
    if targets > 1:
        each = "one for each class" if len(data.classes) == targets else "as the data have targets"
        return f"have {targets} outputs, {each} {remedy}"
    what = "-1 for one class and +1 for the other" if data.classes else "as the data"
    return f"have one output, {what} {remedy}"


def scales_of(alphas: Iterable[float]) -> tuple[float, ...]:
    """Distinct output scales, each positive."""
    found = distinct_values("alphas", alphas, Real, "numbers")
    require(all(0 < alpha < float("inf") for alpha in found), "alphas", "be positive", list(found))
    return found


def seeds_of(seeds: Iterable[int] | int) -> tuple[int, ...]:
    """Distinct seeds as they are listed, or the first so many from 0 on."""
    if isinstance(seeds, Integral) and not isinstance(seeds, bool):
        must = "be a sequence of whole numbers, or how many of them, 1 to 10000"
        require(1 <= int(seeds) <= 10_000, "seeds", must, seeds)
        return tuple(range(int(seeds)))
    many = len(seeds) if isinstance(seeds, range | list | tuple) else 0
    require(many <= 10_000, "seeds", "be 10000 at most", many)
    listed = distinct_values("seeds", cast(Iterable[int], seeds), Integral, "whole numbers")
    require(all(abs(seed) < 2**63 for seed in listed), "seeds", "be below 2^63", list(listed))
    return listed


def splits_of(
    data: Dataset | Callable[[int], Dataset], seeds: Sequence[int], normalized: bool
) -> dict[int, Dataset]:
    """The data of each seed; one split for all where ``data`` is a data set."""
    found = {seed: data(seed) if callable(data) else data for seed in seeds}
    first = found[seeds[0]]
    for one in found.values():
        must = "be a qlazy Dataset, as qlazy.from_arrays(x, y) makes one, or a function from a seed to one"
        require(isinstance(one, Dataset), "data", must, type(one).__name__, TypeError)
        require(len(one.x_test), "data", "hold test samples (a comparison scores them)", "without any")
        alike = [
            (d.classes, d.x_train.shape, d.y_train.shape, d.y_test.shape, d.y_train.dtype)
            for d in (first, one)
        ]
        require(
            alike[0] == alike[1], "data", "have the same classes, shapes and dtype for every seed", alike[1]
        )
    return {seed: one.with_unit_targets() if normalized else one for seed, one in found.items()}


def check_until(until_loss: float | None, loss: Loss, method: Method) -> None:
    """Refuse an end by the loss that is no share of it, or that the method does not come to step by step."""
    if until_loss is None:
        return
    good = isinstance(until_loss, Real) and 0 < until_loss < 1
    require(good, "until_loss", "be a share of the loss between 0 and 1", until_loss)
    known = isinstance(loss, SquaredError) or not isinstance(method, GradientFlow)
    require(known, "until_loss", "be absent for gradient flow of other losses than the square", until_loss)


def check_models(models: Mapping[str, Model]) -> None:
    """Refuse what is no mapping of names that can be written to models."""
    must = "be a mapping from names to models"
    require(isinstance(models, Mapping), "models", must, f"a {type(models).__name__}", TypeError)
    require(len(models), "models", "hold at least one model", "empty")
    for name, model in models.items():
        require(isinstance(name, str) and name, "models", "have names that are words", name, TypeError)
        written = name.encode("utf-8", "replace").decode() == name
        require(written and len(name) <= LONGEST_NAME, "models",
                f"have names of at most {LONGEST_NAME} characters, without surrogates", ascii(name))  # fmt: skip
        refuse_circuits_of_other_tools(f"models[{name!r}]", model)
        require_model(f"models[{name!r}]", model)


def check_baselines(baselines: Sequence[object], *, may_stand: bool) -> None:
    """Refuse what is no baseline, and any where seeds have splits or runs have ends of their own."""
    must = "be a list of InfiniteNets, InfiniteCircuits and FourierModels"
    require(isinstance(baselines, tuple | list), "baselines", must, type(baselines).__name__, TypeError)
    kinds = (InfiniteNet, InfiniteCircuit, FourierModel)
    for baseline in baselines:
        require_instance("baselines[...]", baseline, kinds, "InfiniteNet(...), InfiniteCircuit(...)")
        must = "be absent where seeds have splits or ends"
        require(may_stand, "baselines", must, list(map(str, baselines)))
