"""What a torch module is held to before a number is taken from it, once for each kind of rows.

A :class:`~qlazy.models.nets.Net` promises that row i of the outputs depends on row i of the inputs alone, and that
a call changes nothing and depends on no other call. A module can break that in ways nobody can read off it, so it is
run: a batch against its rows one by one, a copy of the module that was used before against one that was not, and
weights put in for a call against the same weights as the module's own, under ``backward()``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import CellType, FunctionType
from typing import Any, NoReturn, final

import numpy as np
import torch
from torch import Tensor, nn

from qlazy.base.chance import random_states
from qlazy.base.errors import NotFiniteError, UnsupportedModelError, ZeroJacobianError, refuse, require
from qlazy.base.torch_private import within_transform
from qlazy.models.derivatives import pulled_back, spread
from qlazy.models.layerwise.sources import ParametrisedModule
from qlazy.models.thread_copies import copied, replica

ROWS = 3
"""The module is run on so many rows."""

BATCH = 32
"""Rows are held to a batch of so many, spread over x: to x itself where it has no more."""

ALONE = 8
"""So many rows of it are run one by one."""

GROWTH = 4
"""A batch so many times as large as any before is held to its rows anew: what mixes may do so in large batches only."""

_OF_EVERY_MODULE = frozenset(vars(nn.Module())) - {"training"}
_OURS = (UnsupportedModelError, NotFiniteError, ZeroJacobianError)


def distinct_first(batch: Tensor) -> tuple[Tensor, int]:
    """The rows of a batch (m, ...), up to ROWS that differ in front, and how many: equal ones do not show mixing."""
    chosen = [0]
    for i in range(1, len(batch)):
        if len(chosen) < ROWS and all(not torch.equal(batch[i], batch[j]) for j in chosen):
            chosen.append(i)
    order = chosen + [i for i in range(len(batch)) if i not in chosen]
    return batch[order], len(chosen)


@final
class Trial:
    """One net at params (p,) on inputs (n, ...), plain tensors, with a copy of its module that was not run yet."""

    def __init__(self, net: ParametrisedModule, unused: nn.Module, params: Tensor, x: Tensor) -> None:
        self._net = net
        self._unused = unused
        self._params = params
        self._x = x
        self._batch, count = distinct_first(spread(x, BATCH))
        self._rows = self._batch[:count]
        self._elsewhere = _moved(params)

    @property
    def differing(self) -> int:
        """How many rows that differ it has; with one, whether rows mix is not seen."""
        return len(self._rows)

    def run(self) -> None:
        """Raise UnsupportedModelError where the module breaks the promise, ValueError where it does not take x."""
        before = _outside(self._net.module)
        outputs = self._deterministic()
        self._require_nothing_kept(outputs)
        used = self._require_no_history(outputs)
        self._require_nothing_counted(before)
        if len(self._rows) > 1:
            self._require_independence(used)
        if len(self._x) > len(self._batch):
            self.hold_batch()
        self._require_gradients_of_its_own_weights()

    def _deterministic(self) -> Tensor:
        """The outputs of the rows. Random numbers are noticed by the generator they are drawn from."""
        before = _random_states(self._params)
        outputs = self._call(self._unused, self._params, self._rows)
        drawn = set(before)
        for _ in range(3):  # other threads draw too, though hardly in every one of these calls
            now = _random_states(self._params)
            drawn = {name for name in drawn if now[name] != before[name]}
            if not drawn:
                return outputs
            before = now
            self._call(replica(self._net.module), self._params, self._rows)
        actual = f"draws random numbers in forward, from {min(drawn)}: call .eval() first, or leave them out"
        return self._refuse("be deterministic", actual)

    def _require_nothing_kept(self, outputs: Tensor) -> None:
        """What was computed from parameters once, which :func:`copied` blanks, is not used again."""
        kept = [
            f"{name}.{attribute}".lstrip(".")
            for name, part in self._net.module.named_modules()
            for attribute, value in _attributes(part)
            if isinstance(value, Tensor)
            and value.is_floating_point()
            and value.numel()
            and value.isnan().all()
        ]
        if kept and outputs.isnan().any():
            self._refuse("compute what depends on its parameters in forward", f"keeps {kept[0]} from before")

    def _require_no_history(self, outputs: Tensor) -> nn.Module:
        """A copy of the module that was used before and gives the same."""
        used = replica(self._net.module)
        try:
            self._call(used, self._elsewhere, self._rows[:1])
        except Exception:  # another point, fewer rows: what is wrong with that is found elsewhere
            used = replica(self._net.module)
        with torch.no_grad():  # in which a path is followed and outputs are recorded
            again = self._call(used, self._params, self._rows)
        must = "give the same outputs whatever it was called with before"
        if not _close(again, outputs):
            self._refuse(must, "does not: a second call differs")
        for (name, part), other in zip(self._unused.named_modules(), used.modules(), strict=False):
            for attribute, value in _attributes(part):
                if not _equal(value, vars(other).get(attribute)):
                    whole = f"{name}.{attribute}".lstrip(".")
                    self._refuse(must, f"changes its attribute {whole} from call to call")
        return used

    def _require_nothing_counted(self, before: Mapping[str, Any]) -> None:
        now = _outside(self._net.module)
        changed = [name for name, value in before.items() if not _equal(value, now.get(name))]
        if changed:
            must = "give the same outputs whatever it was called with before"
            self._refuse(must, f"changes {changed[0]}, which it reads, from call to call")

    def hold_batch(self) -> None:
        """Refuse a module whose rows differ within all of x from those alone. Raises UnsupportedModelError."""
        module = replica(self._net.module)
        rows = torch.linspace(0, len(self._x) - 1, ALONE, device=self._x.device).long().unique()
        together = self._call(module, self._params, self._x)[rows]
        alone = torch.cat([self._call(module, self._params, row) for row in self._x[rows].split(1)])
        if not _close(alone, together):
            self._refuse_mixing(f"does not: a batch of {len(self._x)} and its rows one by one differ")

    def _require_independence(self, module: nn.Module) -> None:
        batch = self._batch
        try:
            own = module if batch.dtype == torch.float64 else replica(module)  # it may keep what it saw
            together, alone = self._both(own, self._elsewhere.double(), _double(batch))
        except Exception:  # not a module for double precision, or for parameters elsewhere
            together, alone = self._both(module, self._params, batch)
        if not (together.isfinite().all() and alone.isfinite().all()):
            together, alone = self._both(module, self._params, batch)
        if not _close(alone, together):
            self._refuse_mixing("does not: a batch and its rows one by one differ")

    def _require_gradients_of_its_own_weights(self) -> None:
        """The same weights as the module's own give the same outputs and, by ``backward()``, the same gradient."""
        params = self._elsewhere  # not those that the module came with
        own, outputs = _holding(self._net, params), self._call(replica(self._net.module), params, self._rows)
        weights = _moved(torch.ones_like(outputs))
        try:
            plain = own(self._rows.clone())
            if plain.requires_grad:
                plain.backward(weights)
        except Exception as error:
            self._refuse("have gradients by torch.autograd", f"is without them ({_said(error)})", error)
        must = "give outputs and gradients of the weights that are put in for a call"
        if not _close(plain, outputs):
            self._refuse(must, "does not: it keeps some of its weights elsewhere than in its parameters")
        if not plain.requires_grad:
            return
        parameters = dict(own.named_parameters())
        grads = [(parameters[name], parameters[name].grad) for name in self._net.blocks]
        if all(grad is None for _, grad in grads):
            self._refuse(must, "does not: it takes all of its weights from elsewhere than its parameters")
        expected = torch.cat(
            [(torch.zeros_like(p) if g is None else g.to_dense()).flatten() for p, g in grads]
        )
        remedy = "take out what runs again on the way back, such as torch.utils.checkpoint"
        try:
            found = pulled_back(self._applied, params, self._rows, weights)
        except Exception as error:
            self._refuse(must, f"does not: {remedy} ({_said(error)})", error)
        if not _close(found, expected):
            self._refuse(must, f"does not: {remedy}")

    def _applied(self, params: Tensor, x: Tensor) -> Tensor:
        return torch.func.functional_call(replica(self._net.module), self._net.state(params), (x.clone(),))

    def _both(self, module: nn.Module, params: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs (k, c) of rows within the batch and within one twice as large, and twice one by one."""
        rows = batch[:ALONE].split(1)
        together = [
            self._call(module, params, whole)[: len(rows)] for whole in (batch, torch.cat([batch, batch]))
        ]
        try:
            alone = [self._call(module, params, row) for row in rows]
        except Exception as error:
            self._refuse_mixing(f"runs on {len(batch)} rows and not on one ({_said(error)})", error)
        return torch.cat(together), torch.cat([*alone, *alone])

    def _call(self, module: nn.Module, params: Tensor, x: Tensor) -> Tensor:
        """Outputs (n, c) of a call that leaves everything as it was."""
        given, fixed = x.clone(), self._net.state(params)
        state = {name: tensor.clone() for name, tensor in fixed.items()}
        outputs = called(module, state, given)
        for name, tensor in fixed.items():
            if not _identical(tensor, state[name]):
                actual = f"changes {name} in forward (call .eval() first, if it does so in training only)"
                self._refuse("leave its parameters and buffers as they are", actual)
        if not _identical(given, x):
            self._refuse("leave its inputs as they are", "writes to x: an `inplace=True` less, or a .clone()")
        require_outputs(outputs, x, module)
        require(
            outputs.dtype == params.dtype, "module", f"return outputs in the dtype of params, {params.dtype}",
            f"{type(module).__name__}, which returns {outputs.dtype}", UnsupportedModelError,
        )  # fmt: skip
        return outputs

    def _refuse_mixing(self, actual: str, cause: Exception | None = None) -> NoReturn:
        must = (
            "map each sample on its own (attention and recurrent layers with batch_first=True, norms and"
            " statistics over features)"
        )
        self._refuse(must, actual, cause)

    def _refuse(self, must: str, actual: str, cause: Exception | None = None) -> NoReturn:
        name = type(self._net.module).__name__
        raise UnsupportedModelError(f"`module` must {must}, but {name} {actual}") from cause


def called(module: nn.Module, state: dict[str, Tensor], x: Tensor) -> Any:
    """The module's outputs; what it raises outside of transforms comes as a ValueError that says for which x."""
    try:
        return torch.func.functional_call(module, state, (x,))
    except (*_OURS, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if within_transform():
            raise
        if not torch.is_grad_enabled():  # a module that differentiates in forward does so with autograd on
            with torch.enable_grad():
                outputs = called(module, state, x)
            return outputs.detach() if isinstance(outputs, Tensor) else outputs
        actual = f"rows of shape {tuple(x.shape[1:])}, {x.dtype}, on which it raises {_said(error)}"
        raise ValueError(f"`x` must be inputs that {type(module).__name__} takes, but is {actual}") from error


def _holding(net: ParametrisedModule, params: Tensor) -> nn.Module:
    """A copy of the module with these parameters (p,) as its own."""
    module, state = copied(net.module), net.state(params)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        tensor.data = state[name].detach().clone()
    return module


def require_outputs(outputs: Any, x: Tensor, module: nn.Module) -> None:
    """Refuse what is not one tensor (n, c)."""
    if not isinstance(outputs, Tensor):
        kind = f"{type(module).__name__}, which returns a {type(outputs).__name__}"
        must = "return one tensor (n, c) (pick one by Net(module, output=...))"
        refuse("module", must, kind, UnsupportedModelError)
    is_dense = outputs.layout is torch.strided and not outputs.is_nested
    require(
        is_dense,
        "outputs",
        "be a dense tensor",
        "nested" if outputs.is_nested else f"of layout {outputs.layout}",
    )
    shape, rows = tuple(outputs.shape), len(x)
    remedy = " (`.unsqueeze(1)`)" if shape == (rows,) else ""
    returned = f"{type(module).__name__}, which returns shape {shape} for {rows} rows"
    fits = len(shape) == 2 and shape[0] == rows
    require(fits, "module", f"return outputs of shape (n, c){remedy}", returned, UnsupportedModelError)


def _moved(params: Tensor) -> Tensor:
    """A point nearby where nothing vanishes by construction, as an output layer that starts at zero does."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, *params.shape, generator=generator, dtype=torch.float64).to(params)
    return params * (1 + noise[0] / 10) + noise[1] / 100


def _random_states(params: Tensor) -> dict[str, Any]:
    """Where each global generator stands."""
    states = random_states()
    if params.is_cuda:
        states["torch.cuda"] = torch.cuda.get_rng_state(params.device).numpy().tobytes()
    return states


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """What a module holds beside parameters, buffers and parts."""
    return ((name, value) for name, value in vars(module).items() if name not in _OF_EVERY_MODULE)


def _outside(module: nn.Module) -> dict[str, Any]:
    """What the methods of a module's own classes read beside their arguments: globals, closures, class attributes."""
    found: dict[str, Any] = {}
    for kind in {kind for part in module.modules() for kind in type(part).__mro__ if _is_own(kind)}:
        for name, value in vars(kind).items():
            if isinstance(value, FunctionType):
                _add_outside(found, value, 2)
            elif not name.startswith("__"):
                _add_number(found, f"{kind.__name__}.{name}", value)
    return found


def _is_own(kind: type) -> bool:
    return kind is not object and kind.__module__.split(".")[0] != "torch"


def _add_outside(found: dict[str, Any], function: FunctionType, depth: int) -> None:
    read = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    read |= {name: cell.cell_contents for name, cell in cells if cell != CellType()}
    for name, value in read.items():
        if isinstance(value, FunctionType) and depth and value.__module__ == function.__module__:
            _add_outside(found, value, depth - 1)
        else:
            _add_number(found, name, value)


def _add_number(found: dict[str, Any], name: str, value: Any) -> None:
    """A number, or a list, a dict, an array or a tensor of them, as they are now."""
    if isinstance(value, bool | int | float | complex):
        found[name] = value
    elif isinstance(value, Tensor):
        found[name] = value.detach().clone()
    elif isinstance(value, list | dict | np.ndarray):
        found[name] = value.copy()


def _equal(one: Any, other: Any, depth: int = 3) -> bool:
    """Whether two values are the same, as far as numbers in them tell."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.shape == other.shape and _close(other, one)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and bool(np.all((one == other) | (one != one)))
    if isinstance(one, torch.Generator):
        return isinstance(other, torch.Generator) and torch.equal(one.get_state(), other.get_state())
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, bool | int | float | complex | str) or one is None:
        return bool(one == other)
    if isinstance(one, Mapping):
        one, other = list(one.values()), list(other.values()) if isinstance(other, Mapping) else other
    if isinstance(one, Sequence) and depth:
        same_length = isinstance(other, Sequence) and len(one) == len(other)
        return same_length and all(_equal(a, b, depth - 1) for a, b in zip(one, other, strict=True))
    return True


def _identical(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.layout is not torch.strided:
        one, other = one.to_dense(), other.to_dense()
    return torch.equal(one, other) or torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def _close(found: Tensor, expected: Tensor) -> bool:
    """Equal up to rounding in units of the largest finite entry."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if not expected.dtype.is_floating_point and not expected.dtype.is_complex:
        return torch.equal(found, expected)
    if torch.equal(found, expected):
        return True
    finite = expected[expected.isfinite()]
    size = float(finite.detach().abs().max()) if finite.numel() else 0.0
    slack = torch.finfo(expected.dtype).eps ** 0.5 * size
    return torch.allclose(found, expected, rtol=0.0, atol=slack, equal_nan=True)


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x


def _said(error: BaseException) -> str:
    """The first line of the error that a module raised."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {(str(cause).strip() or 'no message').splitlines()[0]}"
