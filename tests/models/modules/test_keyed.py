"""A module is told from others by what it is: not by when it was made, nor by the weights that it is about to lose."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

import qlazy
from qlazy.base.errors import NotKeptWarning
from qlazy.base.identity import identity

LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "Linear": lambda n: nn.Linear(3, n),
    "Conv1d": lambda n: nn.Conv1d(2, n, 3),
    "ConvTranspose2d": lambda n: nn.ConvTranspose2d(2, n, 3),
    "RNN": lambda n: nn.RNN(3, n, 2),
    "GRU": lambda n: nn.GRU(3, n, bidirectional=True),
    "LSTM": lambda n: nn.LSTM(3, n, proj_size=1),
    "GRUCell": lambda n: nn.GRUCell(3, n),
    "Bilinear": lambda n: nn.Bilinear(2, 3, n),
    "Embedding": lambda n: nn.Embedding(5, n),
    "MultiheadAttention": lambda n: nn.MultiheadAttention(2 * n, 2, batch_first=True),
    "encoder": lambda n: nn.TransformerEncoderLayer(2 * n, 2, 4, 0.0, batch_first=True),
    "LayerNorm": lambda n: nn.LayerNorm(n),
    "BatchNorm1d": lambda n: nn.BatchNorm1d(n).eval(),
    "PReLU": lambda n: nn.PReLU(n),
    "weight_norm": lambda n: parametrizations.weight_norm(nn.Linear(3, n)),
    "weight_norm of a norm": lambda n: nn.Sequential(
        parametrizations.weight_norm(nn.Conv1d(2, n, 3)), nn.GELU()
    ),
    "old weight_norm": lambda n: weight_norm(nn.Linear(3, n)),
    "hook": lambda n: hooked(n, 0),
    "hooks": lambda n: hooked(n, 3),
}


def double(module: nn.Module, inputs: object, outputs: torch.Tensor) -> torch.Tensor:
    return 2 * outputs


def shift(module: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
    return inputs[0] + 1


def hooked(n: int, others: int) -> nn.Module:
    layer = nn.Linear(3, n)
    for _ in range(others):
        layer.register_forward_hook(double).remove()
    layer.register_forward_pre_hook(shift)
    layer.register_forward_hook(double, always_call=True)
    return layer


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_made_twice_is_one_and_with_another_size_it_is_another(name: str) -> None:
    keys = []
    for seed, size in ((0, 2), (1, 2), (2, 3)):
        torch.manual_seed(seed)
        module = nn.Sequential(LAYERS[name](size), nn.Linear(2, 1))
        before = {key: value.clone() for key, value in module.state_dict().items()}
        keys.append(identity(qlazy.Net(module)))
        assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert keys[0] == keys[1] != keys[2]


def test_hooks_count_whatever_their_numbers() -> None:
    first, second, none = hooked(2, 0), hooked(2, 5), nn.Linear(3, 2)
    swapped = nn.Linear(3, 2)
    swapped.register_forward_hook(double)
    swapped.register_forward_pre_hook(shift)
    twice = hooked(2, 0)
    twice.register_forward_hook(double)
    keys = [identity(qlazy.Net(module)) for module in (first, second, none, swapped, twice)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


class Recurrent(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cells = getattr(nn, kind)(2, 3, batch_first=True)
        self.head = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cells(x)[0][:, -1])


@pytest.mark.filterwarnings("ignore:.*differentiated row by row")
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_runs_of_a_recurrent_net_are_kept(kind: str, tmp_path: Path) -> None:
    x = torch.randn(9, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x[:, 0, :1].sign()
    data = qlazy.Dataset("walks", x[:6], y[:6], x[6:], y[6:], ("-", "+"), "drawn")
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotKeptWarning)
        tables = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            net = qlazy.Net(Recurrent(kind).double())
            found = qlazy.compare(
                {"net": net}, data, alphas=(1,), seeds=1, steps=2, out=tmp_path, progress=False
            )
            tables.append(found.table())
    assert tables[0] == tables[1]
    assert len(list((tmp_path / "runs").iterdir())) == 1
