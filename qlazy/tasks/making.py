"""What users of scikit-learn give for a model: one, a torch module, a text, a function of the number of features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qlazy.base.errors import require
from qlazy.models.model import Model, kind_with_remedy
from qlazy.models.nets import Net

Makes = Model | nn.Module | str | Callable[[int], Model]
"""A model of inputs (n, d), or what makes one for d features."""

MUST = "be a Model, or a function of the number of features that returns one"
MUST_OF_TEXTS = "be a Model, a torch module, a text such as 'mlp:16', or a function of the number of features"


def made_model(given: object, features: int) -> Model:
    """The model itself, or what the function makes for so many features."""
    return _made(given, features, MUST)


def made_or_named_model(given: object, features: int) -> Model:
    """The same, and torch modules and texts as well; the model of a text has one output."""
    if isinstance(given, nn.Module):
        return Net(given)
    return _named(given, features) if isinstance(given, str) else _made(given, features, MUST_OF_TEXTS)


def _made(given: object, features: int, must: str) -> Model:
    if isinstance(given, Model):
        return given
    require(callable(given) and not isinstance(given, type), "model", must, given, TypeError)
    assert callable(given)
    kind = kind_with_remedy(given)
    require(kind == type(given).__name__, "model", must, f"a {kind}", TypeError)
    try:
        made = given(features)
    except TypeError as error:
        raise TypeError(f"`model` must {must}, but raises {error}") from error
    require(isinstance(made, Model), "model", must, type(made).__name__)
    assert isinstance(made, Model)
    return made


def _named(text: str, features: int) -> Model:
    from qlazy.comparison.specs import build_models
    from qlazy.data.datasets import Dataset

    x, y = torch.zeros(1, features, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    (model,) = build_models([text], Dataset("the data", x, y, x, y, (), "")).values()
    return model


def start_of(model: Model, generator: torch.Generator) -> Tensor:
    """Initial parameters (p,) in float64."""
    return model.init(generator).detach().double()
