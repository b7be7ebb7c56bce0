"""The tangent kernel K = J J^T as a linear operator, of which the dense matrix is one form among others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import (
    require,
    require_dtype,
    require_finite,
    require_flag,
    require_full_precision,
    require_generator,
    require_tensor,
    whole_of,
)
from qlazy.base.memory import require_memory
from qlazy.base.torch_private import vmap
from qlazy.data.arrays import tensor_of
from qlazy.kernels.iterative import conjugate_gradients, leading_eigenpairs, leading_of_matrix
from qlazy.kernels.spectrum import eigenvalues, require_ridge, require_right, ridge_solve
from qlazy.models.model import (
    JACOBIAN_BYTES,
    Model,
    jacobian_blocks,
    num_outputs,
    refuse_zero_jacobian,
    require_model,
)

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

    from qlazy.drawing.style import Figure, Place, Style
    from qlazy.kernels.shots import MeasuredCrossKernel, MeasuredKernel

DENSE_ROWS = 4096
"""Up to this many rows ``eigh`` and ``solve`` form the dense matrix (128 MiB of float64); beyond it they
are matrix-free, unless the dense matrix is there already or the caller says otherwise."""

FACTOR_ROWS = 1024
"""From so many rows on, a kernel of half as many parameters or fewer is K = J J^T from the singular values of J."""

LANCZOS_ROWS, LANCZOS_SHARE = 384, 12
"""From so many rows on, Lanczos finds a twelfth of the eigenpairs of a dense matrix sooner than all of them."""

COLUMNS = 16
"""Products with K take so many columns at once."""


class Eigenpairs(NamedTuple):
    """Eigenvalues (k,) in descending order and the eigenvectors (N, k), one a column."""

    values: Tensor
    vectors: Tensor


@overload
def tangent_kernel(
    model: Model,
    params: Tensor,
    x: Tensor | NDArray[np.generic],
    x2: Tensor | NDArray[np.generic] | None = None,
    *,
    allow_zero: bool = False,
    shots: None = None,
) -> TangentKernel: ...


@overload
def tangent_kernel(
    model: Model,
    params: Tensor,
    x: Tensor | NDArray[np.generic],
    x2: None = None,
    *,
    shots: int,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> MeasuredKernel: ...


@overload
def tangent_kernel(
    model: Model,
    params: Tensor,
    x: Tensor | NDArray[np.generic],
    x2: Tensor | NDArray[np.generic],
    *,
    shots: int,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> MeasuredCrossKernel: ...


def tangent_kernel(
    model: Model,
    params: Tensor,
    x: Tensor | NDArray[np.generic],
    x2: Tensor | NDArray[np.generic] | None = None,
    *,
    allow_zero: bool = False,
    shots: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> TangentKernel | MeasuredKernel | MeasuredCrossKernel:
    """The tangent kernel K = J(x) J(x2)^T of ``model`` at ``params``, as an operator (n c, m c).

    ``x`` (n, ...) and ``x2`` (m, ...) are tensors in the dtype of ``params``, or integer tensors, which are
    left alone. NumPy arrays are accepted in that dtype or as integers, which are converted to it. Without
    ``x2`` the kernel is that of ``x`` with itself: symmetric and positive semidefinite.

    Nothing but one sample's outputs is computed here; see :class:`TangentKernel` for what costs what. Jacot, Gabriel,
    Hongler 2018 (arXiv 1806.07572). Raises TypeError for what is no model or no tensor, ValueError for shapes and
    dtypes that do not fit, NotFiniteError for NaN or infinity. A kernel that turns out zero because a Jacobian is zero
    throughout raises ZeroJacobianError when it is first used, unless ``allow_zero``.

    With ``shots`` the kernel of ``x`` is measured here and now, as a :class:`~qlazy.kernels.shots.MeasuredKernel`:
    dense,
    without bias, with error bars, from ``shots`` shots a circuit split into independent batches; that of ``x`` with
    ``x2``, every circuit of both run anew, as a :class:`~qlazy.kernels.shots.MeasuredCrossKernel`. An exact circuit
    is measured on default.qubit, from ``generator``, one with backend "device" on its own device. Raises
    UnsupportedModelError for models that are not circuits. :mod:`qlazy.kernels.shots` has plans, and
    :mod:`qlazy.kernels.allocation` shares shots out among circuits.
    """
    require_model("model", model)
    if shots is not None:
        shots = whole_of("shots", shots, 1)
        if generator is not None:
            require_generator(generator)
        require_flag("progress", progress)
        from qlazy.kernels.shots import cross_kernel_from_shots, kernel_from_shots

        require_finite("params", params)
        at, row = params.detach(), _inputs("x", model, params, x)
        if x2 is None:
            return kernel_from_shots(model, at, row, shots, generator=generator, progress=progress)
        column = _inputs("x2", model, params, x2)
        return cross_kernel_from_shots(model, at, row, column, shots, generator=generator, progress=progress)
    require(generator is None, "generator", "be absent without shots", "given")
    require_flag("progress", progress)
    return TangentKernel(model, params, x, x2, allow_zero=allow_zero)


@final
class TangentKernel:
    """A linear operator of shape (n c, m c), rows in sample-major order i*c + k.

    ``@`` costs one ``vjp`` and one ``jvp`` of the model a column, or of COLUMNS columns where ``torch.func`` maps the
    model over them, and never needs the matrix. ``to_dense`` computes the matrix once and keeps it; from then on
    everything works on that (``is_dense`` tells). Eigenvalues, eigenpairs and solutions come from the cheapest of the
    dense matrix, block Lanczos with or without it, and, of many rows and few parameters, the singular values of J.

    Raises TypeError for what is no model or no tensor, ValueError for shapes and dtypes that do not fit, NotFiniteError
    for NaN or infinity; when it is first used, ZeroJacobianError for a Jacobian that is zero throughout (unless
    ``allow_zero``) and KernelTooLargeError for a dense matrix that does not fit in memory.
    """

    def __init__(
        self,
        model: Model,
        params: Tensor,
        x: Tensor | NDArray[np.generic],
        x2: Tensor | NDArray[np.generic] | None = None,
        *,
        allow_zero: bool = False,
    ) -> None:
        require_model("model", model)
        require_finite("params", params)
        require_flag("allow_zero", allow_zero)
        self.model = model
        self.params = params.detach()
        self.x = _inputs("x", model, self.params, x)
        self.x2 = None if x2 is None else _inputs("x2", model, self.params, x2)
        self.allow_zero = allow_zero
        self.outputs = num_outputs(model, self.params, self.x)
        self._dense: Tensor | None = None
        self._maps_columns = True

    @property
    def shape(self) -> tuple[int, int]:
        """(n c, m c): a row for each output of each sample of x, a column for each of x2."""
        columns = self.x if self.x2 is None else self.x2
        return len(self.x) * self.outputs, len(columns) * self.outputs

    @property
    def dtype(self) -> torch.dtype:
        """That of the parameters."""
        return self.params.dtype

    @property
    def device(self) -> torch.device:
        """That of the parameters."""
        return self.params.device

    @property
    def is_dense(self) -> bool:
        """Whether the dense matrix has been computed."""
        return self._dense is not None

    @property
    def T(self) -> TangentKernel:
        """The kernel of x2 with x. A kernel of x with itself is its own transpose."""
        if self.x2 is None:
            return self
        transpose = TangentKernel(self.model, self.params, self.x2, self.x, allow_zero=self.allow_zero)
        transpose._dense = None if self._dense is None else self._dense.T
        return transpose

    def __matmul__(self, right: Tensor) -> Tensor:
        """K v for v (m c,), or K V for V (m c, k)."""
        columns = self.shape[1]
        require_tensor("right", right)
        require(
            right.ndim in (1, 2) and len(right) == columns,
            "right",
            f"have shape ({columns},) or ({columns}, k)",
            tuple(right.shape),
        )
        require_dtype("right", right, self.params, "the kernel")
        require_finite("right", right)
        if self._dense is not None:
            return self._dense @ right
        result = self._apply(right.unsqueeze(1))[:, 0] if right.ndim == 1 else self._apply(right)
        return self._checked(result) if right.any() else result

    __array_ufunc__ = None  # so that NumPy leaves products with the kernel to the kernel

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The matrix for NumPy and the libraries on it: ``np.asarray(kernel)`` is a copy of :meth:`to_dense`."""
        must = "be True or None: the matrix is a copy"
        require(copy is None or copy, "copy", must, copy)
        return np.array(self.to_dense().numpy(force=True), dtype=dtype)

    def __getitem__(self, index: Any) -> Tensor:
        """Rows, columns and entries, as of the matrix; rows alone are computed without the rest of it.

        Raises IndexError beyond the shape.
        """
        rows = index[0] if isinstance(index, tuple) and index else index
        whole = self._dense is not None or not isinstance(rows, slice)
        if whole or self.outputs != 1:
            return self.to_dense()[index]
        others = self.x if self.x2 is None else self.x2
        part = TangentKernel(self.model, self.params, self.x[rows], others, allow_zero=True).to_dense()
        return part[(slice(None), *index[1:])] if isinstance(index, tuple) else part

    def aslinearoperator(self) -> LinearOperator:
        """The kernel as SciPy's LinearOperator, on the CPU, for its iterative solvers and eigensolvers."""
        from scipy.sparse.linalg import LinearOperator  # a slow import, for this alone

        def product(kernel: TangentKernel) -> Callable[[NDArray[Any]], NDArray[Any]]:
            return lambda v: (kernel @ torch.from_numpy(np.ascontiguousarray(v)).to(self.params)).numpy(
                force=True
            )

        there, back = product(self), product(self.T)
        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        return LinearOperator(self.shape, there, rmatvec=back, matmat=there, rmatmat=back, dtype=dtype)

    def __rmatmul__(self, left: Tensor) -> Tensor:
        """v K for v (n c,), or V K for V (k, n c)."""
        rows = self.shape[0]
        require_tensor("left", left)
        fits = left.ndim in (1, 2) and left.shape[-1] == rows
        require(fits, "left", f"have shape ({rows},) or (k, {rows})", tuple(left.shape))
        return self.T @ left if left.ndim == 1 else (self.T @ left.T).T

    def to_dense(self) -> Tensor:
        """The matrix (n c, m c), computed at the first call and kept: do not write to it.

        Without ``x2`` it is symmetric to the last bit. Raises KernelTooLargeError, before computing anything,
        where the matrix alone would not fit in memory.
        """
        if self._dense is None:
            require_memory(self.shape, self.params)
            dense = self.model.gram(self.params, self.x, self.x2).detach().reshape(self.shape)
            self._dense = self._checked(_symmetrized(dense) if self.x2 is None else dense)
        return self._dense

    def gram(self) -> Tensor:
        """The matrix as blocks (n, c, m, c): the kernel between output k at x_i and output l at x2_j."""
        samples = len(self.x if self.x2 is None else self.x2)
        return self.to_dense().reshape(len(self.x), self.outputs, samples, self.outputs)

    def diagonal(self) -> Tensor:
        """||J_ik||^2 for every sample and output (n c,), from the Jacobian a block of samples at a time."""
        self._require_symmetric("diagonal")
        if self._dense is not None:
            return self._dense.diagonal().clone()
        blocks = jacobian_blocks(self.model, self.params, self.x, self.outputs)
        return self._checked(torch.cat([jacobian.square().sum(2).flatten() for _, jacobian in blocks]))

    def trace(self) -> Tensor:
        """tr K = ||J||_F^2, a scalar tensor, without the dense matrix."""
        return self.diagonal().sum()

    def eigenvalues(self) -> Tensor:
        """All eigenvalues (n c,) in descending order, from the dense matrix or the singular values of J."""
        self._require_symmetric("eigenvalues")
        require_full_precision("params", self.params)
        if not self._is_factored:
            return eigenvalues(self.to_dense())
        values = self.params.new_zeros(self.shape[0])
        singular = torch.linalg.svdvals(self._factor)
        values[: len(singular)] = singular.square()
        return values

    def eigh(self, k: int | None = None, *, matrix_free: bool | None = None) -> Eigenpairs:
        """The ``k`` leading eigenpairs, or all.

        All of them from the dense matrix. A few by Lanczos methods to the precision of the dtype, on the dense matrix
        where it is there or has up to DENSE_ROWS rows, and by blocks of products without it beyond; of many rows and
        few parameters from the singular vectors of J. ``matrix_free`` overrides the choice: True forms neither,
        False K.
        Signs of eigenvectors are arbitrary, and so is the basis where eigenvalues coincide.
        """
        self._require_symmetric("eigh")
        require_full_precision("params", self.params)
        size = self.shape[0]
        fits = k is None or (isinstance(k, Integral) and not isinstance(k, bool) and 1 <= k <= size)
        require(fits, "k", f"be a whole number between 1 and the kernel's size {size}", k)
        if k is not None and k < size and matrix_free is None and self._is_factored and k <= self._rank:
            left, singular, _ = torch.linalg.svd(self._factor, full_matrices=False)
            return Eigenpairs(singular[:k].square(), left[:, :k].contiguous())
        if k is None or k == size or not self._is_matrix_free(matrix_free):
            dense = self.to_dense()
            is_few = k is not None and size >= LANCZOS_ROWS and k * LANCZOS_SHARE <= size
            if k is not None and is_few and dense.device.type == "cpu":
                return Eigenpairs(*leading_of_matrix(dense, int(k)))
            values, vectors = torch.linalg.eigh(dense)
            return Eigenpairs(values.flip(0)[:k], vectors.flip(1)[:, :k])
        return Eigenpairs(*leading_eigenpairs(lambda block: self @ block, size, int(k), self.params))

    def solve(
        self,
        right: Tensor,
        ridge: float = 0.0,
        *,
        matrix_free: bool | None = None,
        tolerance: float | None = None,
        max_steps: int = 1000,
    ) -> Tensor:
        """Solve (K + ridge I) z = b for b (n c,) or (n c, k).

        Up to DENSE_ROWS rows with :func:`qlazy.kernels.spectrum.ridge_solve` on the dense matrix (least norm where
        K is singular), beyond by conjugate gradients until ||b - (K + ridge I) z|| <= ``tolerance`` ||b||
        (by default eps^(2/3) of the dtype); with a ridge, of many rows and few parameters, from the singular values
        of J. ``matrix_free`` overrides the choice. Raises NotConvergedError where
        ``max_steps`` are not enough, as for a b outside the range of a singular K: a ridge helps.
        """
        self._require_symmetric("solve")
        require_full_precision("params", self.params)
        ridge = require_ridge(ridge)
        require_right(right, self.shape[0])
        require_dtype("right", right, self.params, "the kernel")
        if matrix_free is None and ridge > 0 and self._is_factored:
            return _factored_solve(self._factor, right, ridge)
        if not self._is_matrix_free(matrix_free):
            return ridge_solve(self.to_dense(), right, ridge)
        if tolerance is None:
            tolerance = torch.finfo(self.dtype).eps ** (2 / 3)
        columns = right.unsqueeze(1) if right.ndim == 1 else right
        solution = conjugate_gradients(lambda v: self @ v + ridge * v, columns, tolerance, max_steps)
        return solution.reshape(right.shape)

    def plot(
        self,
        labels: Tensor | NDArray[np.generic],
        classes: Sequence[str] = (),
        ax: Place | None = None,
        style: Style | None = None,
    ) -> Figure:
        """The kernel against labels (n, c): its spectrum, its label energy, and the matrix by class.

        ``classes`` are their names, such as ``data.classes``. ``ax`` is a matplotlib figure or subfigure to draw on,
        ``style`` what ``matplotlib.style.use`` takes. Raises ValueError for labels or names that do not fit, for axes,
        as there are three panels, and for a kernel between two sets of inputs.
        """
        from qlazy.kernels.figures import plot_kernel

        self._require_symmetric("plot")
        return plot_kernel(self.to_dense(), labels, classes, ax, style)

    def __repr__(self) -> str:
        form = "dense" if self.is_dense else "matrix-free"
        return f"TangentKernel({self.model!r}, shape={self.shape}, dtype={self.dtype}, {form})"

    def _apply(self, block: Tensor) -> Tensor:
        """K times the columns of a block, without the matrix."""
        parts = [self._product(some) for some in block.split(COLUMNS, dim=1)]
        return torch.cat(parts, dim=1) if parts else block.new_empty(self.shape[0], 0)

    def _product(self, block: Tensor) -> Tensor:
        if block.shape[1] == 1 or not self._maps_columns:
            columns = [self._along(column) for column in block.unbind(1)]
            return torch.stack(columns, 1) if columns else block.new_empty(self.shape[0], 0)
        try:
            return vmap(self._along, 1, 1)(block)
        except RuntimeError:  # what torch.func cannot map goes column by column
            self._maps_columns = False
            return self._product(block)

    def _along(self, vector: Tensor) -> Tensor:
        right = self.x if self.x2 is None else self.x2
        direction = self.model.vjp(self.params, right, vector.reshape(len(right), self.outputs))
        return self.model.jvp(self.params, self.x, direction).detach().flatten()

    @property
    def _rank(self) -> int:
        """At most."""
        return min(self.shape[0], self.model.num_params)

    @property
    def _is_factored(self) -> bool:
        """Whether the Jacobian is so narrow that it says more about K than the dense matrix, which is not there."""
        size, width = self.shape[0], self.model.num_params
        fits = size * width * self.params.element_size() <= JACOBIAN_BYTES
        return not self.is_dense and size >= FACTOR_ROWS and 2 * width <= size and fits

    @property
    def _factor(self) -> Tensor:
        """J (n c, p)."""
        blocks = jacobian_blocks(self.model, self.params, self.x, self.outputs)
        return self._checked(torch.cat([jacobian.flatten(0, 1) for _, jacobian in blocks]))

    def _checked(self, result: Tensor) -> Tensor:
        # Only a result that is zero throughout can come from a zero Jacobian: any other costs nothing more.
        require_finite("tangent kernel", result)
        if not self.allow_zero and not result.any():
            for inputs in (self.x, self.x2):
                if inputs is not None:
                    refuse_zero_jacobian(self.model, self.params, inputs, self.outputs)
        return result

    def _is_matrix_free(self, wish: bool | None) -> bool:
        return not self.is_dense and self.shape[0] > DENSE_ROWS if wish is None else wish

    def _require_symmetric(self, verb: str) -> None:
        require(
            self.x2 is None, "x2", f"be absent for {verb}, which needs the kernel of x with itself", "given"
        )


def _inputs(argument: str, model: Model, params: Tensor, x: Tensor | NDArray[np.generic]) -> Tensor:
    require_model("model", model)
    tensor = tensor_of(argument, x, params.dtype).to(params.device) if isinstance(x, np.ndarray) else x
    require(isinstance(tensor, Tensor), argument, "be a torch tensor or a NumPy array", type(x).__name__)
    require_tensor(argument, tensor)
    require(tensor.ndim >= 1 and len(tensor) > 0, argument, "hold at least one sample", tuple(tensor.shape))
    require(
        tensor.device == params.device,
        argument,
        f"be on the device of params, {params.device}",
        tensor.device,
    )
    if tensor.is_floating_point():
        require_dtype(argument, tensor, params, "params")
    require_finite(argument, tensor)
    model.check(params, tensor)
    return tensor.detach()


def _factored_solve(factor: Tensor, right: Tensor, ridge: float) -> Tensor:
    """(J J^T + ridge I)^-1 b = U (s^2 + ridge)^-1 U^T b + (b - U U^T b) / ridge, J = U s V^T."""
    left, singular, _ = torch.linalg.svd(factor, full_matrices=False)
    columns = right.unsqueeze(1) if right.ndim == 1 else right
    inside = left.T @ columns
    shares = 1 / (singular.square() + ridge) - 1 / ridge
    return (columns / ridge + left @ (shares.unsqueeze(1) * inside)).reshape(right.shape)


def _symmetrized(matrix: Tensor, block: int = 1024) -> Tensor:
    # In place and in blocks: a second matrix is what may not fit in memory.
    for start in range(0, len(matrix), block):
        rows = matrix[start : start + block, start:]
        columns = matrix[start:, start : start + block]
        mean = (rows + columns.T) / 2
        rows.copy_(mean)
        columns.copy_(mean.T)
    return matrix
