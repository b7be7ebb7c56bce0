"""Parts of modules that do not see the weights put in their place, turned into parts that do.

What is turned by what is said by who knows both, from above: here they are kept, and nothing heavy is imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_CONVERSIONS: dict[str, str] = {}


def register(kind: str, conversion: str) -> None:
    """Turn parts of a class, ``package.module.Class`` or a class derived of it, by a function, ``package.module:name``.

    The function takes the part and returns another module; it is imported at the first such part.
    """
    _CONVERSIONS[kind] = conversion


def conversions_of(module: nn.Module) -> dict[int, nn.Module]:
    """For each part that is turned into another, by its ``id``, the other: what ``copy.deepcopy`` takes for a memo."""
    found = {id(part): _conversion(part) for part in module.modules()}
    return {key: _converted(part, found[key]) for part in module.modules() if found[key := id(part)]}


def _conversion(part: nn.Module) -> str:
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(part).__mro__)
    return next((_CONVERSIONS[name] for name in names if name in _CONVERSIONS), "")


def _converted(part: nn.Module, conversion: str) -> nn.Module:
    home, _, name = conversion.partition(":")
    made: nn.Module = getattr(importlib.import_module(home), name)(part)
    return made.train(part.training)
