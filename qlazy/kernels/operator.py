"""The tangent kernel K = J J^T as a linear operator, of which the dense matrix is one form among others."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import (
    NotConvergedError,
    refuse,
    require,
    require_dtype,
    require_finite,
    require_full_precision,
    require_tensor,
)
from qlazy.base.memory import require_memory
from qlazy.kernels.spectrum import eigenvalues, ridge_solve
from qlazy.models.model import Model, jacobian_blocks, num_outputs, refuse_zero_jacobian, require_model

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure
    from qlazy.kernels.shots import MeasuredCrossKernel, MeasuredKernel

DENSE_ROWS = 4096
"""Up to this many rows ``eigh`` and ``solve`` form the dense matrix (128 MiB of float64); beyond it they
are matrix-free, unless the dense matrix is there already or the caller says otherwise."""


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

    Nothing but one sample's outputs is computed here; see :class:`TangentKernel` for what costs what.
    Jacot, Gabriel, Hongler 2018 (arXiv 1806.07572). Raises ValueError for shapes and dtypes that do not
    fit, NotFiniteError for NaN or infinity. A kernel that turns out zero because a Jacobian is zero throughout
    raises ZeroJacobianError when it is first used, unless ``allow_zero``.

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
        from qlazy.kernels.shots import cross_kernel_from_shots, kernel_from_shots

        require_finite("params", params)
        at, row = params.detach(), _inputs("x", model, params, x)
        if x2 is None:
            return kernel_from_shots(model, at, row, shots, generator=generator, progress=progress)
        column = _inputs("x2", model, params, x2)
        return cross_kernel_from_shots(model, at, row, column, shots, generator=generator, progress=progress)
    require(generator is None, "generator", "be absent without shots", "given")
    return TangentKernel(model, params, x, x2, allow_zero=allow_zero)


@final
class TangentKernel:
    """A linear operator of shape (n c, m c), rows in sample-major order i*c + k.

    ``@`` costs one ``vjp`` and one ``jvp`` of the model a column and never needs the matrix. ``to_dense``
    computes the matrix once and keeps it; from then on everything works on that (``is_dense`` tells).
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
        require_finite("params", params)
        self.model = model
        self.params = params.detach()
        self.x = _inputs("x", model, self.params, x)
        self.x2 = None if x2 is None else _inputs("x2", model, self.params, x2)
        self.allow_zero = allow_zero
        self.outputs = num_outputs(model, self.params, self.x)
        self._dense: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        columns = self.x if self.x2 is None else self.x2
        return len(self.x) * self.outputs, len(columns) * self.outputs

    @property
    def dtype(self) -> torch.dtype:
        return self.params.dtype

    @property
    def device(self) -> torch.device:
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
        rows, columns = self.shape
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
        result = right.new_empty(rows, *right.shape[1:])
        for column, vector in zip(_columns(result), _columns(right), strict=True):
            column.copy_(self._apply(vector))
        return self._checked(result) if right.any() else result

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
        """All eigenvalues (n c,) in descending order, from the dense matrix."""
        self._require_symmetric("eigenvalues")
        return eigenvalues(self.to_dense())

    def eigh(self, k: int | None = None, *, matrix_free: bool | None = None) -> Eigenpairs:
        """The ``k`` leading eigenpairs, or all.

        All of them, or up to DENSE_ROWS rows, from the dense matrix; otherwise by SciPy's Lanczos method
        to the precision of the dtype, one product with K a step. ``matrix_free`` overrides the choice.
        Signs of eigenvectors are arbitrary, and so is the basis where eigenvalues coincide.
        """
        self._require_symmetric("eigh")
        require_full_precision("params", self.params)
        size = self.shape[0]
        fits = k is None or (isinstance(k, Integral) and 1 <= k <= size)
        require(fits, "k", f"be a whole number between 1 and the kernel's size {size}", k)
        if k is None or k == size or not self._is_matrix_free(matrix_free):
            values, vectors = torch.linalg.eigh(self.to_dense())
            return Eigenpairs(values.flip(0)[:k], vectors.flip(1)[:, :k])
        return self._lanczos(k)

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
        (by default eps^(2/3) of the dtype). ``matrix_free`` overrides the choice. Raises NotConvergedError where
        ``max_steps`` are not enough, as for a b outside the range of a singular K: a ridge helps.
        """
        self._require_symmetric("solve")
        require_full_precision("params", self.params)
        if not self._is_matrix_free(matrix_free):
            return ridge_solve(self.to_dense(), right, ridge)
        require(ridge >= 0, "ridge", "not be negative", ridge)
        if tolerance is None:
            tolerance = torch.finfo(self.dtype).eps ** (2 / 3)

        def shifted(v: Tensor) -> Tensor:
            return self @ v + ridge * v

        solution = right.new_empty(right.shape)
        for column, vector in zip(_columns(solution), _columns(right), strict=True):
            column.copy_(_conjugate_gradients(shifted, vector, tolerance, max_steps))
        return solution

    def plot(self, labels: Tensor | NDArray[np.generic]) -> Figure:
        """The kernel against labels (n, c): its spectrum, its label energy, and the matrix by class.

        Raises ValueError for labels that do not fit and for a kernel between two sets of inputs.
        """
        from qlazy.kernels.figures import plot_kernel

        self._require_symmetric("plot")
        return plot_kernel(self.to_dense(), labels)

    def __repr__(self) -> str:
        form = "dense" if self.is_dense else "matrix-free"
        return f"TangentKernel({self.model!r}, shape={self.shape}, dtype={self.dtype}, {form})"

    def _apply(self, vector: Tensor) -> Tensor:
        right = self.x if self.x2 is None else self.x2
        direction = self.model.vjp(self.params, right, vector.reshape(len(right), self.outputs))
        return self.model.jvp(self.params, self.x, direction).detach().flatten()

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

    def _lanczos(self, k: int) -> Eigenpairs:
        from scipy.sparse.linalg import LinearOperator, eigsh  # a slow import, for this alone

        like = torch.empty(0, dtype=self.dtype).numpy()

        def matvec(v: NDArray[np.floating]) -> NDArray[np.floating]:
            return (self @ torch.from_numpy(v.astype(like.dtype).ravel()).to(self.device)).cpu().numpy()

        size = self.shape[0]
        # SciPy would draw the start from NumPy's global state
        start = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=self.dtype).numpy()
        operator = LinearOperator((size, size), matvec=matvec, dtype=like.dtype)
        values, vectors = eigsh(operator, k, which="LA", v0=start)
        order = np.argsort(-values)
        return Eigenpairs(
            torch.from_numpy(values[order]).to(self.params),
            torch.from_numpy(vectors[:, order]).to(self.params),
        )


def _inputs(argument: str, model: Model, params: Tensor, x: Tensor | NDArray[np.generic]) -> Tensor:
    require_model("model", model)
    tensor = _from_numpy(argument, params, x) if isinstance(x, np.ndarray) else x
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


def _from_numpy(argument: str, params: Tensor, array: NDArray[np.generic]) -> Tensor:
    is_numpys = params.dtype != torch.bfloat16
    require(is_numpys, argument, "be a torch tensor where params are of dtype bfloat16", "a NumPy array")
    wanted = torch.empty(0, dtype=params.dtype).numpy().dtype
    fits = array.dtype == wanted or np.issubdtype(array.dtype, np.integer)
    require(fits, argument, f"have the dtype of params, {wanted}, or be integer", array.dtype)
    return torch.from_numpy(np.array(array, dtype=wanted, order="C")).to(params.device)


def _columns(matrix: Tensor) -> tuple[Tensor, ...]:
    return (matrix,) if matrix.ndim == 1 else matrix.unbind(1)


def _symmetrized(matrix: Tensor, block: int = 1024) -> Tensor:
    # In place and in blocks: a second matrix is what may not fit in memory.
    for start in range(0, len(matrix), block):
        rows = matrix[start : start + block, start:]
        columns = matrix[start:, start : start + block]
        mean = (rows + columns.T) / 2
        rows.copy_(mean)
        columns.copy_(mean.T)
    return matrix


def _conjugate_gradients(
    apply: Callable[[Tensor], Tensor], right: Tensor, tolerance: float, max_steps: int
) -> Tensor:
    solution = torch.zeros_like(right)
    residual = right.clone()
    direction = right.clone()
    square = residual @ residual
    goal = tolerance**2 * square
    for _ in range(max_steps):
        if square <= goal:
            return solution
        image = apply(direction)
        curvature = direction @ image
        if curvature <= 0:
            break
        step = square / curvature
        solution += step * direction
        residual -= step * image
        previous, square = square, residual @ residual
        direction = residual + square / previous * direction
    if square <= goal:
        return solution
    reached = float((square / (right @ right)).sqrt())
    return refuse(
        "right",
        f"be solved to a residual of {tolerance:.1e} in {max_steps} steps (a larger `ridge` helps)",
        f"solved to {reached:.1e}",
        NotConvergedError,
    )
