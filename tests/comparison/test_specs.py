"""Specs of models: what they build, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import qlazy
from qlazy.comparison.specs import DEFAULT_WIDTH, Spec, build_models, parse_spec
from qlazy.data.datasets import Dataset, from_split
from qlazy.models.nets import Net
from qlazy.quantum.circuit import Circuit

RNG = np.random.default_rng(0)


def data(features: int = 3, classes: int = 2, dtype: torch.dtype = torch.float64) -> Dataset:
    x, y = RNG.normal(size=(12, features)), np.arange(12) % classes
    return from_split(x, y, x, y, name="made up", dtype=dtype)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mlp", ("mlp",)),
        (" mlp:16, 16,relu ", ("mlp", ("16", "16", "relu"))),
        ("hardware_efficient:n=6,layers=3", ("hardware_efficient", ("n=6", "layers=3"))),
        ("my/circuit.qasm:n=6", ("my/circuit.qasm", ("n=6",))),
        (r"C:\circuits\mine.qasm", (r"C:\circuits\mine.qasm",)),
        (r"C:\circuits\mine.qasm:n=2", (r"C:\circuits\mine.qasm", ("n=2",))),
    ],
)
def test_a_spec_is_a_name_and_options(text: str, spec: tuple) -> None:
    assert parse_spec(text) == Spec(text.strip(), *spec)


@pytest.mark.parametrize("text", ["", ":", "mlp:", "mlp:16,", "mlp:,16"])
def test_a_spec_without_a_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="`model` must"):
        parse_spec(text)


def layers_of(net: object) -> list[nn.Module]:
    assert isinstance(net, Net)
    return list(net.module)


def test_a_net_takes_its_ends_from_the_data() -> None:
    (net,) = build_models(["mlp:5,7,relu"], data(features=3, classes=4)).values()
    layers = layers_of(net)
    linear = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert linear == [(3, 5), (5, 7), (7, 4)]
    assert [type(layer) for layer in layers[1::2]] == [nn.ReLU, nn.ReLU]


def test_a_net_is_tanh_and_in_the_dtype_of_the_data() -> None:
    (net,) = build_models(["mlp:5"], data(dtype=torch.float32)).values()
    assert isinstance(layers_of(net)[1], nn.Tanh)
    assert net.init(torch.Generator()).dtype == torch.float32


def test_a_net_alone_has_a_default_width() -> None:
    (net,) = build_models(["mlp"], data(features=3)).values()
    assert net.num_params == DEFAULT_WIDTH * (3 + 1) + (DEFAULT_WIDTH + 1)


def test_a_net_without_widths_is_sized_by_the_circuits() -> None:
    models = build_models(
        ["hardware_efficient:layers=4", "hardware_efficient:layers=8", "mlp", "mlp:relu"], data()
    )
    # 2 n layers angles each: 24 and 48, on average 36, and a hidden unit costs 3 + 1 + 1 on top of the last bias
    assert [m.num_params for m in models.values()] == [24, 48, 5 * 7 + 1, 5 * 7 + 1]


def test_circuits_have_a_qubit_for_each_feature_unless_told() -> None:
    models = build_models(["hardware_efficient", "hardware_efficient:n=3,layers=2"], data(features=3))
    (first, second) = models.values()
    assert isinstance(first, Circuit)
    assert (first.num_params, second.num_params) == (2 * 3 * 3, 2 * 3 * 2)
    assert list(models) == ["hardware_efficient", "hardware_efficient:n=3,layers=2"]


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.qasm"
    path.write_text(
        "OPENQASM 3.0;\nconst int n = 2;\n@qlazy.data\ninput array[float[64], n] x;\ninput float[64] w;\n"
        "qubit[n] q;\nfor int i in [0:n-1] { U(x[i] + w, 0, 0) q[i]; }\npragma qlazy.observable Z q[0]\n"
    )
    (circuit,) = build_models([f"{path}:n=3"], data(features=3)).values()
    x = torch.tensor([[0.3, -0.2, 1.1]], dtype=torch.float64)
    w = torch.tensor([0.7], dtype=torch.float64)
    torch.testing.assert_close(circuit(w, x), torch.cos(x[:, :1] + w))  # <Z> after a rotation about Y


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["hardwear_efficient"], "hardware_efficient"),
        (["hardware_efficient:depth=2"], "its sizes are n, layers"),
        (["hardware_efficient:n"], "`sizes` must be name=integer"),
        (["hardware_efficient:n=2,n=3"], "`sizes` must be name=integer, each once"),
        (["hardware_efficient:n=5"], "must have 3 inputs, as made up has 3 features, but is of 5 inputs"),
        (["single_qubit"], "must have 3 inputs, as made up has 3 features, but is of 0 inputs"),
        (["mlp:16,swish"], "at most one activation of tanh, relu"),
        (["mlp:relu,16"], "hidden widths, then at most one activation"),
        (["mlp:-3"], "hidden widths"),
        (["mlp:0"], "one unit or more"),
        (["mlp", "mlp"], "`models` must be given once each, but is mlp"),
        (["missing.qasm"], "missing.qasm.*cannot be read"),
    ],
)
def test_specs_that_cannot_be_built_are_refused(specs: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_models(specs, data(features=3))


def test_outputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError, match="must have 4 outputs, as made up has 4 targets .*is one; .*, but is of 1 output$"
    ):
        build_models(["hardware_efficient"], data(features=3, classes=4))


@pytest.mark.parametrize(("classes", "wanted"), [((1, 2, 3), 3), ((1, 2, 3, 4), 4)])
def test_outputs_that_do_not_fit_are_refused_with_what_an_output_is(classes, wanted) -> None:
    data = qlazy.load_data("digits", classes=classes, features=2, train=12, test=8)
    said = rf"{wanted} outputs, as digits has {wanted} targets \(a `pragma qlazy.observable` is one; two .*of 1 output$"
    with pytest.raises(ValueError, match=said):
        build_models(["hardware_efficient:n=2"], data)
