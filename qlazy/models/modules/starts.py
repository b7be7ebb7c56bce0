"""Where training starts: parts of a module drawn anew as torch draws them, and weights that were not so drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from qlazy.base.errors import UnsupportedModelError, require

_GLOBAL_GENERATOR = threading.Lock()
DRAWS, FEW_DRAWS = 64, 8
"""So many times a module is drawn anew to compare its own weights, fewer times where it has over SMALL of them."""
SMALL = 100_000
LEVEL = 1e-12
"""How seldom weights that were drawn as torch draws them are taken for others."""


def seeded(draw: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """What ``draw`` makes with torch's global generator seeded from another; the global one is left as it was."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return draw()


def reset(module: nn.Module) -> nn.Module:
    """The module, each part of which its ``reset_parameters`` has drawn anew.

    Raises UnsupportedModelError where a part with trainable parameters has none.
    """
    for name, part in _parts_first(module, "", set()):
        if isinstance(part, parametrize.ParametrizationList):
            continue  # drawn with the part that it belongs to
        if parametrize.is_parametrized(part):
            _reset_parametrized(name, part)
        elif any(p.requires_grad for p in part.parameters(recurse=False)):
            _reset_part(name, part)
    return module


def _parts_first(module: nn.Module, name: str, seen: set[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """The module's parts by name, each before what holds it, as they are made; each once."""
    seen.add(module)
    for each, part in module.named_children():
        if part not in seen:
            yield from _parts_first(part, f"{name}.{each}".lstrip("."), seen)
    yield name, module


def _reset_part(name: str, part: nn.Module) -> None:
    drawn = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
    must = (
        'have `reset_parameters` on each part that owns parameters, or be given to Net with init="own", with a'
        " function of a generator, `init=`, or as the function that makes it, as in `Net(MyModule)`"
    )
    lacking = f"without it in {name or 'its root'} ({type(part).__name__})"
    require(drawn is not None, "module", must, lacking, UnsupportedModelError)
    assert drawn is not None
    drawn()
    for hook in part._forward_pre_hooks.values():
        if (
            type(hook).__name__ == "WeightNorm"
        ):  # of torch.nn.utils.weight_norm: direction and length are parameters
            weight = getattr(part, hook.name).detach()  # type: ignore[attr-defined]
            length = torch.norm_except_dim(weight, 2, hook.dim)  # type: ignore[attr-defined]
            for suffix, value in (("_v", weight), ("_g", length)):
                getattr(part, hook.name + suffix).data = value.clone()  # type: ignore[attr-defined]


def _reset_parametrized(name: str, part: nn.Module) -> None:
    """Draw what is parametrised and put it through the parametrisation's inverse."""
    names = [*part.get_submodule("parametrizations")._modules]
    plain = _without_parametrisations(part, names)
    _reset_part(name, plain)
    with torch.no_grad():
        for each in names:
            setattr(part, each, getattr(plain, each).detach())
        for each, parameter in part.named_parameters(recurse=False):
            parameter.copy_(plain.get_parameter(each))


def _without_parametrisations(part: nn.Module, names: list[str]) -> nn.Module:
    """The part as its class made it, with the values that are parametrised as parameters."""
    kind: Any = type(part).__bases__[0]  # torch derives a class of its own for a parametrised part
    plain: nn.Module = kind.__new__(kind)
    values = {name: getattr(part, name) for name in names} | dict(part.named_parameters(recurse=False))
    plain.__dict__.update(vars(part))
    plain._parameters = {name: nn.Parameter(value.detach().clone()) for name, value in values.items()}
    plain._modules = {name: inner for name, inner in part._modules.items() if name != "parametrizations"}
    return plain


def foreign(module: nn.Module, copied: Callable[[nn.Module], nn.Module]) -> str | None:
    """The first trainable parameter whose values are surely not what ``reset`` draws: of another size or constant.

    By Kolmogorov and Smirnov's test at LEVEL, by the largest magnitude, and exactly where nothing is random. Weights
    near torch's own in distribution, as those of a little training, are not told from them.
    """
    own = {name: p.detach().flatten() for name, p in module.named_parameters() if p.requires_grad}
    count = DRAWS if sum(map(len, own.values())) <= SMALL else FEW_DRAWS
    fresh = copied(module)
    seen: dict[str, list[Tensor]] = {name: [] for name in own}
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        drawn = dict(seeded(lambda: reset(fresh), generator).named_parameters())
        for name, draws in seen.items():
            draws.append(drawn[name].detach().flatten().clone())
    return next((name for name, values in own.items() if _differ(values, torch.stack(seen[name]))), None)


def _differ(own: Tensor, draws: Tensor) -> bool:
    """Values (m,) against draws (k, m)."""
    if not len(own):
        return False
    if bool((draws == draws[0]).all()):
        return not torch.equal(own, draws[0])
    if bool((own == own[0]).all()) and (len(own) > 1 or float(own[0]) == 0):
        return True
    is_larger = bool(own.abs().max() > 3 * draws.abs().max())
    return is_larger or _distance(own, draws.flatten()) > _critical(len(own), draws.numel())


def _distance(one: Tensor, other: Tensor) -> float:
    """The largest difference of two empirical distribution functions."""
    points = torch.cat([one, other])
    shares = [torch.searchsorted(s.sort().values, points, right=True) / len(s) for s in (one, other)]
    return float((shares[0] - shares[1]).abs().max())


def _critical(one: int, other: int) -> float:
    level = torch.tensor(LEVEL / 2, dtype=torch.float64)
    return float((-level.log() / 2 * (one + other) / (one * other)).sqrt())
