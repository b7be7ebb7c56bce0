"""What is handed in place of a tensor, an instance or a number: right, or refused in words, never a foreign error."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import qlazy
from qlazy import (
    CrossEntropy,
    Linearized,
    Net,
    SquaredError,
    compare,
    from_arrays,
    mlp,
    tangent_kernel,
    train,
)
from qlazy.base.errors import UnsupportedModelError
from qlazy.kernels import spectrum
from qlazy.training.loop import Record
from tests.makers import curved_function, inputs, qnode_circuit, rng, tanh_net

GRAMMAR = re.compile(r"`[\w\[\]']+` must .*, but is ")
MAKERS = [tanh_net, qnode_circuit, curved_function]


def inference(tensor):
    with torch.inference_mode():
        return tensor.clone()


def nested(tensor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls it a prototype
        return torch.nested.nested_tensor(list(torch.atleast_2d(tensor)))


NOT_TENSORS = {
    "list": lambda t: t.tolist(),
    "tuple": tuple,
    "None": lambda t: None,
    "word": lambda t: "params",
    "sparse": lambda t: t.to_sparse(),
    "meta": lambda t: t.to("meta"),
    "nested": nested,
    "complex": lambda t: t + 0j,
    "whole": lambda t: t.long(),
}
USES = {
    "call": lambda m, p, x: m(p, x),
    "jacobian": lambda m, p, x: m.jacobian(p, x),
    "jvp": lambda m, p, x: m.jvp(p, x, torch.ones(m.num_params, dtype=torch.float64)),
    "vjp": lambda m, p, x: m.vjp(p, x, torch.ones(4, 2, dtype=torch.float64)),
    "gram": lambda m, p, x: m.gram(p, x),
    "kernel": lambda m, p, x: tangent_kernel(m, p, x).to_dense(),
    "linearized": lambda m, p, x: Linearized(m, p)(p, x),
    "train": lambda m, p, x: train(m, p, (x, torch.ones(4, 2, dtype=torch.float64)), steps=1),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", NOT_TENSORS)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_params_are_refused_in_words(maker, kind, use):
    model, params, x = maker()
    with pytest.raises((ValueError, TypeError)) as caught:
        USES[use](model, NOT_TENSORS[kind](params), x)
    assert GRAMMAR.match(str(caught.value)), caught.value


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["list", "None", "word", "sparse", "meta", "nested"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_x_is_refused_in_words(maker, kind, use):
    model, params, x = maker()
    with pytest.raises((ValueError, TypeError)) as caught:
        USES[use](model, params, NOT_TENSORS[kind](x))
    assert GRAMMAR.match(str(caught.value)), caught.value


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex128, torch.uint8, torch.int32])
def test_inputs_that_a_net_cannot_take(dtype):
    net, params, _ = tanh_net()
    with pytest.raises(
        ValueError, match=r"`x` must be inputs that Sequential takes, but is rows of shape \(3,\)"
    ):
        net(params, torch.ones(4, 3).to(dtype))


def test_inputs_of_other_dtypes_that_a_net_takes():
    class Spectrum(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2).double()

        def forward(self, x):
            return self.layer(x.abs() if x.is_complex() else x.to(self.layer.weight.dtype))

    net, x = Net(Spectrum()), torch.arange(6).reshape(2, 3)
    plain = Net(Spectrum())
    torch.testing.assert_close(plain.gram(net.params, x), plain.gram(net.params, x.double()))
    torch.testing.assert_close(net.gram(net.params, x.double() * 1j), net.gram(net.params, x.double()))


@pytest.mark.parametrize(
    "view", [lambda t: torch.complex(t, -t).conj().imag, inference], ids=["negated", "inference"]
)
def test_views_and_inference_tensors(view):
    net, params, x = tanh_net()
    for p, inner in ((view(params), x), (params, view(x))):
        torch.testing.assert_close(
            tangent_kernel(net, p, inner).to_dense(), tangent_kernel(net, params, x).to_dense()
        )
        torch.testing.assert_close(net.jvp(p, inner, params), net.jvp(params, x, params))
        torch.testing.assert_close(net.vjp(p, inner, x[:, :2]), net.vjp(params, x, x[:, :2]))
        torch.testing.assert_close(net.jacobian(p, inner), net.jacobian(params, x))


def test_training_on_inference_tensors_is_refused():
    net, params, x = tanh_net()
    with pytest.raises(ValueError, match=r"`x` must be made outside of torch.inference_mode"):
        train(net, params, (inference(x), x[:, :2]), steps=1)


def test_a_circuit_names_what_it_cannot_read():
    circuit, params, x = qnode_circuit()
    with pytest.raises(
        ValueError, match=r"`params` must have its signs resolved \(`.resolve_neg\(\)`\), but is"
    ):
        circuit(torch.complex(params, -params).conj().imag, x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept_or_refused(dtype):
    net, params, x = tanh_net()
    w, rows = params.to(dtype), x.to(dtype)
    kernel = tangent_kernel(net, w, rows)
    expected = tangent_kernel(net, w.double(), rows.double()).to_dense()
    slack = 8 * torch.finfo(dtype).eps
    for found in (kernel @ torch.eye(8, dtype=dtype), kernel.to_dense(), net.gram(w, rows).reshape(8, 8)):
        assert found.dtype == dtype
        torch.testing.assert_close(
            found.double(), expected, rtol=slack, atol=slack * float(expected.abs().max())
        )
    assert net.jvp(w, rows, w).dtype == net.vjp(w, rows, rows[:, :2]).dtype == dtype
    for use in (
        lambda: kernel.eigh(2),
        lambda: kernel.eigenvalues(),
        lambda: kernel.solve(rows.reshape(-1)[:8], 1.0),
        lambda: spectrum.participation_ratio(kernel.to_dense()),
        lambda: train(net, w, (rows, rows[:, :2]), steps=1),
    ):
        with pytest.raises(
            ValueError, match=r"must be float32 or float64 for this \(`.float\(\)`\), but is torch"
        ):
            use()


def test_arrays_beside_bfloat16_are_refused():
    net, params, x = tanh_net()
    with pytest.raises(ValueError, match="`x` must have the dtype of params, torch.bfloat16, but is torch"):
        tangent_kernel(net, params.bfloat16(), x.numpy())


@pytest.mark.parametrize("k", [2.5, "2", 0, 9, torch.tensor(2.0), [2]])
def test_number_of_eigenpairs(k):
    kernel = tangent_kernel(*tanh_net())
    with pytest.raises(
        ValueError, match="`k` must be a whole number between 1 and the kernel's size 8, but is"
    ):
        kernel.eigh(k)
    assert torch.equal(kernel.eigh(np.int64(2)).values, kernel.eigh(2).values)


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(8, 3))
    return from_arrays(x, x[:, :1] > 0, train=6, test=2)


def quick(data, **settings):
    arguments = {"alphas": (1.0, 3.0), "seeds": (0, 1), "steps": 2, "progress": False} | settings
    return compare(arguments.pop("models", {"net": mlp([3, 2, 1])}), data, **arguments)


SAME = {
    "array of seeds": {"seeds": np.arange(2)},
    "tensor of seeds": {"seeds": torch.arange(2)},
    "range": {"seeds": range(2)},
    "generator": {"alphas": (float(a) for a in (1, 3))},
    "array of scales": {"alphas": np.array([1.0, 3.0], dtype=np.float32)},
    "whole scales": {"alphas": [1, 3]},
    "set": {"seeds": {0, 1}},
}


@pytest.mark.parametrize("name", SAME)
def test_settings_of_any_sequence(data, name):
    found, expected = quick(data, **SAME[name]), quick(data)
    assert found.settings["seeds"] == expected.settings["seeds"] == [0, 1]
    assert found.settings["alphas"] == expected.settings["alphas"]
    for run, other in zip(found.runs, expected.runs, strict=True):
        assert np.array_equal(run.kernel_final, other.kernel_final)


WRONG = {
    "one word": ({"alphas": "1.0"}, "`alphas` must be a sequence of numbers"),
    "words": ({"alphas": ["1.0"]}, "`alphas` must hold numbers alone"),
    "one number": ({"alphas": 1.0}, "`alphas` must be a sequence of numbers"),
    "None": ({"seeds": None}, "`seeds` must be a sequence of whole numbers"),
    "broken seeds": ({"seeds": [0.5]}, "`seeds` must hold whole numbers alone"),
    "truth": ({"seeds": [True]}, "`seeds` must hold whole numbers alone"),
    "large seed": ({"seeds": [2**64]}, "`seeds` must be below"),
    "complex scale": ({"alphas": [1j]}, "`alphas` must hold numbers alone"),
    "no scale": ({"alphas": iter(())}, "`alphas` must hold at least one value"),
    "same seed": ({"seeds": np.zeros(2, dtype=int)}, "`seeds` must hold each value once"),
    "negative": ({"alphas": [-1.0]}, "`alphas` must be positive"),
    "broken steps": ({"steps": 2.5}, "`steps` must be a positive whole number"),
    "class of a loss": (
        {"loss": SquaredError},
        r"`loss` must be such as SquaredError\(\) or torch.nn.MSELoss\(\), but is a class",
    ),
    "name of a loss": (
        {"loss": "square"},
        r"`loss` must be such as SquaredError\(\) or torch.nn.MSELoss\(\), but is a str",
    ),
    "torch's loss without a mean": (
        {"loss": nn.MSELoss(reduction="none")},
        r"`loss` must .* a scalar tensor \(reduction='mean'\)",
    ),
    "class of a method": (
        {"method": qlazy.Adam},
        r"`method` must be such as GradientDescent\(\) or torch.optim.AdamW, but is a class",
    ),
    "torch's optimizer of something else": (
        {"method": torch.optim.SGD([torch.zeros(1)])},
        r"`method` must be such as GradientDescent\(\)",
    ),
    "number as a name": (
        {"models": {1: mlp([3, 2, 1])}},
        "`models` must have names that are words, but is 1",
    ),
    "class of a model": ({"models": {"net": Net}}, "must be a qlazy Model"),
    "list of models": ({"models": [mlp([3, 2, 1])]}, "`models` must be a mapping"),
}


def test_a_net_that_mixes_rows_is_not_compared(data):
    class Mixing(nn.Linear):
        def forward(self, x):
            return super().forward(x - x.mean(0))

    with pytest.raises(UnsupportedModelError, match="map each sample on its own"):
        quick(data, models={"net": Net(Mixing(3, 1).double())})


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_are_refused(data, name):
    settings, message = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=message):
        quick(data, **settings)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("loss", CrossEntropy),
        ("method", qlazy.GradientDescent),
        ("record", Record),
        ("record", 3),
        ("loss", None),
    ],
)
def test_training_wants_instances(setting, value):
    net, params, x = tanh_net()
    with pytest.raises(TypeError, match=rf"`{setting}` must be such as \w+\(\).*, but is a"):
        train(net, params, (x, x[:, :2]), steps=1, **{setting: value})


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, np.float32("nan")])
def test_a_missing_label_is_no_class(missing):
    labels = np.array(["a", "b", missing, "a", "b", "a"], dtype=object)
    with pytest.raises(
        ValueError, match=r"`y` must have a label for every sample, but is without one at 2 \(from 0\)"
    ):
        from_arrays(np.zeros((6, 2)), labels, train=4, test=2)


def test_classes_that_need_arguments_make_no_modules():
    with pytest.raises(
        TypeError, match=r"`module` must be a torch.nn.Module or a function without arguments"
    ):
        Net(nn.Linear)
    with pytest.raises(UnsupportedModelError, match="`module` must be one that copy.deepcopy copies"):
        Net(Unique())


class Unique(nn.Linear):
    def __init__(self):
        super().__init__(2, 1)
        self.steps = (i for i in range(3))


def test_hybrid_layers_have_the_layout_of_torch_layer():
    circuit = qnode_circuit()[0]
    layer = qlazy.CircuitLayer(circuit)
    x = inputs(2, 5, 3)
    rows = torch.stack([torch.stack([circuit(layer.weights, row[None])[0] for row in rows]) for rows in x])
    torch.testing.assert_close(layer(x), rows)
    torch.testing.assert_close(layer(x[0]), rows[0])
    torch.testing.assert_close(layer(x[0, 0]), rows[0, 0])
    torch.testing.assert_close(layer(x.unsqueeze(1)), rows.unsqueeze(1))


def test_copies_of_hybrid_nets_draw_nothing():
    state = torch.random.get_rng_state()
    layer = qlazy.CircuitLayer(qnode_circuit()[0])
    torch.random.set_rng_state(state)
    net = Net(nn.Sequential(layer))
    assert torch.equal(net.params, layer.weights)
    net(net.params, inputs(2, 3))
    net.gram(net.params, inputs(2, 3))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(net.init(rng(1)), net.init(rng(2)))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    "wrap", [lambda m, w: m, lambda m, w: qlazy.Scaled(m, 2.0), Linearized, qlazy.Centered]
)
@pytest.mark.parametrize("kind", ["array", "list", "short", "scalar", "float32", "int64", "matrix"])
def test_directions_are_refused_in_words(maker, wrap, kind):
    model, params, x = maker()
    model = wrap(model, params)
    outputs = model(params, x)
    for use, right in ((model.jvp, torch.ones_like(params)), (model.vjp, torch.ones_like(outputs))):
        wrong = {
            "array": right.numpy(), "list": right.tolist(), "short": right[:-1], "scalar": right.sum(),
            "float32": right.float(), "int64": right.long(), "matrix": right.reshape(1, *right.shape),
        }[kind]  # fmt: skip
        use(params, x, right)
        with pytest.raises((ValueError, TypeError), match=GRAMMAR):
            use(params, x, wrong)


@pytest.mark.parametrize("maker", MAKERS)
def test_weights_of_other_outputs_are_refused(maker):
    model, params, x = maker()
    weights = torch.ones_like(model(params, x))
    with pytest.raises(ValueError, match=r"`cotangent` must have shape .*, but is "):
        model.vjp(params, x, torch.cat([weights, weights], 1))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("seed", [0, np.int64(3), -1])
@pytest.mark.parametrize("wrap", [lambda m, w: m, lambda m, w: qlazy.Scaled(m, 2.0)])
def test_a_seed_stands_for_its_generator(maker, seed, wrap):
    model = wrap(*maker()[:2])
    drawn = model.init(torch.Generator().manual_seed(int(seed)))
    assert torch.equal(model.init(seed), drawn)
    assert not torch.equal(model.init(7), drawn)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("seed", [0.0, True, "0", None, np.random.default_rng(0)])
def test_what_is_neither_seed_nor_generator_is_refused(maker, seed):
    with pytest.raises(TypeError, match="`generator` must be such as"):
        maker()[0].init(seed)


@pytest.mark.parametrize("seed", [1.0, "1", None, 2**70])
def test_seeds_are_whole_numbers(data, seed):
    net, x = mlp([3, 4, 1]), inputs(3, 3).numpy()
    for use in (
        lambda: qlazy.SGD(0.1, 2, seed=seed),
        lambda: qlazy.TangentFeatures(net, seed=seed).fit(x),
        lambda: qlazy.select_subset(net, data, seed=seed, progress=False),
    ):
        with pytest.raises((TypeError, ValueError), match="`seed` must be a whole number"):
            use()


def test_seeds_of_numpy_are_seeds():
    net, x = mlp([3, 4, 1]), inputs(3, 3).numpy()
    one, other = (qlazy.TangentFeatures(net, seed=seed).fit_transform(x) for seed in (3, np.int64(3)))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("path", [5, None, "", b"k"])
def test_paths_are_refused_in_words(data, path):
    net, params, x = tanh_net()
    for use in (
        lambda: qlazy.History.load(path),
        lambda: qlazy.Comparison.load(path),
        lambda: qlazy.tiled_kernel(net, params, x, store=path, progress=False),
    ):
        with pytest.raises((TypeError, ValueError), match=r"`\w+` must (be a path|name a file)"):
            use()


@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 1), lambda: Net, lambda: None])
def test_wrappers_want_models(make):
    anchor = torch.zeros(4, dtype=torch.float64)
    for wrap in (
        lambda m: qlazy.Scaled(m, 2.0),
        lambda m: Linearized(m, anchor),
        lambda m: qlazy.Centered(m, anchor),
    ):
        with pytest.raises(TypeError, match="`model` must be a qlazy Model"):
            wrap(make())


@pytest.mark.parametrize("alpha", [np.array([3.0, 1.0]), "x", None, 1j, 10**400, 0, -1.0, float("inf")])
def test_scales_are_positive_numbers(alpha):
    with pytest.raises(ValueError, match="`alpha` must be "):
        qlazy.Scaled(mlp([3, 1]), alpha)


@pytest.mark.parametrize("right", [[1.0, 1.0, 1.0], np.ones(3), None])
def test_products_want_tensors(right):
    net, params, x = tanh_net()
    with pytest.raises(TypeError, match="`right` must be a torch tensor"):
        tangent_kernel(net, params, x) @ right
