"""All angles of a circuit as one function of parameters and inputs, with its Jacobian.

Formulas of one form (`w[0]*x[0] + b[0]`, `w[1]*x[1] + b[1]`, ...) are evaluated together, so that the cost is
that of the number of forms and not of the number of gates. Angles that depend on no input are *shared* by the
batch; the others are *sampled*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from qlazy.base.torch_private import jacrev, vmap
from qlazy.quantum.program.expression import (
    BINARY,
    CALLED,
    Binary,
    Block,
    Call,
    Choose,
    Constant,
    Entry,
    Expression,
    Input,
    Kept,
    Negative,
    Stopped,
)
from qlazy.quantum.program.partial_derivative import derivative

PARAMS, ROW = "params", "x"
Evaluate = Callable[[Tensor, Tensor], Tensor]

_compiled, _values = Kept(), Kept()
"""Evaluations of blocks, and their numbers by evaluation, parameters and inputs."""


@dataclass(frozen=True)
class Layout:
    """Where the inputs of a circuit live: the first element of each in the flat parameters, or in a row of x."""

    weights: Mapping[str, int]
    data: Mapping[str, int]

    def place(self, name: str, index: int) -> tuple[str, int]:
        return (
            (PARAMS, self.weights[name] + index) if name in self.weights else (ROW, self.data[name] + index)
        )

    def is_data(self, name: str) -> bool:
        return name in self.data


@final
class AngleMap:
    """Formulas compiled for evaluation on parameters (p,) and inputs (n, d) flattened to rows."""

    def __init__(self, formulas: Sequence[Expression], layout: Layout) -> None:
        self._formulas, self._layout = tuple(formulas), layout
        sampled = [_depends_on_data(formula, layout) for formula in formulas]
        self.sampled = tuple(sampled)
        self._shared_formulas = [f for f, is_sampled in zip(formulas, sampled, strict=True) if not is_sampled]
        self._sampled_formulas = [f for f, is_sampled in zip(formulas, sampled, strict=True) if is_sampled]
        self.shared_values: Evaluate = _compile_all(self._shared_formulas, layout)
        self.sampled_values: Evaluate = _compile_all(self._sampled_formulas, layout)

    def shared_on_lanes(self, params: Tensor, x: Tensor) -> Tensor:
        """The shared angles (l, S) at many parameter vectors (l, p); by ``torch.func`` where functions make them."""
        if all(formula.is_explicit for formula in self._shared_formulas):
            return self.shared_values(params, x)
        found: Tensor = vmap(self.shared_values, (0, None))(params, x)
        return found

    @property
    def trainable(self) -> tuple[bool, ...]:
        """Whether each angle depends on a parameter."""
        is_data = self._layout.is_data
        return tuple(any(not is_data(name) for name, _ in formula.elements) for formula in self._formulas)

    @cached_property
    def kinds(self) -> tuple[tuple[bool, bool], ...]:
        """Whether each angle depends on data, and on a parameter."""
        return tuple(zip(self.sampled, self.trainable, strict=True))

    @cached_property
    def partials(self) -> Partials | AutogradPartials:
        """Derivatives of all angles with respect to the parameters."""
        if not all(e.is_explicit for e, wanted in zip(self._formulas, self.trainable, strict=True) if wanted):
            return AutogradPartials(self.shared_values, self.sampled_values)
        return Partials(self._shared_formulas, self._sampled_formulas, self._layout)


@final
class Partials:
    """The nonzero derivatives d angle / d parameter, pair by pair, and the chain rule through them."""

    def __init__(self, shared: Sequence[Expression], sampled: Sequence[Expression], layout: Layout) -> None:
        self._shared_formulas, self._sampled_formulas, self._layout = shared, sampled, layout
        self._sizes = len(shared), len(sampled)
        self._groups = [
            group
            for formulas, is_sampled in ((shared, False), (sampled, True))
            for group in _partial_groups(formulas, is_sampled, layout)
        ]
        columns = [column for group in self._groups for column in group.columns]
        self._columns = torch.tensor(columns, dtype=torch.long)
        self._is_distinct = len(set(columns)) == len(columns)
        self._sources_known: Tensor | None = None

    def pull(self, by_shared: Tensor, by_sampled: Tensor, params: Tensor, x: Tensor) -> Tensor:
        """Derivatives (n, c, S) and (n, c, T) by angle as derivatives (n, c, p) by parameter."""
        # Samples last, as the simulator leaves them: rows are then moved, not elements.
        shared, sampled = by_shared.permute(1, 2, 0), by_sampled.permute(1, 2, 0)
        terms = [group.terms(sampled if group.is_sampled else shared, params, x) for group in self._groups]
        return self._scattered(terms, shared, len(params)).permute(2, 0, 1)

    def push(self, directions: Tensor, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """How angles change along directions (k, p) of the parameters: (k, S), and (k, n, T)."""
        count, (shared, sampled) = len(directions), self._sizes
        along = directions.new_zeros(count, shared), directions.new_zeros(count, len(x), sampled)
        for group in self._groups:
            moved = directions[:, list(group.columns)]
            if group.is_sampled:
                moved = moved.unsqueeze(1).expand(-1, len(x), -1)
            factors = 1.0 if group.factors is None else group.factors(params, x)
            along[group.is_sampled].index_add_(-1, group.rows, moved * factors)
        return along

    @cached_property
    def second(self) -> SecondPartials:
        """The derivatives of all of these."""
        return SecondPartials(self._shared_formulas, self._sampled_formulas, self._layout)

    def _scattered(self, terms: list[Tensor], like: Tensor, num_params: int) -> Tensor:
        """Terms (c, pairs, n) added up by parameter, (c, p, n)."""
        if len(terms) == 1 and self._is_in_order and len(self._columns) == num_params:
            return terms[0]
        outputs, _, samples = like.shape
        if self._is_distinct:
            together = torch.cat([*terms, like.new_zeros(outputs, 1, samples)], dim=1)
            return together.index_select(1, self._sources(num_params))
        # A matrix of zeros and ones: far faster than adding at repeated indices.
        scatter = like.new_zeros(num_params, len(self._columns))
        scatter[self._columns, torch.arange(len(self._columns))] = 1.0
        return scatter @ torch.cat(terms, dim=1) if terms else like.new_zeros(outputs, num_params, samples)

    @cached_property
    def _is_in_order(self) -> bool:
        return torch.equal(self._columns, torch.arange(len(self._columns)))

    def _sources(self, num_params: int) -> Tensor:
        """Where each parameter finds its term; the last place, a zero, where it has none."""
        if self._sources_known is None or len(self._sources_known) != num_params:
            sources = torch.full((num_params,), len(self._columns), dtype=torch.long)
            sources[self._columns] = torch.arange(len(self._columns))
            self._sources_known = sources
        return self._sources_known


@final
class SecondPartials:
    """The nonzero second derivatives of angles by pairs of parameters; none where formulas are linear in each."""

    def __init__(self, shared: Sequence[Expression], sampled: Sequence[Expression], layout: Layout) -> None:
        self._groups = [
            (is_sampled, *_second_group(found, layout))
            for formulas, is_sampled in ((shared, False), (sampled, True))
            if (found := list(_second_partials(formulas, layout)))
        ]

    def __bool__(self) -> bool:
        return bool(self._groups)

    def contract(
        self, by_shared: Tensor, by_sampled: Tensor, directions: Tensor, params: Tensor, x: Tensor
    ) -> Tensor:
        """(n, c, k, p): the second derivatives of angles along directions (k, p), times (n, c, S) and (n, c, T)."""
        total = by_shared.new_zeros(*by_shared.shape[:2], len(directions), len(params))
        for is_sampled, rows, columns, others, factors in self._groups:
            values = factors(params, x)
            cotangents = (by_sampled if is_sampled else by_shared).index_select(-1, rows)
            weighted = cotangents * (values.unsqueeze(1) if values.ndim == 2 else values)
            total.index_add_(-1, columns, weighted.unsqueeze(2) * directions.index_select(-1, others))
        return total


def _second_partials(
    formulas: Sequence[Expression], layout: Layout
) -> Iterator[tuple[int, int, int, Expression]]:
    """(row, parameter, parameter, formula), both orders of a pair."""
    for row, formula in enumerate(formulas):
        elements = [e for e in sorted(formula.elements) if not layout.is_data(e[0])]
        for element in elements:
            first = derivative(formula, element)
            for other in elements:
                second = derivative(first, other)
                if second != Constant(0.0):
                    yield row, layout.place(*element)[1], layout.place(*other)[1], second


def _second_group(
    found: Sequence[tuple[int, int, int, Expression]], layout: Layout
) -> tuple[Tensor, Tensor, Tensor, Evaluate]:
    rows, columns, others, formulas = zip(*found, strict=True)
    return torch.tensor(rows), torch.tensor(columns), torch.tensor(others), _compile_all(formulas, layout)


@final
class AutogradPartials:
    """The chain rule through angles of which some have no explicit derivatives, by torch."""

    def __init__(self, shared: Evaluate, sampled: Evaluate) -> None:
        self._shared, self._sampled = shared, sampled

    def pull(self, by_shared: Tensor, by_sampled: Tensor, params: Tensor, x: Tensor) -> Tensor:
        """Derivatives (n, c, S) and (n, c, T) by angle as derivatives (n, c, p) by parameter."""

        def of_row(row: Tensor, cotangents: Tensor) -> Tensor:
            pull = torch.func.vjp(lambda w: self._sampled(w, row[None])[0], params)[1]
            return vmap(lambda cotangent: pull(cotangent)[0])(cotangents)

        found = by_shared.new_zeros(*by_shared.shape[:2], len(params))
        if by_shared.shape[-1]:
            found = found + by_shared @ jacrev(lambda w: self._shared(w, x[:0]))(params)
        if by_sampled.shape[-1] and len(x):
            found = found + vmap(of_row)(x, by_sampled)
        return found

    def push(self, directions: Tensor, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """How angles change along directions (k, p) of the parameters: (k, S), and (k, n, T)."""

        def along(direction: Tensor) -> tuple[Tensor, Tensor]:
            angles = torch.func.jvp(
                lambda w: (self._shared(w, x), self._sampled(w, x)), (params,), (direction,)
            )
            return angles[1]

        shared, sampled = vmap(along)(directions)
        return shared, sampled if sampled.ndim == 3 else sampled.new_empty(len(directions), len(x), 0)

    @property
    def second(self) -> AutogradPartials:
        """The derivatives of all of these."""
        return self

    def contract(
        self, by_shared: Tensor, by_sampled: Tensor, directions: Tensor, params: Tensor, x: Tensor
    ) -> Tensor:
        """(n, c, k, p): the second derivatives of angles along directions (k, p), times (n, c, S) and (n, c, T)."""

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(lambda w: self.pull(by_shared, by_sampled, w, x), (params,), (direction,))[
                1
            ]

        return vmap(along)(directions).movedim(0, 2)


@dataclass(frozen=True, eq=False)
class _PartialGroup:
    """Pairs whose factor is 1 (``factors`` is None), depends on parameters, or depends on data."""

    is_sampled: bool
    rows: Tensor
    columns: tuple[int, ...]
    factors: Evaluate | None

    @cached_property
    def _is_in_order(self) -> bool:
        return torch.equal(self.rows, torch.arange(len(self.rows)))

    def terms(self, cotangents: Tensor, params: Tensor, x: Tensor) -> Tensor:
        """Each pair's share (c, pairs, n) of the derivative by its parameter, from cotangents (c, angles, n)."""
        whole = self._is_in_order and len(self.rows) == cotangents.shape[1]
        terms = cotangents if whole else cotangents.index_select(1, self.rows)
        if self.factors is None:
            return terms
        factors = self.factors(params, x)
        return terms * (factors.unsqueeze(1) if factors.ndim == 1 else factors.T)


def _partial_groups(
    formulas: Sequence[Expression], is_sampled: bool, layout: Layout
) -> Iterator[_PartialGroup]:
    pairs = [
        (row, layout.place(*element)[1], derivative(formula, element))
        for row, formula in enumerate(formulas)
        for element in sorted(formula.elements)
        if not layout.is_data(element[0])
    ]
    for kind in (_is_one, _is_shared_factor, _depends_on_data):
        chosen = [pair for pair in pairs if kind(pair[2], layout)]
        if chosen:
            rows, columns, factors = zip(*chosen, strict=True)
            evaluate = None if kind is _is_one else _compile_all(factors, layout)
            yield _PartialGroup(is_sampled, torch.tensor(rows), columns, evaluate)


def _compile_all(formulas: Sequence[Expression], layout: Layout) -> Evaluate:
    """Evaluate all formulas: (k,) if none depends on data, (n, k) otherwise.

    Those of which none does take many parameter vectors (l, p), too: (l, k).
    """
    groups: dict[object, list[int]] = {}
    for position, formula in enumerate(formulas):
        groups.setdefault(_form(formula, layout), []).append(position)
    with _compiled.scope():
        parts = [_compile([formulas[i] for i in group], layout) for group in groups.values()]
    order = torch.tensor([i for group in groups.values() for i in group], dtype=torch.long)
    back = None if torch.equal(order, torch.arange(len(order))) else torch.argsort(order)
    sampled = any(_depends_on_data(formula, layout) for formula in formulas)

    def evaluate(params: Tensor, x: Tensor) -> Tensor:
        shape = (len(x),) if sampled else params.shape[:-1]
        with _values.scope():
            columns = [part(params, x) for part in parts]
        if len(columns) == 1:  # in order, then
            return columns[0].expand(*shape, columns[0].shape[-1])
        columns = [c.expand(*shape, c.shape[-1]).movedim(-1, 0) for c in columns]
        values = torch.cat(columns) if columns else params.new_empty(0, *shape)
        return (values if back is None else values.index_select(0, back)).movedim(0, -1)

    return evaluate


def _compile(group: Sequence[Expression], layout: Layout) -> Evaluate:
    """Evaluate formulas of one form at once, (..., len(group))."""
    match group[0]:
        case Constant():
            constants = torch.tensor([e.value for e in group], dtype=torch.float64)  # type: ignore[attr-defined]
            return lambda params, x: constants.to(params)
        case Input(name):
            places = [layout.place(e.name, e.index)[1] for e in group]  # type: ignore[attr-defined]
            return _gather(places, from_row=layout.is_data(name))
        case Negative():
            operand = _compile([e.operand for e in group], layout)  # type: ignore[attr-defined]
            return lambda params, x: -operand(params, x)
        case Stopped():
            held = _compile([e.operand for e in group], layout)  # type: ignore[attr-defined]
            return lambda params, x: held(params, x).detach()
        case Binary(operator):
            left = _compile([e.left for e in group], layout)  # type: ignore[attr-defined]
            right = _compile([e.right for e in group], layout)  # type: ignore[attr-defined]
            combine = BINARY[operator]
            return lambda params, x: combine(left(params, x), right(params, x))
        case Call(function):
            argument = _compile([e.argument for e in group], layout)  # type: ignore[attr-defined]
            apply = CALLED[function][1]
            return lambda params, x: apply(argument(params, x))
        case Choose():
            parts = [
                _compile([getattr(e, name) for e in group], layout)
                for name in ("condition", "chosen", "other")
            ]
            return lambda params, x: _chosen(*(part(params, x) for part in parts))
        case Entry(block):
            numbers = _compile_block(block, layout)
            index = torch.tensor([e.index for e in group], dtype=torch.long)  # type: ignore[attr-defined]
            return lambda params, x: numbers(params, x).index_select(-1, index)
    raise TypeError(f"unknown expression {type(group[0]).__name__}")


def _compile_block(block: Block, layout: Layout) -> Evaluate:
    """All numbers of a block, (..., k): compiled once, and evaluated once a call, however many formulas have them."""
    if id(block) in _compiled.found:
        return _compiled.found[id(block)]
    arguments = _compile_all(block.arguments, layout)

    def evaluate(params: Tensor, x: Tensor) -> Tensor:
        found, key = _values.found, (id(evaluate), id(params), id(x))
        if key not in found:
            found[key] = (
                block.function(arguments(params, x)),
                params,
                x,
            )  # held, so that no other has their ids
        return found[key][0]

    _compiled.found[id(block)] = evaluate
    return evaluate


def _chosen(condition: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    return torch.where(condition != 0, chosen, other)


def _gather(places: Sequence[int], from_row: bool) -> Evaluate:
    first, size = places[0], len(places)
    if list(places) == list(range(first, first + size)):  # a slice is a view
        if from_row:
            return lambda params, x: x[..., first : first + size]
        return lambda params, x: params[..., first : first + size]
    index = torch.tensor(places, dtype=torch.long)
    if not from_row:
        return lambda params, x: params.index_select(-1, index)

    def gather(params: Tensor, x: Tensor) -> Tensor:
        features = x.transpose(0, 1)  # samples side by side, as the simulator wants them: rows are moved
        features = features.contiguous() if size >= len(features) else features
        return features.index_select(0, index).transpose(0, 1)

    return gather


def _form(expression: Expression, layout: Layout) -> object:
    """What formulas must share to be evaluated together: everything but the places and constants."""
    match expression:
        case Constant():
            return "constant"
        case Input(name):
            return ROW if layout.is_data(name) else PARAMS
        case Negative(operand):
            return ("-", _form(operand, layout))
        case Stopped(operand):
            return ("stop", _form(operand, layout))
        case Binary(operator, left, right):
            return (operator, _form(left, layout), _form(right, layout))
        case Call(function, argument):
            return (function, _form(argument, layout))
        case Choose(condition, chosen, other):
            return ("where", *(_form(e, layout) for e in (condition, chosen, other)))
        case Entry(block):
            return ("block", id(block))
    raise TypeError(f"unknown expression {type(expression).__name__}")


def _depends_on_data(expression: Expression, layout: Layout) -> bool:
    return any(layout.is_data(name) for name, _ in expression.elements)


def _is_one(expression: Expression, layout: Layout) -> bool:
    return expression == Constant(1.0)


def _is_shared_factor(expression: Expression, layout: Layout) -> bool:
    return not _is_one(expression, layout) and not _depends_on_data(expression, layout)
