"""How a circuit is run: what was chosen for each shape of a row of inputs, and on which device states live."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.base.torch_private import is_differentiated, outside_transforms
from qlazy.quantum.backends.backend import (
    ADJOINT,
    AUTO,
    BRANCHES,
    PAULIS,
    TORCH,
    Backend,
    Choice,
    LoweredBackend,
    Sample,
    TorchBackend,
)
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.backends.programs import choose_for, lowered_program
from qlazy.quantum.pennylane.surroundings.opened import opened_within
from qlazy.quantum.pennylane.surroundings.places import Surroundings, are_one
from qlazy.quantum.pennylane.surroundings.reading import surroundings_of
from qlazy.quantum.program.program import Program
from qlazy.quantum.torch_engine.backend import OnDevice
from qlazy.simulator.paulis.propagation import Truncation

if TYPE_CHECKING:
    import pennylane as qml

Row = tuple[int, ...]
NOTHING = Sample()


@final
class ChosenBackends:
    """What is known of running one QNode or program by the backend ``wanted``, found when first asked for.

    ``shapes`` are those of the weights. What a QNode read from its surroundings is remembered with each choice.
    """

    def __init__(
        self, source: qml.QNode | Program, shapes: Mapping[str, Row], wanted: str, truncation: Truncation
    ) -> None:
        self._source, self._shapes, self._wanted, self._truncation = source, shapes, wanted, truncation
        self._choices: dict[Row, Choice] = {}
        self._lowerings: dict[Row, Lowering] = {}
        self._read: dict[Row, Surroundings] = {}
        self._ran: dict[Row, tuple[Any, ...]] = {}
        self._elsewhere: dict[tuple[LoweredBackend, torch.device], OnDevice] = {}

    @cached_property
    def qnode(self) -> qml.QNode:
        """The circuit as a QNode; that of a program is made when it is first asked for."""
        if not isinstance(self._source, Program):
            return self._source
        from qlazy.quantum.pennylane.qnodes import to_qnode

        return to_qnode(self._source)[0]

    @cached_property
    def _transforms(self) -> Any:
        from qlazy.quantum.pennylane.tapes import transforms_of

        return transforms_of(self.qnode)

    @property
    def function(self) -> Any:
        """The QNode's function, and all that its transforms do with what it queues."""
        transforms = [(t.tape_transform, t.args, t.kwargs) for t in self._transforms]
        return (self.qnode.func, *transforms) if transforms else self.qnode.func

    @property
    def _parts(self) -> tuple[Any, ...]:
        """What of a QNode may be replaced in place."""
        device = self.qnode.device
        return self.qnode.func, device, getattr(device, "readout_err", None), *self._transforms

    @property
    def first(self) -> tuple[Row, Choice] | None:
        """The shape of a row of the first call, and what was chosen for it; None before it."""
        return next(iter(self._choices.items()), None)

    @property
    def reason(self) -> str:
        """Why it is not the adjoint simulator, what could not be checked, and where states live; empty for neither."""
        if self.first is None:
            return ""
        _, choice = self.first
        backend = choice.backend
        of_torch = (backend.reason, backend.unchecked) if isinstance(backend, TorchBackend) else ()
        places = [f"states on {device}, run by torch" for _, device in self._elsewhere]
        return "; ".join(dict.fromkeys(filter(None, (choice.reason, *of_torch, choice.unchecked, *places))))

    def are_outdated(self, x: Tensor) -> bool:
        """Whether the QNode reads other numbers now than when it was traced for rows like those of ``x``.

        Or has another function or device.
        """
        row = tuple(x.shape[1:])
        if row in self._ran and not are_one(self._parts, self._ran[row]):
            return True
        return row in self._read and not self._read[row].are_as_before()

    def choice(self, params: Tensor | None, x: Tensor) -> Choice:
        """The backend for rows like those of ``x``; the first call's own numbers help to choose it."""
        row = tuple(x.shape[1:])
        return self._choices[row] if row in self._choices else self.choose(row, Sample.of(params, x))

    def choose(self, row: Row, sample: Sample = NOTHING) -> Choice:
        """The backend for rows of a shape, chosen anew."""
        if isinstance(self._source, Program):
            self._choices[row] = choice = self._found(row, sample)
            return choice
        before = surroundings_of(self.function)
        self._ran[row] = self._parts
        with opened_within() as opened:
            self._choices[row] = choice = self._found(row, sample)
        if isinstance(choice.backend, LoweredBackend):
            self._read[row] = surroundings_of(self.function, before, opened)
        return choice

    def differentiable(self, params: Tensor | None, x: Tensor) -> Choice:
        """The same, with its derivatives held to the QNode's."""
        choice = self.choice(params, x)
        if choice.check_derivative is not None:
            with outside_transforms():
                self._choices[tuple(x.shape[1:])] = choice = choice.with_derivatives()
        return choice

    def backend(self, params: Tensor, x: Tensor, differentiated: bool = False) -> Backend:
        """What runs a call, on the device of its parameters."""
        choice = self.choice(params, x)
        if choice.check_derivative is not None and (differentiated or is_differentiated(params, x)):
            choice = self.differentiable(params, x)
        if params.device.type == "cpu" or choice.name == TORCH:
            return choice.backend
        must = f"be on the CPU for backend={choice.name!r}"
        require(choice.name == ADJOINT, "params", must, f"on {params.device}", UnsupportedModelError)
        assert isinstance(choice.backend, LoweredBackend)
        key = choice.backend, params.device
        if key not in self._elsewhere:
            self._elsewhere[key] = OnDevice(choice.backend, params.device)
        return self._elsewhere[key]

    def gates(self, x: Tensor) -> Lowering:
        """Gates and channels, formulas of their angles and observables, for rows like those of ``x``.

        Raises UnsupportedModelError for a circuit that does not become a list of gates.
        """
        row = tuple(x.shape[1:])
        if row not in self._lowerings:
            choice = self.choice(None, x)
            with outside_transforms():
                self._lowerings[row] = self._lowering(choice, row)
        return self._lowerings[row]

    def _lowering(self, choice: Choice, row: Row) -> Lowering:
        if isinstance(program := self._source, Program) and program.is_unitary:
            if choice.name == PAULIS:
                assert isinstance(choice.backend, LoweredBackend)
                return choice.backend.circuit.lowering
            return lowered_program(program).lowering
        from qlazy.quantum.backends.choice import lowering_of

        return lowering_of(choice, self.qnode, self._shapes, row)

    def _found(self, row: Row, sample: Sample) -> Choice:
        if isinstance(program := self._source, Program):
            require(row == (program.num_features,), "x", f"have rows of {program.num_features} features", row)
            if not program.is_unitary or self._wanted in (AUTO, ADJOINT, BRANCHES, PAULIS):
                return choose_for(self._wanted, program, self._truncation)
        from qlazy.quantum.backends.choice import choose

        with outside_transforms():
            return choose(self._wanted, self.qnode, self._shapes, row, sample, self._truncation)
