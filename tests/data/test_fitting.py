"""Splits and preprocessing against scikit-learn's own, to the last bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from qlazy.data import named
from qlazy.data.preprocessing import angles, fit_inputs
from qlazy.data.splitting import random_split, stratified_split


@pytest.mark.parametrize("case", range(60))
def test_splits_are_those_of_scikit_learn(case: int) -> None:
    """Classes of drawn sizes, parts of drawn sizes down to one sample a class and up to all samples, any seed."""
    random = np.random.default_rng(case)
    classes = int(random.integers(2, 6))
    total = int(random.integers(4 * classes, 150))
    labels = np.concatenate(
        [np.repeat(np.arange(classes), 2), random.integers(0, classes, total - 2 * classes)]
    )
    labels = random.permutation(labels).astype(str)
    train = int(random.integers(classes, total - classes + 1))
    test = int(random.integers(classes, total - train + 1))
    seed = int(random.integers(0, 2**32))
    sizes = {"train_size": train, "test_size": test, "random_state": seed}
    for found, expected in (
        (
            stratified_split(labels, train, test, seed),
            train_test_split(np.arange(total), stratify=labels, **sizes),
        ),
        (random_split(total, train, test, seed), train_test_split(np.arange(total), **sizes)),
    ):
        for own, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("scaling", ["angle", "standard", "none"])
@pytest.mark.parametrize("case", range(30))
def test_preprocessing_is_that_of_scikit_learn(case: int, scaling: str) -> None:
    """Correlated features of units from 1e-5 to 1e5, some constant, in either order of memory; new samples too."""
    random = np.random.default_rng(case)
    samples, width = int(random.integers(8, 120)), int(random.integers(2, 40))
    x = random.normal(size=(samples, width)) @ random.normal(size=(width, width))
    x = x * 10.0 ** random.integers(-5, 6, width) + random.normal(size=width)
    if case % 3 == 0:
        x[:, random.integers(width)] = 3.3
    x = np.asfortranarray(x) if case % 2 else x
    count = width if case % 5 == 0 else int(random.integers(1, min(width, samples - 2)))
    scale, reduce = scaling != "none", count < width
    expected = make_pipeline(
        StandardScaler() if scale else None,
        PCA(count, svd_solver="full") if reduce else None,
        StandardScaler() if scale and reduce else None,
        FunctionTransformer(angles) if scaling == "angle" else None,
    ).fit(x)
    found = fit_inputs(x, count, scaling)  # type: ignore[arg-type]
    for rows in (x, random.normal(size=(7, width))):
        np.testing.assert_array_equal(found.apply(rows), expected.transform(rows))


def test_images_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from its file, and by its own function where the file is not found."""
    expected = load_digits()
    for found in (lambda name: __import__("importlib.util").util.find_spec(name), lambda name: None):
        monkeypatch.setattr(named, "find_spec", found)
        x, y = named.SOURCES["digits"].read(1, 0)
        np.testing.assert_array_equal(x, expected.data)
        np.testing.assert_array_equal(y, expected.target)
        assert (x.dtype, y.dtype) == (expected.data.dtype, expected.target.dtype)


def test_loading_images_imports_no_scikit_learn() -> None:
    """Its import takes longer than all the rest of loading."""
    code = "import sys, qlazy; qlazy.load_data('digits', features=4); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
