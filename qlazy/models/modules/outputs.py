"""One tensor out of what a module returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from qlazy.base.errors import UnsupportedModelError, refuse


class Picked:
    """A forward hook that gives one part of what a module returns in its place."""

    def __init__(self, output: int | str | Callable[[Any], Any]) -> None:
        self.output = output

    def __call__(self, module: nn.Module, inputs: Any, returned: Any) -> Any:
        if callable(self.output):
            return self.output(returned)
        try:
            if isinstance(self.output, str) and not isinstance(returned, Mapping):
                return getattr(returned, self.output)
            return returned[self.output]
        except (LookupError, AttributeError, TypeError):
            found = f" with {', '.join(map(str, returned))}" if isinstance(returned, Mapping) else ""
            must = f"be part of what the module returns, a {type(returned).__name__}{found}"
            return refuse("output", must, repr(self.output), UnsupportedModelError)
