"""Run a net and listen to what goes in and out of its layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from qlazy.base.errors import require
from qlazy.base.torch_private import is_transformed, jacrev, vmap
from qlazy.models.derivatives import jacobian_by_rows
from qlazy.models.layerwise.factors import ReadFactor
from qlazy.models.layerwise.rules import Rule, rule_for
from qlazy.models.thread_copies import replica


@final
@dataclass(frozen=True, eq=False)
class Layer:
    """A module with a rule, and the parameters it answers for: name in the module -> name in the net."""

    rule: Rule
    parameters: Mapping[str, str]

    def positions(self, cotangents: Tensor) -> Tensor:
        """Cotangents (r, c, t, out) from those in the form of the module's outputs, (r, c, ...)."""
        return self.rule.positions(cotangents.flatten(0, 1)).unflatten(0, cotangents.shape[:2])

    def factor(self, calls: Sequence[LayerCall], cotangents: Sequence[Tensor]) -> ReadFactor:
        """From cotangents (n, c, t, out) of each call: several calls are so many more positions."""
        seen = _joined([call.seen for call in calls], 1)
        return self.rule.factor(seen, _joined(cotangents, 2), self.parameters)


class LayerCall(NamedTuple):
    """One call of a module: what its parameters saw (n, t, ...), and a zero added to its outputs."""

    seen: Tensor
    probe: Tensor


@final
class Instrumented:
    """A private copy of a net's structure, at fixed parameter values, whose layers can be listened to.

    The tensors are shared and the net itself stays as it is, without hooks that other threads would meet.
    ``is_mapped(x)`` tells whether ``torch.func`` maps the net over samples like x.
    """

    def __init__(
        self,
        module: nn.Module,
        state: Mapping[str, Tensor],
        trainable: Sequence[str],
        is_mapped: Callable[[Tensor], bool] = lambda x: True,
    ) -> None:
        self.module = replica(module)
        self._is_mapped = is_mapped
        self.state = {name: tensor.detach() for name, tensor in state.items()}
        self.leaves = {name: self.state[name].detach().requires_grad_() for name in trainable}
        self.like = next(iter(self.leaves.values())).detach()

    def layers(self) -> list[Layer]:
        """The modules with a rule and trainable parameters that no other module shares."""
        owned = [
            (f"{path}.{name}".lstrip("."), name, parameter, module)
            for path, module in self.module.named_modules()
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
        ]
        uses = Counter(id(parameter) for _, _, parameter, _ in owned)
        names: dict[nn.Module, dict[str, str]] = {}
        for path, name, parameter, module in owned:
            if path in self.leaves and uses[id(parameter)] == 1:
                names.setdefault(module, {})[name] = path
        rules = {module: rule_for(module) for module in names}
        layers = [
            Layer(rule, {name: names[module][name] for name in rule.parameters if name in names[module]})
            for module, rule in rules.items()
            if rule is not None
        ]
        return [layer for layer in layers if layer.parameters]

    def run(self, x: Tensor, replaced: Mapping[str, Tensor] | None = None) -> Tensor:
        """Outputs (n, c), with some parameters replaced."""
        state = self.state if replaced is None else self.state | dict(replaced)
        outputs = torch.func.functional_call(self.module, state, (x,))
        require(
            outputs.ndim == 2 and len(outputs) == len(x),
            "outputs", f"have shape (n, c) with n = {len(x)}", tuple(outputs.shape),
        )  # fmt: skip
        return outputs

    def jacobian(self, x: Tensor, leaves: Mapping[str, Tensor]) -> Tensor:
        """Per-sample gradients (n, c, q) of some parameters, whatever they are used for."""
        if not self._is_mapped(x):
            return self._jacobian_by_rows(x, leaves)

        def single(leaves: Mapping[str, Tensor], row: Tensor) -> Tensor:
            return self.run(row.unsqueeze(0), leaves).squeeze(0)

        rows = vmap(jacrev(single), (None, 0))(leaves, x)
        shape = next(iter(rows.values())).shape[:2]
        return torch.cat([rows[name].reshape(*shape, leaf.numel()) for name, leaf in leaves.items()], 2)

    def _jacobian_by_rows(self, x: Tensor, leaves: Mapping[str, Tensor]) -> Tensor:
        def run(flat: Tensor, x: Tensor) -> Tensor:
            parts = flat.split([leaf.numel() for leaf in leaves.values()])
            shaped = zip(leaves.items(), parts, strict=True)
            return self.run(x, {name: part.view_as(leaf) for (name, leaf), part in shaped})

        return jacobian_by_rows(run, torch.cat([leaf.flatten() for leaf in leaves.values()]), x)

    def called(self, x: Tensor, layers: Sequence[Layer]) -> set[Layer]:
        """The layers whose every call on these inputs can be read."""
        return set(self.listen(x, layers)[1])

    def listen(self, x: Tensor, layers: Sequence[Layer]) -> tuple[Tensor, dict[Layer, list[LayerCall]]]:
        """Outputs (n, c), and the calls of each layer whose every call could be read."""
        calls: dict[Layer, list[LayerCall]] = {layer: [] for layer in layers}
        with torch.enable_grad(), _hooks(calls, len(x), self.like.dtype):
            outputs = self.run(x, self.leaves)
        return outputs, {layer: made for layer, made in calls.items() if made and None not in made}


@contextmanager
def _hooks(calls: dict[Layer, list[Any]], samples: int, dtype: torch.dtype) -> Iterator[None]:
    def listener(layer: Layer) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> Any:
            if kwargs or len(args) != 1 or not _readable(layer.rule, args[0], output, samples, dtype):
                calls[layer].append(None)
                return None
            # A leaf that is added: its gradient is the cotangent, whatever is done in place afterwards.
            probe = zero_leaf(output)
            with torch.no_grad():
                seen = by_sample(layer.rule.read(args[0].detach()), samples)
            calls[layer].append(LayerCall(seen, probe))
            return output + probe

        return hook

    handles = [layer.rule.module.register_forward_hook(listener(layer), with_kwargs=True) for layer in calls]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _readable(rule: Rule, x: Any, output: Any, samples: int, dtype: torch.dtype) -> bool:
    tensors = isinstance(x, Tensor) and isinstance(output, Tensor)
    if not tensors or is_transformed(x, output):
        return False
    if x.ndim == 0 or not rule.admits(x) or output.dtype != dtype:
        return False
    # More rows than samples: positions folded into the batch, sample by sample, which the check confirms.
    return len(output) == len(x) and len(output) % samples == 0


def by_sample(rows: Tensor, samples: int) -> Tensor:
    """Rows (r, t, ...) of n samples as (n, (r/n) t, ...)."""
    return rows.reshape(samples, -1, *rows.shape[2:])


def zero_leaf(like: Tensor) -> Tensor:
    """Zeros that take no memory, to be added to a tensor whose gradient is wanted."""
    return like.detach().new_zeros(()).expand(like.shape).requires_grad_()


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)
