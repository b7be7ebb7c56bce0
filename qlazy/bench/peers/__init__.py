"""One file a tool: how its own manual would have the workloads computed, in its best batch mode.

A file gives ``native(array, dtype)``, an array as users of the tool would hold it, and ``ways(workload, dtype,
threads)``, makers of functions by name. A function takes what :meth:`draw` of the workload gives, in native arrays, and
returns (n, c, p) for a Jacobian, (p,) for a gradient of 1/(2n) sum ||f - y||^2, (n, c, n, c) for a kernel, (p, p) for
the Hessian of the sum of all outputs and (p,) for a product with it, and (s scales, p) for training from s starts, the
scales of the first start first, as anything NumPy reads; for a propagation what ``words`` says. Where there are several
ways the fastest counts. Importing a file imports the tool.

Other distributions add tools by entry points of the group ``qlazy.bench.peers``: each is a :class:`Tool`, whose
``module`` is then the full name of such a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

GROUP = "qlazy.bench.peers"

Compute = Callable[..., Any]
Ways = Mapping[str, Callable[[], Compute]]


@dataclass(frozen=True)
class Tool:
    """A tool by the name it goes by, the module that drives it, and the distributions it consists of.

    The module is one of those here, or of another distribution by its full name.
    """

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
    on_request: bool = False
    """Whether it runs only where it is named."""


QLAZY = Tool("qlazy", "own", ("qlazy-ntk", "torch", "pennylane", "numba"), "all")

PEERS = (
    Tool("default.qubit", "default_qubit", ("pennylane", "torch"), "circuits", 18, True, True),
    Tool(
        "qlazy-device",
        "qlazy_device",
        ("qlazy-ntk", "pennylane", "torch"),
        "circuits",
        trains=True,
        on_request=True,
    ),
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


def peers() -> tuple[Tool, ...]:
    """The tools here, and those that other distributions add.

    Raises ValueError for what is no tool, or has the name of another.
    """
    known = {tool.name: tool for tool in (QLAZY, *PEERS)}
    for entry in metadata.entry_points(group=GROUP):
        tool = entry.load()
        if not isinstance(tool, Tool) or tool.name in known:
            must = "be a qlazy.bench.peers.Tool with a name of its own"
            raise ValueError(f"`{entry.name}` of the group {GROUP} must {must}, but is {tool!r}")
        known[tool.name] = tool
    return tuple(known.values())[1:]


def module_of(tool: Tool) -> str:
    """The full name of the module that drives a tool."""
    return f"{__name__}.{tool.module}" if tool in (QLAZY, *PEERS) else tool.module
