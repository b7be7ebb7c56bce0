"""The errors qlazy raises, and the one grammar of its refusals.

A refusal names the argument, says what it must be and what it is.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class UnsupportedModelError(ValueError):
    """A module or QNode whose tangent kernel could not be measured correctly, refused with the remedy."""


class ZeroJacobianError(ValueError):
    """Every entry of a Jacobian is exactly zero: nearly always a model that ignores its parameters."""


class NotFiniteError(ArithmeticError):
    """NaN or infinity in parameters, data, outputs or loss."""


class NotConvergedError(ArithmeticError):
    """An iterative method that did not reach its tolerance; its last iterate is not handed out."""


class KernelTooLargeError(MemoryError):
    """A dense kernel, or variances of one, that would not fit in memory: the message gives size and remedy."""


def refuse(argument: str, must: str, actual: object, error: type[Exception] = ValueError) -> NoReturn:
    """Raise ``error`` with the message "`argument` must ..., but is ..."."""
    shown = actual if isinstance(actual, str) else in_one_line(actual)
    raise error(f"`{argument}` must {must}, but is {shown}")


def in_one_line(value: object) -> str:
    """A value as Python shows it, cut short and without the lines of a table."""
    return " ".join(reprlib.repr(value).split("\n"))


def require(
    ok: object, argument: str, must: str, actual: object, error: type[Exception] = ValueError
) -> None:
    """Refuse unless ``ok``. ``must`` completes the sentence "`argument` must ...": "be positive"."""
    if not ok:
        refuse(argument, must, actual, error)


def did_you_mean(value: object, names: Iterable[object]) -> str:
    """ " (did you mean 'kernel'?)", of the name that a misspelt one comes nearest to; nothing where none is near."""
    import difflib  # for what is misspelt alone

    known = {str(name).lower(): str(name) for name in names}  # "MNIST" is near to "mnist"
    close = difflib.get_close_matches(str(value)[:100].lower(), known, n=1)
    return f" (did you mean {known[close[0]]!r}?)" if close else ""


def quoted(value: object) -> object:
    """A text in quotes, and said to be one, for a refusal of what must be something else; other values as they are."""
    return f"{reprlib.repr(value)}, a text" if isinstance(value, str) else value


def require_tensor(argument: str, tensor: object) -> None:
    """Refuse what is no tensor with all of its values at hand: lists, arrays, sparse, nested and meta tensors."""
    import torch  # here, for `qlazy --help` need not wait for it
    from torch import Tensor

    require(isinstance(tensor, Tensor), argument, "be a torch tensor", f"a {_kind(tensor)}", TypeError)
    assert isinstance(tensor, Tensor)
    is_dense = tensor.layout is torch.strided and not tensor.is_nested
    require(is_dense, argument, "be dense (`.to_dense()`)", f"of layout {tensor.layout}")
    require(not tensor.is_quantized, argument, "hold plain numbers (`.dequantize()`)", f"of {tensor.dtype}")
    require(not tensor.is_meta, argument, "hold values", "on the meta device")


def require_unmasked(argument: str, array: object) -> None:
    """Refuse an array with masked entries, whose mask NumPy drops on the way to an array without."""
    import numpy as np

    hidden = int(np.ma.count_masked(array)) if isinstance(array, np.ma.MaskedArray) else 0
    must = "have a value in every entry (fill or leave out what is masked)"
    require(not hidden, argument, must, f"masked in {hidden} of {getattr(array, 'size', 0)}")


def _kind(value: object) -> str:
    return f"class, {value.__name__}" if isinstance(value, type) else type(value).__name__


def require_instance(argument: str, value: object, kind: type | tuple[type, ...], example: str) -> None:
    """Refuse what is not of a kind, a class in place of an instance above all; ``example`` is how one is made."""
    require(isinstance(value, kind), argument, f"be such as {example}", f"a {_kind(value)}", TypeError)


def require_flag(argument: str, value: object) -> None:
    """Refuse what is neither True nor False, though Python would take it for one of them."""
    require(value is True or value is False, argument, "be True or False", value, TypeError)


def require_choice(argument: str, value: object, names: Iterable[str]) -> None:
    """Refuse what is none of some words."""
    known = tuple(names)
    if not isinstance(value, str) or value not in known:
        shown = f"{in_one_line(value)}{did_you_mean(value, known)}"
        refuse(argument, f"be one of {', '.join(known)}", shown)


def require_texts(argument: str, values: object, example: str) -> None:
    """Refuse what is no sequence of texts, one text in place of a sequence above all."""
    listed = isinstance(values, Sequence) and not isinstance(values, str | bytes)
    fits = listed and all(isinstance(value, str) for value in values)  # type: ignore[attr-defined]
    require(fits, argument, f"be a list of texts, such as {example}", quoted(values), TypeError)


def whole_of(argument: str, value: object, least: int = 0, must: str = "") -> int:
    """A whole number from ``least`` to 2^63 as an int; True, 3.0 and all others are refused."""
    must = must or ("be a positive whole number" if least == 1 else f"be a whole number of at least {least}")
    require(isinstance(value, Integral) and not isinstance(value, bool), argument, must, value)
    assert isinstance(value, Integral)
    require(least <= int(value) < 2**63, argument, must, value)
    return int(value)


def number_of(argument: str, value: object, must: str = "be a real number") -> float:
    """A real number as a float: Python's, NumPy's or a tensor without axes. True, text and others are refused."""
    if isinstance(value, Real) or getattr(value, "ndim", None) == 0:
        with suppress(TypeError, ValueError, OverflowError, RuntimeError):
            item = value.item() if hasattr(value, "item") else value
            if isinstance(item, Real) and not isinstance(item, bool):
                return float(item)
    return refuse(argument, must, value)


def positive_of(argument: str, value: object) -> float:
    """A positive, finite number as a float."""
    number = number_of(argument, value, "be positive")
    require(0 < number < float("inf"), argument, "be positive", value)
    return number


def plain_number(value: object) -> object:
    """A number of whatever kind as Python's own, which is written as it is told; what is no number as it is."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return float(value) if isinstance(value, Real) and not isinstance(value, Integral | float) else value


def make_numbers_plain(settings: Any) -> None:
    """Turn the numbers of a frozen dataclass into Python's own, so that equal settings are told and kept alike."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        several = type(value) in (list, tuple)
        object.__setattr__(
            settings, each.name, type(value)(map(plain_number, value)) if several else plain_number(value)
        )


def require_real_dtype(argument: str, dtype: object) -> None:
    """Refuse what is no floating point type of torch."""
    import torch

    is_real = isinstance(dtype, torch.dtype) and dtype.is_floating_point
    require(is_real, argument, "be a real floating point type of torch", dtype)


def require_generator(generator: object) -> None:
    """Refuse what is no torch.Generator, such as a seed."""
    import torch

    require_instance("generator", generator, torch.Generator, "torch.Generator().manual_seed(0)")


def generator_or_seed(generator: object) -> torch.Generator:
    """The generator, or a new one where a seed stands for it; anything else is refused."""
    import torch

    if isinstance(generator, Integral) and not isinstance(generator, bool):
        require(abs(int(generator)) < 2**63, "generator", "be a generator, or a seed below 2^63", generator)
        return torch.Generator().manual_seed(int(generator))
    require_instance("generator", generator, torch.Generator, "torch.Generator().manual_seed(0) or a seed, 0")
    assert isinstance(generator, torch.Generator)
    return generator


def generator_of(seed: object) -> torch.Generator:
    """A generator from a seed of any whole kind; anything else is refused."""
    import torch

    must = "be a whole number below 2^63"
    require(isinstance(seed, Integral) and not isinstance(seed, bool), "seed", must, seed, TypeError)
    assert isinstance(seed, Integral)
    require(abs(int(seed)) < 2**63, "seed", must, seed)
    return torch.Generator().manual_seed(int(seed))


def path_of(argument: str, path: object) -> Path:
    """A path from a text or a path that is not empty; anything else is refused."""
    require(isinstance(path, str | os.PathLike), argument, "be a path", f"a {_kind(path)}", TypeError)
    assert isinstance(path, str | os.PathLike)
    require(os.fspath(path) not in ("", b""), argument, "name a file or folder", "empty")
    return Path(path)


def folder_of(argument: str, path: object) -> Path:
    """The path of a folder, there already or not; refused where it is that of a file."""
    place = path_of(argument, path)
    require(place.is_dir() or not place.exists(), argument, "be a folder", f"a file, {place}")
    return place


def require_full_precision(argument: str, tensor: Tensor) -> None:
    """Refuse half precision, which torch has no eigenvalues in and which loses a kernel's small ones."""
    import torch

    must = "be float32 or float64 for this (`.float()`)"
    require(tensor.dtype in (torch.float32, torch.float64), argument, must, tensor.dtype)


def require_shape(argument: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    require_tensor(argument, tensor)
    require(tuple(tensor.shape) == shape, argument, f"have shape {shape}", tuple(tensor.shape))


def require_dtype(argument: str, tensor: Tensor, like: Tensor, of: str, remedy: str = "") -> None:
    """Refuse another dtype than that of ``like``, which is the dtype ``of`` something, and tell a remedy."""
    actual = f"{tensor.dtype}{remedy}"
    require(tensor.dtype == like.dtype, argument, f"have the dtype of {of}, {like.dtype}", actual)


def require_finite(argument: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity, naming how many entries and where the first one stands."""
    require_tensor(argument, tensor)
    bad = ~tensor.isfinite()
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        actual = f"not in {int(bad.sum())} of {tensor.numel()} entries, first at {first}"
        refuse(argument, "be finite", actual, NotFiniteError)


class IgnoredPragmaWarning(UserWarning):
    """A pragma of an OpenQASM program that is not known here, with its place: it may have a meaning elsewhere."""


class NotKeptWarning(UserWarning):
    """A result that is not kept in its folder: what it depends on cannot be told from something else."""


class LearningRateWarning(UserWarning):
    """A learning rate above the critical one, at which the linearised model's path diverges or may not settle."""


class NegativeKernelWarning(UserWarning):
    """A kernel with negative eigenvalues beyond rounding, whose directions are left out."""


class SlowBackendWarning(UserWarning):
    """A circuit that the adjoint simulator does not take, or a net that is differentiated row by row."""


class UnreadInputsWarning(UserWarning):
    """A model whose outputs are the same whatever some columns of its inputs hold, which other models may use."""
