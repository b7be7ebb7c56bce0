"""A vector type for the kernels: one number for each sample of a block, in one register.

Arrays of rows come from :func:`qlazy.simulator.kernels.layout.as_rows`, whose dtype says how many samples stand side by
side; `load` and `store` move one row, and + - * act on all samples at once. Written with an explicit vector
type, the kernels do not depend on what the compiler makes of an inner loop. Processors with narrower registers
split the vectors. Multiplications and additions may be contracted; nothing
else is relaxed, so NaN and infinity pass through.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import lower_builtin, register_model

from qlazy.simulator.kernels.layout import ROW


def intrinsic(function: Callable[..., Any]) -> Any:
    """numba's decorator, whose result is called without the typing context."""
    return numba_intrinsic(function)


class Lanes(types.Type):
    """One number for each of the samples that run side by side."""

    def __init__(self, scalar: types.Float, width: int) -> None:
        self.scalar, self.width = scalar, width
        super().__init__(name=f"Lanes({scalar}, {width})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        element = manager.lookup(kind.scalar).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.width))


def _define(operation: Callable[..., Any], instruction: str) -> None:
    @infer_global(operation)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(operation, Lanes, Lanes)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args, flags=("contract",))


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")


def _row_of(array: Any) -> Lanes:
    """The type of one row of an array."""
    row = array.dtype.typeof(ROW)
    return Lanes(row.dtype, row.nitems)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, first: Any, row: Any) -> Any:
    vector = context.get_value_type(_row_of(array_type))
    pointer = context.make_array(array_type)(context, builder, array).data
    pointer = builder.bitcast(pointer, vector.as_pointer())
    for rows in (first, row):  # one after the other: the sum with ``first`` moves out of loops over ``row``
        pointer = builder.gep(pointer, [rows])
    return pointer


def _alignment(array_type: Any) -> int:
    return int(_row_of(array_type).scalar.bitwidth) // 8


@intrinsic
def load(typing: Any, array: Any, first: Any, row: Any) -> Any:
    """Row number ``first + row`` of a contiguous array of rows."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], *args)
        return builder.load(pointer, align=_alignment(sig.args[0]))

    return _row_of(array)(array, types.intp, types.intp), emit


@intrinsic
def store(typing: Any, array: Any, first: Any, row: Any, value: Any) -> Any:
    """Write row number ``first + row``."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], *args[:3])
        builder.store(args[3], pointer, align=_alignment(sig.args[0]))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, _row_of(array)), emit


@intrinsic
def splat(typing: Any, array: Any, value: Any) -> Any:
    """The same number for every sample, in the precision of ``array``."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = context.get_value_type(sig.return_type)
        lane = ir.IntType(32)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), args[1], ir.Constant(lane, 0))
        mask = ir.Constant(ir.VectorType(lane, vector.count), [0] * vector.count)
        return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)

    return _row_of(array)(array, _row_of(array).scalar), emit


@intrinsic
def nearest(typing: Any, value: Any) -> Any:
    """The integers next to the numbers of all samples."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = args[0].type
        name = f"llvm.rint.v{vector.count}{vector.element.intrinsic_name}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), name)
        return builder.call(function, args)

    return value(value), emit


@intrinsic
def increment(typing: Any, counter: Any) -> Any:
    """Add 1 to the first element of an array, and return what it was, whoever else does the same."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = context.make_array(sig.args[0])(context, builder, args[0]).data
        one = ir.Constant(pointer.type.pointee, 1)
        return builder.atomic_rmw("add", pointer, one, "monotonic")

    return counter.dtype(counter), emit


@intrinsic
def trailing_zeros(typing: Any, value: Any) -> Any:
    """The number of trailing zero bits of a positive integer."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.intp), emit
