"""What a comparison takes up from its folder is what was asked for: every change is made anew, and nothing else is."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pennylane as qml
import pytest
import torch
from torch import Tensor, nn

import qlazy
from qlazy.base.errors import NotKeptWarning
from qlazy.models.model import Model
from qlazy.training.losses import Loss, SquaredError
from qlazy.training.methods import SGD, Adam, GradientDescent
from tests.makers import inputs

X, Y = inputs(6, 3), inputs(6, 1, seed=2)
DATA = qlazy.Dataset("points", X[:4], Y[:4], X[4:], Y[4:], (), "")
FACTOR = 2.0
Asked = dict[str, Any]


def started(folder: Path, arguments: Asked) -> dict[str, int]:
    """The runs in a comparison's summary, with the times at which they were written."""
    settings = {"data": DATA, "alphas": (2.0,), "seeds": (0,), "steps": 2, **arguments}
    models = settings.pop("models", None) or {"net": settings.pop("model", None) or linear()}
    comparison = qlazy.compare(models, **settings, out=folder, progress=False)
    assert comparison.models == tuple(models)
    loaded = qlazy.Comparison.load(folder)
    assert [(r.model, r.alpha, r.seed) for r in loaded.runs] == [
        (r.model, r.alpha, r.seed) for r in comparison.runs
    ]
    names = json.loads((folder / "comparison.json").read_text())["runs"]
    return {name: (folder / "runs" / name / "run.npz").stat().st_mtime_ns for name in names}


def linear(factor: float = 1.0) -> Model:
    return qlazy.Function(lambda w, x: factor * (x @ w).unsqueeze(1), 3, init=ones)


def ones(generator: torch.Generator) -> Tensor:
    return torch.ones(3, dtype=torch.float64)


def zeros(generator: torch.Generator) -> Tensor:
    return torch.zeros(3, dtype=torch.float64)


def of(f: Callable[..., Any], init: Callable[..., Tensor] = zeros) -> Callable[[], Asked]:
    """A function model that starts at zero, where many are one."""
    return lambda: {"model": qlazy.Function(f, 3, init=init)}


def row(w: Tensor, x: Tensor) -> Tensor:
    return (x @ w).unsqueeze(1)


def sine(w: Tensor, x: Tensor) -> Tensor:
    return row(w, x).sin()


def tanh(w: Tensor, x: Tensor) -> Tensor:
    return row(w, x).tanh()


def by_global(w: Tensor, x: Tensor) -> Tensor:
    return FACTOR * row(w, x)


def with_global(name: str, value: object) -> Callable[[], Asked]:
    def ask() -> Asked:
        globals()[name] = value
        return of(by_global)()

    return ask


def by_default(w: Tensor, x: Tensor, factor: float = 1.0) -> Tensor:
    return row(w, x) + factor * row(w, x) ** 3


def by_call(w: Tensor, x: Tensor) -> Tensor:
    return helper(row(w, x))


def helper(z: Tensor) -> Tensor:
    return z


def other_helper(z: Tensor) -> Tensor:
    return z + z**3


def with_helper(found: Callable[[Tensor], Tensor]) -> Callable[[], Asked]:
    def ask() -> Asked:
        globals()["helper"] = found
        return of(by_call)()

    return ask


def times(factor: float) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    def decorate(f: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(f)
        def scaled(w: Tensor, x: Tensor) -> Tensor:
            return factor * f(w, x)

        return scaled

    return decorate


class Cubic:
    def __init__(self, size: float) -> None:
        self.size = size

    def __call__(self, w: Tensor, x: Tensor) -> Tensor:
        return row(w, x) + self.size * row(w, x) ** 3


class Table:
    def __init__(self, **entries: float) -> None:
        self.entries = entries

    def method(self, w: Tensor, x: Tensor) -> Tensor:
        return row(w, x) + self.entries["a"] * row(w, x) ** 3


def own(**methods: Any) -> Callable[[], Asked]:
    """A model of the user's own class, with these methods."""
    common = {
        "num_params": property(lambda self: 3), "blocks": property(lambda self: {"w": slice(0, 3)}),
        "init": lambda self, generator: zeros(generator), "forward": lambda self, w, x: row(w, x) + row(w, x) ** 3,
    }  # fmt: skip
    return lambda: {"model": type("Own", (Model,), {**common, **methods})()}


def tripled(self: Model, params: Tensor, x: Tensor) -> Tensor:
    return 3 * Model.jacobian(self, params, x)


class Layer(nn.Module):
    def __init__(self, power: float = 1.0, frozen: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1, dtype=torch.float64)
        self.power = power
        self.register_buffer("frozen", torch.tensor(frozen, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.frozen * self.power * self.layer(x) ** 3


def net(*modules: nn.Module) -> Callable[[], Asked]:
    module = nn.Sequential(nn.Linear(3, 2), *modules, nn.Linear(2, 1)).double()
    return lambda: {"model": qlazy.Net(module, init=lambda generator: torch.zeros(11, dtype=torch.float64))}


def module(made: nn.Module) -> Callable[[], Asked]:
    return lambda: {"model": qlazy.Net(made)}


def mlp(*widths: int, **settings: Any) -> Callable[[], Asked]:
    return lambda: {"model": qlazy.mlp([3, *widths, 1], **settings)}


def circuit(
    gate: Any = qml.RX, sign: float = 1.0, observable: Any = qml.Z, last: Any = None, backend: str = "auto"
) -> Callable[[], Asked]:
    def ansatz(inputs, w):  # type: ignore[no-untyped-def]
        qml.AngleEmbedding(inputs, wires=range(3))
        for i in range(3):
            gate(sign * w[i], wires=i)
        qml.CNOT([0, 1])
        if last is not None:
            last(0)
        return qml.expval(observable(0))

    qnode = qml.QNode(ansatz, qml.device("default.qubit", wires=3))
    return lambda: {"model": qlazy.Circuit(qnode, {"w": 3}, backend=backend)}


def program(**sizes: int) -> Callable[[], Asked]:
    def ask() -> Asked:
        found = qlazy.load_circuit("hardware_efficient", **{"n": 3, "layers": 1, **sizes})
        outputs = found.program.num_outputs
        y = inputs(6, outputs, seed=3)
        return {"model": found, "data": qlazy.Dataset("points", X[:4], y[:4], X[4:], y[4:], (), "")}

    return ask


def qasm(line: str) -> Callable[[], Asked]:
    text = f"""OPENQASM 3.0; include "stdgates.inc"; qubit[3] q;
    input array[float[64], 3] x; input array[float[64], 1] w;
    rx(x[0]) q[0]; ry(x[1]) q[1]; rz(x[2]) q[2]; {line} cx q[0], q[1];"""
    return lambda: {"model": qlazy.from_qasm(text, data=["x"], observables=["Z q[0]"])}


@dataclass(frozen=True)
class Power(Loss):
    power: int = 2
    convention: ClassVar[str] = "a power"

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs().pow(self.power).mean()


class Huber(Power):
    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.nn.functional.huber_loss(outputs, targets)


def wrapped(wrap: Callable[[Model], Model], inner: Callable[..., Tensor] = sine) -> Callable[[], Asked]:
    return lambda: {"model": wrap(qlazy.Function(inner, 3, init=zeros))}


def points(**changed: Tensor | str) -> Callable[[], Asked]:
    return lambda: {"data": replace(DATA, **changed)}  # type: ignore[arg-type]


def asked(**arguments: Any) -> Callable[[], Asked]:
    return lambda: dict(arguments)


ORIGIN, ELSEWHERE = torch.zeros(3, dtype=torch.float64), torch.full((3,), 0.5, dtype=torch.float64)

CHANGES: dict[str, tuple[Callable[[], Asked], Callable[[], Asked]]] = {
    "a function against its linearisation": (of(sine), wrapped(lambda m: qlazy.Linearized(m, ORIGIN))),
    "tanh against sine, centred at zero": (
        wrapped(lambda m: qlazy.Centered(m, ORIGIN)), wrapped(lambda m: qlazy.Centered(m, ORIGIN), tanh)),
    "the scale of a zero": (
        wrapped(lambda m: qlazy.Scaled(qlazy.Centered(m, ORIGIN), 1.0)),
        wrapped(lambda m: qlazy.Scaled(qlazy.Centered(m, ORIGIN), 7.0))),
    "the order of wrappers": (
        wrapped(lambda m: qlazy.Scaled(qlazy.Centered(m, ORIGIN), 2.0)),
        wrapped(lambda m: qlazy.Centered(qlazy.Scaled(m, 2.0), ORIGIN))),
    "an anchor": (
        wrapped(lambda m: qlazy.Linearized(m, ORIGIN)), wrapped(lambda m: qlazy.Linearized(m, ELSEWHERE))),
    "a wrapper more": (of(sine), wrapped(lambda m: qlazy.Scaled(m, 1.0))),
    "a function that starts at zero": (of(sine), of(tanh)),
    "a constant in a lambda": (
        of(lambda w, x: row(w, x) + 2 * row(w, x) ** 3), of(lambda w, x: row(w, x) + 3 * row(w, x) ** 3)),
    "a closure": (lambda: {"model": linear(1.0)}, lambda: {"model": linear(2.0)}),
    "a global": (with_global("FACTOR", 2.0), with_global("FACTOR", 3.0)),
    "a function that is called": (with_helper(helper), with_helper(other_helper)),
    "a default": (of(by_default), of(partial(by_default, factor=2.0))),
    "a callable object": (of(Cubic(1.0)), of(Cubic(2.0))),
    "what a method's object holds": (of(Table(a=1.0).method), of(Table(a=2.0).method)),
    "an initialisation": (of(row), of(row, ones)),
    "a rule for the Jacobian": (own(), own(jacobian=tripled)),
    "a rule for the kernel": (own(), own(gram=lambda s, w, x, y=None: 2 * Model.gram(s, w, x, y))),
    "a rule for J v": (own(), own(jvp=lambda s, w, x, v: 2 * Model.jvp(s, w, x, v))),
    "a rule that is mended": (own(jacobian=tripled), own(jacobian=lambda s, w, x: Model.jacobian(s, w, x))),
    "a forward": (own(), own(forward=lambda s, w, x: row(w, x) + row(w, x) ** 5)),
    "a net's activation": (net(nn.Tanh()), net(nn.Softsign())),
    "a layer's setting": (net(nn.Softplus(1.0)), net(nn.Softplus(2.0))),
    "a layer more": (net(nn.Tanh()), net(nn.Tanh(), nn.Identity())),
    "a module's number": (module(Layer(1.0)), module(Layer(2.0))),
    "a buffer": (module(Layer()), module(Layer(frozen=2.0))),
    "a width": (mlp(4), mlp(5)),
    "a depth": (mlp(4), mlp(4, 4)),
    "a bias": (mlp(4), mlp(4, bias=False)),
    "an mlp's activation": (mlp(4), mlp(4, activation=nn.ReLU)),
    "a gate": (circuit(), circuit(qml.RY)),
    "a sign": (circuit(), circuit(sign=-1.0)),
    "an observable": (circuit(), circuit(observable=qml.Hadamard)),
    "a gate more": (circuit(), circuit(last=partial(qml.RX, 0.3))),
    "a backend": (circuit(), circuit(backend="torch")),
    "a circuit on torch": (circuit(backend="torch"), circuit(sign=2.0, backend="torch")),
    "a program's size": (program(), program(layers=2)),
    "a program's gate": (qasm("rx(w[0]) q[0];"), qasm("ry(w[0]) q[0];")),
    "a program's angle": (qasm("rx(w[0]) q[0];"), qasm("rx(2*w[0]) q[0];")),
    "a program's condition": (
        qasm("bit c; c = measure q[1]; if (c) { rx(w[0]) q[0]; }"),
        qasm("bit c; c = measure q[1]; if (!c) { rx(w[0]) q[0]; }")),
    "a loss's field": (asked(loss=Power(2)), asked(loss=Power(4))),
    "a loss of the same convention": (asked(loss=Power()), asked(loss=Huber())),
    "a loss": (asked(loss=SquaredError()), asked(loss=Power())),
    "a rate": (asked(method=GradientDescent(0.1)), asked(method=GradientDescent(0.10000000000000002))),
    "a method": (asked(method=GradientDescent(0.1)), asked(method=Adam(0.1))),
    "a method's seed": (
        asked(method=SGD(0.1, batch_size=2)), asked(method=SGD(0.1, batch_size=2, seed=1))),
    "steps": (asked(), asked(steps=3)),
    "centring": (asked(), asked(centered=False)),
    "normalisation": (asked(), asked(normalized=True)),
    "an end by loss": (asked(), asked(until_loss=0.5)),
    "a seed": (asked(), asked(seeds=(1,))),
    "a scale": (asked(), asked(alphas=(2.0000000000000004,))),
    "training inputs": (asked(), points(x_train=X[:4] + 1e-15)),
    "test inputs alone": (asked(), points(x_test=X[4:] + 1e-15)),
    "test targets alone": (asked(), points(y_test=-Y[4:])),
    "the sign of a zero": (
        points(y_test=torch.tensor([[1.0], [0.0]], dtype=torch.float64)),
        points(y_test=torch.tensor([[1.0], [-0.0]], dtype=torch.float64))),
    "a name": (asked(models={"my net": linear()}), asked(models={"my-net": linear()})),
    "the end of a long name": (asked(models={"n" * 60: linear()}), asked(models={"n" * 60 + "m": linear()})),
    "what a decorator is told": (of(times(1.0)(tanh)), of(times(2.0)(tanh))),
    "a key": (asked(key="one"), asked(key="another")),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_made_anew_and_what_is_the_same_taken_up(change: str, tmp_path: Path) -> None:
    one, other = CHANGES[change]
    first = started(tmp_path, one())
    assert started(tmp_path, one()) == first, "what is the same was made anew"
    second = started(tmp_path, other())
    assert not first.keys() & second.keys(), "a stale run was taken up"
    assert started(tmp_path, one()) == first, "a run was lost"


def test_two_names_are_two_models(tmp_path: Path) -> None:
    both = started(tmp_path, {"models": {"my net": linear(), "my-net": linear(2.0)}})
    assert len(both) == 2
    assert started(tmp_path, {"models": {"my-net": linear(2.0), "my net": linear()}}).items() == both.items()


SOURCE = """
import torch
SIZE = 3.0
{comment}
class Curved:
    def __call__(self, w, x):{comment}
        z = x @ w{comment}
        return (z + SIZE * cube(z)).unsqueeze(1)
def cube(z):
    return z ** 3
"""


def curved(path: Path, comment: str) -> Asked:
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOURCE.format(comment=comment))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return {"model": qlazy.Function(found.Curved(), 3)}


def test_a_comment_and_a_file_that_moved_change_nothing(tmp_path: Path) -> None:
    first = started(tmp_path / "out", curved(tmp_path / "before.py", ""))
    moved = curved(tmp_path / "elsewhere" / "after.py", "  # as it was\n\n")
    assert started(tmp_path / "out", moved) == first


def test_what_cannot_be_told_is_said_and_made_anew_unless_a_key_stands_for_it(tmp_path: Path) -> None:
    model_of_files = qlazy.Function(lambda w, x: row(w, x) if open else x, 3)
    counted: list[int] = []
    counting = qlazy.Function(lambda w, x: row(w, x) if counted.append(1) is None else x, 3)
    noisy = qml.QNode(
        lambda inputs, w: (qml.RX(inputs[0] + w, wires=0), qml.expval(qml.Z(0)))[1],
        qml.device("default.qubit"),
    )
    shots = qlazy.Circuit(noisy, {"w": 1}, backend="device")
    for i, unknown in enumerate((model_of_files, counting, shots)):
        with pytest.warns(NotKeptWarning, match="is made anew at every start"):
            first = started(tmp_path / str(i), {"model": unknown})
        with pytest.warns(NotKeptWarning):
            assert not started(tmp_path / str(i), {"model": unknown}).keys() & first.keys()
        kept = started(tmp_path / str(i), {"model": unknown, "key": "mine"})
        assert started(tmp_path / str(i), {"model": unknown, "key": "mine"}) == kept


def test_files_of_another_run_are_refused(tmp_path: Path) -> None:
    names = list(started(tmp_path, {"alphas": (2.0, 3.0)}))
    one, other = (tmp_path / "runs" / name for name in names)
    for name in ("run.npz", "trace.npz"):
        held = (one / name).read_bytes()
        (one / name).write_bytes((other / name).read_bytes())
        with pytest.raises(ValueError, match=name):
            started(tmp_path, {"alphas": (2.0, 3.0)})
        (one / name).write_bytes(held)
    assert list(started(tmp_path, {"alphas": (2.0, 3.0)})) == names
