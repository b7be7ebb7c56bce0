"""One file a tool: how its own manual would have the workloads computed, in its best batch mode.

A file gives ``native(array, dtype)``, an array as users of the tool would hold it, and ``ways(workload, dtype,
threads)``, makers of functions by name. A function takes what :meth:`draw` of the workload gives, in native arrays, and
returns (n, c, p) for a Jacobian, (p,) for a gradient of 1/(2n) sum ||f - y||^2, (n, c, n, c) for a kernel, (p, p) for
the Hessian of the sum of all outputs and (p,) for a product with it, and (s scales, p) for training from s starts, the
scales of the first start first, as anything NumPy reads; for a propagation what ``words`` says. Where there are several
ways the fastest counts. Importing a file imports the tool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Compute = Callable[..., Any]
Ways = Mapping[str, Callable[[], Compute]]


@dataclass(frozen=True)
class Tool:
    """A tool by the name it goes by, the module here that drives it, and the distributions it consists of."""

    name: str
    module: str
    distributions: tuple[str, ...]
    does: Literal["circuits", "nets", "words", "all"]
    most_wires: int = 24
    """Of one state; those that keep the state after every gate, as backpropagation does, hold fewer."""
    has_second: bool = False
    """Whether it gives second derivatives of circuits."""
    trains: bool = False
    """Whether circuits are trained with it here."""


QLAZY = Tool("qlazy", "own", ("qlazy-ntk", "torch", "pennylane", "numba"), "all")

PEERS = (
    Tool("default.qubit", "default_qubit", ("pennylane", "torch"), "circuits", 18, True, True),
    Tool("lightning", "lightning", ("pennylane", "pennylane-lightning"), "circuits", trains=True),
    Tool("qulacs", "qulacs_backprop", ("qulacs",), "circuits"),
    Tool("mindquantum", "mindquantum_adjoint", ("mindquantum",), "circuits"),
    Tool("tensorcircuit", "tensorcircuit_jax", ("tensorcircuit-ng", "jax"), "circuits", 18, True),
    Tool("pennylane-jax", "pennylane_jax", ("pennylane", "jax"), "circuits", 18, True, True),
    Tool("torch.func", "nets.torch_func", ("torch",), "nets"),
    Tool("nngeometry", "nets.nngeometry_gram", ("nngeometry", "torch"), "nets"),
    Tool("neural-tangents", "nets.neural_tangents_empirical", ("neural-tangents", "jax"), "nets"),
    Tool("pauli-prop", "words.pauli_prop_words", ("pauli-prop", "qiskit"), "words"),
    Tool("bloqade-ppvm", "words.ppvm_words", ("bloqade-ppvm",), "words"),
    Tool("monoprop", "words.monoprop_words", ("monoprop",), "words"),
)
