"""Derivatives of programs as programs: `differentiate`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, final, get_args, overload

from torch import Tensor

from qlazy.base.errors import require, require_choice
from qlazy.quantum.derivatives.additive import Additive, Expand, additive
from qlazy.quantum.derivatives.elements import Wrt, element_text, find_element, rows_of
from qlazy.quantum.derivatives.rules import Gadget, Shift, shifts, unreached
from qlazy.quantum.derivatives.sites import Site, normal_form
from qlazy.quantum.derivatives.tangents import FLOAT, Tangents, fresh, product, tangents_of
from qlazy.quantum.derivatives.terms import Estimate, Term
from qlazy.quantum.program.classical import Local, Variable, has_locals
from qlazy.quantum.program.expression import Constant, Element
from qlazy.quantum.program.partial_derivative import ONE, ZERO
from qlazy.quantum.program.program import PauliSum, PauliTerm, Program
from qlazy.quantum.program.statements import Block

if TYPE_CHECKING:
    from qlazy.quantum.derivatives.experiments import Experiment
from collections.abc import Sequence
from dataclasses import field

import torch

from qlazy.base.errors import require_shape

Rule = Literal["ancilla", "shift"]
Mode = Literal["ancilla", "shift", "sampled"]


@final
@dataclass(frozen=True, eq=False)
class Derivative:
    """The derivative of a program's outputs in one input element, as weighted programs that can be run.

    ``program`` is what is differentiated, ``element`` the (name, flat index) of the input, ``terms`` the
    programs with their weights: the derivative is the sum of their shares. ``additive`` is the sum before
    compilation, for each of the programs that it came from.
    """

    program: Program
    element: Element
    mode: Rule
    additive: tuple[Additive, ...]
    terms: SequenceOf[Term]

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def __getitem__(self, index: int) -> Term:
        return self.terms[index]

    @property
    def programs(self) -> tuple[Program, ...]:
        return tuple(term.program for term in self.terms)

    def evaluate(self, params: Tensor, x: Tensor | None = None) -> Tensor:
        """The exact derivative (n, c) for parameters (p,) and rows x (n, d), on the branch simulator.

        Without ``x`` the program must have no data, and n is 1. Raises UnsupportedModelError where a program is too
        large.
        """
        rows = rows_of(self.program, params, x)
        total = params.new_zeros(len(rows), self.program.num_outputs)
        for term in self.terms:
            total = total + term.evaluate(params, rows)
        return total

    def estimate(
        self, params: Tensor, x: Tensor | None = None, *, shots: int, device: Callable[[int], Any]
    ) -> Estimate:
        """The derivative (n, c) from ``shots`` runs of every program, with its standard error.

        ``device`` makes a PennyLane device of so many wires: `lambda wires: qml.device("default.qubit",
        wires=wires, seed=7)`. Measurements are deferred to the end, so that any device will do.
        """
        from qlazy.quantum.derivatives.shots import estimate

        return estimate(self.program, self, params, x, shots=shots, device=device)

    def experiments(self) -> Iterator[Experiment]:
        """The programs as a laboratory runs them, each with the rule that turns its counts into a mean."""
        from qlazy.quantum.derivatives.experiments import experiments

        return (experiment for term in self.terms for experiment in experiments(term))


@overload
def differentiate(program: Program | Derivative, wrt: Wrt, mode: Rule = ...) -> Derivative: ...
@overload
def differentiate(program: Program | Derivative, wrt: Wrt, mode: Literal["sampled"]) -> SampledDerivative: ...


def differentiate(
    program: Program | Derivative, wrt: Wrt, mode: Mode = "ancilla"
) -> Derivative | SampledDerivative:
    """The derivative of a program by transformation of its code: a multiset of programs.

    ``wrt`` is an element of an input, a weight or data: ``"a"``, ``"theta[2]"``, ``"theta[1, 2]"``, or (name,
    flat index). Modes:

    - "ancilla": one run a program with one ancilla, the gadget of Zhu, Hung, Chakrabarti, Wu (PLDI 2020, arXiv
      2004.01122). There are at most as many programs as the parameter has occurrences on any one path.
    - "shift": two runs a site without an ancilla, four at a controlled rotation.
    - "sampled": one program drawn at random from those of "shift", weighted so as to be unbiased (Fang, Ying,
      Wu, arXiv 2211.04507), for long loops and many occurrences.

    All are exact through measurement, branches and bounded loops, in the meaning of loops that
    ``program.loops`` names. A derivative can be differentiated again, and a circuit of an OpenQASM program stands
    for its program. Raises ValueError for an unknown input or mode, and TypeError for what is no program.
    """
    require_choice("mode", mode, get_args(Mode))
    if not isinstance(program, Program | Derivative):
        must = "be a Program, a Derivative, or a circuit of an OpenQASM program"
        found = getattr(program, "program", None)
        require(isinstance(found, Program), "program", must, repr(program), TypeError)
        program = found
    source = program.program if isinstance(program, Derivative) else program
    terms = program.terms if isinstance(program, Derivative) else (Term(program, ONE),)
    element = find_element(source, wrt)
    rule: Rule = "ancilla" if mode == "ancilla" else "shift"
    derivatives = [_TermDerivative(term, element, rule) for term in terms]
    found = Derivative(source, element, rule, tuple(d.form for d in derivatives), _Terms(derivatives))
    return SampledDerivative(found) if mode == "sampled" else found


def additive_form(program: Program, wrt: Wrt) -> Additive:
    """The derivative as a sum of programs, before it is compiled: print it with `str`."""
    return _TermDerivative(Term(program, ONE), find_element(program, wrt), "ancilla").form


@final
class _Terms(SequenceOf[Term]):
    """The terms of several derivatives, built when they are first asked for."""

    def __init__(self, derivatives: SequenceOf[_TermDerivative]) -> None:
        self._places = [(d, place) for d in derivatives for place in range(len(d.places))]
        self._built: dict[int, Term] = {}

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Term: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Term, ...]: ...

    def __getitem__(self, index: int | slice) -> Term | tuple[Term, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        number = range(len(self))[index]
        if number not in self._built:
            derivative, place = self._places[number]
            self._built[number] = derivative.term(*derivative.places[place])
        return self._built[number]


@final
class _TermDerivative:
    """The derivative of W O for a term with weight W: that of W, and W times those of all sites."""

    def __init__(self, term: Term, element: Element, rule: Rule) -> None:
        self._term, self._rule, self._element = term, rule, element
        program = term.program
        self._tangents: Tangents = tangents_of(program.operations, element)
        block = normal_form(program.operations, self._tangents, split_controlled=rule == "ancilla")
        self._block = self._tangents.along(block)
        self.form = additive(self._block, self._tangents, program.loops)
        self._slope = self._tangents.of(term.weight)

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """(number, run) of every term; the number is -1 for the derivative of the weight."""
        own = ((-1, 0),) if self._slope != ZERO else ()
        return own + tuple((k, run) for k in range(self.form.count) for run in range(self._runs(k)))

    def _runs(self, number: int) -> int:
        if self._rule == "ancilla":
            return 1
        return max(len(shifts(site.gate)) for site in self._sites(number))

    def _sites(self, number: int) -> list[Site]:
        found: list[Site] = []

        def collect(site: Site) -> Block:
            found.append(site)
            return ()

        self.form.alternative(number, collect)
        return found

    def term(self, number: int, run: int) -> Term:
        program, weight = self._term.program, self._term.weight
        if number < 0:
            return Term(replace(program, operations=self._block, text="", path=None), self._slope)
        sites = self._sites(number)
        if self.form.is_certain(number) and not has_locals(sites[0].weight):
            block = self.form.alternative(number, self._expand(run, None))
            coefficient = 1.0 if self._rule == "ancilla" else shifts(sites[0].gate)[run][0]
            factor = product(weight, sites[0].weight, Constant(coefficient))
        else:
            variable = self._weight_variable()
            block = self.form.alternative(number, self._expand(run, variable))
            block = (unreached(variable), *block)
            factor = product(weight, Local(variable))
        return Term(self._finished(block, number, run), factor)

    def _expand(self, run: int, weight: Variable | None) -> Expand:
        if self._rule == "shift":
            return Shift(run, weight)
        return Gadget(self._term.program.num_qubits, weight)

    def _weight_variable(self) -> Variable:
        taken = {variable.name for variable in self._term.program.variables}
        taken |= {variable.name for variable in self._tangents.held.values()}
        return Variable(
            fresh("weight", taken | {*self._term.program.weights, *self._term.program.data}), FLOAT
        )

    def _finished(self, block: Block, number: int, run: int) -> Program:
        program = self._term.program
        label = re.sub(r"\W+", "_", element_text(program, self._element)).strip("_")
        name = f"{program.name}_d_{label}_{number}" + (f"_{run}" if self._rule == "shift" else "")
        changes: dict[str, Any] = {"name": name, "operations": block, "text": "", "path": None}
        if self._rule == "ancilla":
            changes["qubits"] = (*program.qubits, _ancilla_name(program))
            changes["observables"] = tuple(_times_z(o, program.num_qubits) for o in program.observables)
        return replace(program, **changes)


def _ancilla_name(program: Program) -> str:
    taken = {name.partition("[")[0] for name in (*program.qubits, *(v.name for v in program.variables))}
    return fresh("ancilla", taken | {*program.weights, *program.data})


def _times_z(observable: PauliSum, wire: int) -> PauliSum:
    terms = (PauliTerm(t.coefficient, (*t.factors, (wire, "Z"))) for t in observable.terms)
    return PauliSum(tuple(terms))


@final
@dataclass(frozen=True, eq=False)
class SampledDerivative:
    """The derivative as the mean of programs drawn at random.

    Term j of ``derivative`` is drawn with probability p_j and weighted by 1 / p_j, so that the mean is the
    derivative whatever the probabilities, which are uniform unless given. The variance is least where p_j is
    proportional to the size of the share of term j. Fang, Ying, Wu (arXiv 2211.04507).
    """

    derivative: Derivative
    probabilities: Sequence[float] = field(default=())

    def __post_init__(self) -> None:
        if self.probabilities:
            require_shape("probabilities", self._probabilities, (len(self.derivative),))
            require(min(self.probabilities) > 0, "probabilities", "be positive", min(self.probabilities))

    @property
    def program(self) -> Program:
        return self.derivative.program

    @cached_property
    def _probabilities(self) -> Tensor:
        given = torch.tensor(self.probabilities or [1.0] * len(self.derivative), dtype=torch.float64)
        return given / given.sum()

    def draw(self, generator: torch.Generator) -> Term:
        """One randomised program with its importance weight. Raises ValueError where there is none to draw."""
        return self._weighted(int(self._drawn(1, generator)))

    def estimate(
        self, params: Tensor, x: Tensor | None = None, *, samples: int, generator: torch.Generator
    ) -> Estimate:
        """The mean of ``samples`` drawn programs, each evaluated exactly; value and standard error (n, c)."""
        require(samples >= 2, "samples", "be at least 2, for a standard error", samples)
        rows = rows_of(self.program, params, x)
        if not len(self.derivative):
            zero = params.new_zeros(len(rows), self.program.num_outputs)
            return Estimate(zero, zero)
        numbers, counts = self._drawn(samples, generator).unique(return_counts=True)
        shares = torch.stack([self._weighted(int(j)).evaluate(params, rows) for j in numbers])
        share = (counts / samples).to(params).reshape(-1, 1, 1)
        mean = (share * shares).sum(0)
        variance = (share * (shares - mean) ** 2).sum(0) * samples / (samples - 1)
        return Estimate(mean, (variance / samples).sqrt())

    def _drawn(self, count: int, generator: torch.Generator) -> Tensor:
        require(len(self.derivative), "wrt", "be used by the program", self.derivative.element)
        return torch.multinomial(self._probabilities, count, replacement=True, generator=generator)

    def _weighted(self, number: int) -> Term:
        term = self.derivative[number]
        return Term(term.program, product(term.weight, Constant(1.0 / float(self._probabilities[number]))))
