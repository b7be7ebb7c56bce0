"""What holding a backend to the QNode costs: the first call of a circuit, beside one that is held to nothing.

    OMP_NUM_THREADS=1 python -m tests.quantum.backends.first_calls [--sizes 2,4,8,10] [--repeats 9]

Times are of the processor, the least of several new circuits, with and without in turn; each row is 8 inputs.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pennylane as qml
import torch

import qlazy
from qlazy.quantum.backends import choice

LAYERS, ROWS = 3, 8


class Open:
    """In place of the lock: takes everything."""

    tape, is_dynamic, stops, sees_rows, unable = None, False, False, False, ""

    def __init__(self, *_: Any) -> None: ...
    def __getattr__(self, name: str) -> Callable[..., Any]:
        return (lambda *_, **__: "") if name.startswith("check") else (lambda *_, **__: None)


@contextmanager
def held_to_nothing() -> Iterator[None]:
    lock, choice.Lock = choice.Lock, Open  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        choice.Lock = lock  # type: ignore[misc]


def gates(n: int) -> Any:
    def circuit(inputs: Any, weights: Any) -> Any:
        for wire in range(n):
            qml.RY(inputs[wire], wire)
        for layer in range(LAYERS):
            for wire in range(n):
                qml.RY(weights[layer, wire, 0], wire)
                qml.RZ(weights[layer, wire, 1], wire)
            for wire in range(n):
                qml.CNOT([wire, (wire + 1) % n])
        return qml.expval(qml.Z(0))

    return circuit, {"weights": (LAYERS, n, 2)}


def templates(n: int) -> Any:
    def circuit(inputs: Any, weights: Any) -> Any:
        qml.AngleEmbedding(inputs, wires=range(n))
        qml.StronglyEntanglingLayers(weights, wires=range(n))
        return [qml.expval(qml.Z(wire)) for wire in range(n)]

    return circuit, {"weights": (LAYERS, n, 3)}


def variance(n: int) -> Any:
    """What the adjoint simulator does not take: "auto" goes on to torch."""

    def circuit(inputs: Any, weights: Any) -> Any:
        qml.AngleEmbedding(inputs, wires=range(n))
        qml.StronglyEntanglingLayers(weights, wires=range(n))
        return qml.var(qml.Z(0)), qml.expval(qml.X(1))

    return circuit, {"weights": (LAYERS, n, 3)}


def seconds(make: Callable[[int], Any], n: int, backend: Any, derivatives: bool) -> tuple[float, str]:
    function, shapes = make(n)
    model = qlazy.Circuit(qml.QNode(function, qml.device("default.qubit", wires=n)), shapes, backend=backend)
    params = model.init(torch.Generator().manual_seed(0))
    x = torch.rand(ROWS, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = time.process_time()
    model.jacobian(params, x) if derivatives else model(params, x)
    return time.process_time() - start, model.backend


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="2,4,8,10")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--backends", default="auto,torch,lightning,device")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("circuit    qubits  asked for  runs on    first call   held, ms  not, ms  ratio")
    for make in (gates, templates, variance):
        for n in map(int, arguments.sizes.split(",")):
            for asked in arguments.backends.split(",") if make is not variance else ("auto",):
                for derivatives in (False, True):
                    if derivatives and asked == "device" and n > 4:  # thousands of circuits
                        continue
                    held, free = [], []
                    for _ in range(arguments.repeats):
                        took, name = seconds(make, n, asked, derivatives)
                        held.append(took)
                        with held_to_nothing():
                            free.append(seconds(make, n, asked, derivatives)[0])
                    one, other, what = (
                        1e3 * min(held),
                        1e3 * min(free),
                        "jacobian" if derivatives else "outputs",
                    )
                    print(
                        f"{make.__name__:10} {n:6}  {asked:9}  {name:9}  {what:10} {one:9.1f} {other:8.1f}"
                        f"  {one / other:5.2f}"
                    )


if __name__ == "__main__":
    main()
