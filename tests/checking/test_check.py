"""The verdict on models whose answer is known, and what it does with settings, folders and damaged files."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.base.storage import is_draft
from qlazy.checking.lazy import LazyPanel
from qlazy.quantum.interop.qnodes import circuit_of
from qlazy.testing import assert_lazy, assert_learns
from tests import systems

QUICK: dict[str, Any] = {"seeds": 3, "steps": 20, "progress": False, "panels": ("lazy",)}


def teacher_data(model: qlazy.Model, teacher: list[float], inputs: int = 1, count: int = 30) -> qlazy.Dataset:
    """Inputs in (-pi, pi) and the outputs of the model at the teacher's parameters."""
    generator = torch.Generator().manual_seed(0)
    x = (2 * torch.rand(2 * count, inputs, generator=generator, dtype=torch.float64) - 1) * math.pi
    y = model(torch.tensor(teacher, dtype=torch.float64), x).detach()
    return qlazy.Dataset("a teacher", x[:count], y[:count], x[count:], y[count:], (), "outputs of a teacher")


@qml.qnode(qml.device("default.qubit", wires=2))
def two_angles(inputs, w=np.zeros(2)):  # noqa: B008 - its shape is read
    qml.RY(inputs[0], 0)
    qml.RY(inputs[1], 1)
    qml.RY(w[0], 0)
    qml.RY(w[1], 1)
    qml.CNOT([0, 1])
    return qml.expval(qml.Z(1))


CIRCUIT = qlazy.Circuit(two_angles, {"w": (2,)})
DATA = teacher_data(CIRCUIT, [2.0, 0.7], inputs=2)


def test_a_linear_model_is_lazy() -> None:
    """Its kernel does not move and its linearisation is itself."""
    data = teacher_data(systems.linear(2), [1.0, -0.5], inputs=2)
    verdict = qlazy.check(systems.linear(2), data, **QUICK)
    assert verdict.decisions["lazy"] == "lazy"
    assert ": lazy" in verdict.sentence
    assert_lazy(systems.linear(2), data, seeds=2, steps=20)
    with pytest.raises(AssertionError, match="What it learns is what its tangent model learns"):
        assert_learns(systems.linear(2), data, seeds=2, steps=20)


def test_a_circuit_at_a_large_scale_is_lazy() -> None:
    digits = qlazy.load_data("digits", features=2, train=20, test=40)
    verdict = qlazy.check(CIRCUIT, digits, alphas=(1e4,), **QUICK)
    assert verdict.decisions["lazy"] == "lazy"


def test_a_student_that_finds_its_teacher_learns() -> None:
    """The trained angles reach the teacher's; the tangents at the start span too little to."""
    verdict = assert_learns(CIRCUIT, DATA, seeds=6, steps=200)
    panel = verdict.panels["lazy"]
    assert isinstance(panel, LazyPanel)
    assert panel.loss_ratio("kernel regression").high < 0.1
    assert "training beats its own kernel" in verdict.sentence
    with pytest.raises(AssertionError, match="not lazy"):
        assert_lazy(CIRCUIT, DATA, seeds=3, steps=50)


def test_one_seed_allows_no_claim() -> None:
    verdict = qlazy.check(CIRCUIT, DATA, alphas=(1,), **{**QUICK, "seeds": 1})
    assert verdict.decisions == {"lazy": "undecided"} | {
        name: panel.decision for name, panel in verdict.panels.items() if name != "lazy"
    }
    assert "one seed" in str(verdict)
    assert "interval [" not in " ".join(verdict.panels["lazy"].sentences())


def test_models_of_all_kinds_are_taken() -> None:
    module = torch.nn.Linear(2, 1)

    def made() -> torch.nn.Module:
        return torch.nn.Linear(2, 1)

    lazy: dict[str, Any] = {**QUICK, "alphas": (1,)}
    for model in (two_angles, CIRCUIT, module, made, "hardware_efficient:n=2,layers=1", "mlp:2"):
        data = (
            DATA
            if model != "hardware_efficient:n=2,layers=1"
            else qlazy.load_data("digits", features=2, train=20)
        )
        assert qlazy.check(model, data, **lazy).model
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    assert qlazy.check(two_angles, (x, y), **lazy).data == "arrays"


def test_seeds_that_repeat_one_run_are_refused() -> None:
    """Their intervals would have no width, and the verdict would be certain of what one run showed."""
    net = qlazy.Net(torch.nn.Linear(2, 1), init="own")
    with pytest.raises(ValueError, match="`seeds` must be one for .*, which starts at the same parameters"):
        qlazy.check(net, DATA, **{**QUICK, "alphas": (1,), "seeds": 3})
    verdict = qlazy.check(net, DATA, **{**QUICK, "alphas": (1,), "seeds": 1})
    assert "one seed" in str(verdict)


def test_a_data_argument_of_another_name() -> None:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def swapped(w, x):
        for wire in (0, 1):
            qml.RY(x[wire], wire)
            qml.RY(w[wire], wire)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    lazy: dict[str, Any] = {**QUICK, "alphas": (1,), "panels": ("lazy",)}
    found, expected = (
        qlazy.check(model, DATA, **given, **lazy).panels["lazy"].runs[0].train_loss  # type: ignore[attr-defined]
        for model, given in ((swapped, {"shapes": {"w": 2}, "inputs": "x"}), (CIRCUIT, {}))
    )
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("data", ["inputs", "x"])
def test_further_keywords_are_no_weights(data: str) -> None:
    """A QNode of others that takes ``**options`` is the one that takes none."""
    functions = {
        "inputs": lambda inputs, w=np.zeros(2), **options: two_angles.func(inputs, w),  # noqa: B008
        "x": lambda x, w=np.zeros(2), **options: two_angles.func(x, w),  # noqa: B008
    }
    circuit = circuit_of(qml.QNode(functions[data], qml.device("default.qubit", wires=2)), None, data)
    params = torch.tensor([0.3, 0.4], dtype=torch.float64)
    torch.testing.assert_close(circuit(params, DATA.x_test), CIRCUIT(params, DATA.x_test))


REFUSED: dict[str, tuple[object, dict[str, Any], type[Exception], str]] = {
    "shapes that nothing tells": (
        qml.QNode(lambda inputs, w: qml.expval(qml.Z(0)), qml.device("default.qubit")), {},
        ValueError, r"`shapes` must tell the shape of w: shapes={'w': \(2, 4, 3\)}",
    ),
    "no data argument": (
        qml.QNode(lambda x, w: qml.expval(qml.Z(0)), qml.device("default.qubit")), {},
        ValueError, r"`inputs` must name the data argument of .*\(x, w\): inputs='x', or --inputs x, but is absent",
    ),
    "shapes of a net": (torch.nn.Linear(2, 1), {"shapes": {"w": 2}}, ValueError, "`shapes` must be absent"),
    "a number": (3, {}, TypeError, "`model` must be a QNode"),
    "a function with arguments": (lambda x: x, {}, ValueError, "decorate it with qml.qnode"),
    "one question as a text": (
        CIRCUIT, {"panels": "lazy"}, TypeError, r"as panels=\(\"lazy\",\), but is 'lazy', a text$",
    ),
    "no question": (CIRCUIT, {"panels": ()}, ValueError, "`panels` must be a sequence of some of lazy"),
    "another question": (CIRCUIT, {"panels": ("quick",)}, ValueError, "`panels` must be a sequence of some of lazy"),
    "a text for seeds": (CIRCUIT, {"seeds": "3"}, TypeError, "be a sequence of whole numbers, but is '3', a text$"),
    "no seeds": (CIRCUIT, {"seeds": 0}, ValueError, "`seeds` must be"),
    "a threshold of zero": (CIRCUIT, {"small": 0.0}, ValueError, "`small` must be positive"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    model, settings, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        qlazy.check(model, DATA, **{**QUICK, **settings})


def test_inputs_that_are_all_the_same_are_refused() -> None:
    same = qlazy.Dataset("same", 0 * DATA.x_train, DATA.y_train, DATA.x_test, DATA.y_test, (), "all the same")
    with pytest.raises(ValueError, match="`data` must have inputs that differ"):
        qlazy.check(CIRCUIT, same, **QUICK)


def test_it_is_kept_reported_and_read_again(tmp_path: Path) -> None:
    verdict = qlazy.check(CIRCUIT, DATA, alphas=(1, 10), out=tmp_path, **QUICK)
    page = verdict.report(tmp_path).read_text()
    assert page.index("not lazy") < page.index("<figure")
    loaded = qlazy.Verdict.load(tmp_path)
    assert str(loaded) == str(verdict)
    assert len(list((tmp_path / "lazy" / "runs").iterdir())) == 6  # each run once
    assert loaded.table() == verdict.table()
    assert loaded._repr_html_().startswith(f"<p><strong>{verdict.sentence}</strong></p>")
    assert {path.suffix for path in verdict.plot(tmp_path / "figures")} == {".png", ".svg"}
    for damaged in (
        "",
        "[]",
        "{}",
        json.dumps({"panels": ["none"], "model": "", "data": "", "absent": {}, "facts": {}}),
    ):
        (tmp_path / "verdict.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"verdict\.json is damaged"):
            qlazy.Verdict.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`out` must be a folder, but is a file"):
        qlazy.check(CIRCUIT, DATA, out=tmp_path / "file", **QUICK)


def test_a_linearised_path_that_diverges_leaves_the_verdict_standing() -> None:
    """A circuit's outputs are bounded and do not run away, its linearised model's do."""
    digits = qlazy.load_data("digits", features=2, train=20, test=40)
    settings = {**QUICK, "steps": 300, "alphas": (1.0,), "method": qlazy.GradientDescent(500.0)}
    with pytest.warns(qlazy.LearningRateWarning):
        verdict = qlazy.check(CIRCUIT, digits, **settings)
    said = str(verdict)
    assert "its linearised model diverged at this rate" in said
    assert "of the linearised model," not in said
    assert said.count("a = 1 is ordinary training") <= 1
    assert verdict.panels["lazy"].learning != "learning"


def test_a_threshold_of_ones_own_is_read_again(tmp_path: Path) -> None:
    """A kernel change of 171 % is lazy to who calls 1,000 % small."""
    verdict = qlazy.check(CIRCUIT, DATA, alphas=(1,), small=10.0, **QUICK)
    assert verdict.decisions["lazy"] == "lazy"
    verdict.save(tmp_path)
    assert qlazy.Verdict.load(tmp_path).decisions == verdict.decisions
    (tmp_path / "lazy" / "lazy.json").write_text('{"small": -1}')
    with pytest.raises(ValueError, match=r"lazy\.json is damaged"):
        qlazy.Verdict.load(tmp_path)


def test_drafts_of_a_killed_verdict_go(tmp_path: Path) -> None:
    """A process killed as it writes leaves a draft, beside the verdict or within a question's folder."""
    for draft in (tmp_path / ".verdict.json.0123abcd.tmp", tmp_path / "lazy" / ".lazy.json.0123abcd.tmp"):
        draft.parent.mkdir(exist_ok=True)
        draft.write_text("half a ver")
    found = [path for path in tmp_path.rglob(".*.tmp") if is_draft(path)]
    qlazy.check(CIRCUIT, DATA, alphas=(1,), out=tmp_path, **QUICK)
    assert found
    assert not [path for path in tmp_path.rglob(".*.tmp") if is_draft(path)]


def test_a_verdict_is_saved_again_where_its_folder_is_gone(tmp_path: Path) -> None:
    verdict = qlazy.check(CIRCUIT, DATA, alphas=(1,), out=tmp_path / "here", **QUICK)
    shutil.rmtree(tmp_path / "here")
    verdict.save(tmp_path / "here")
    assert str(qlazy.Verdict.load(tmp_path / "here")) == str(verdict)


def test_a_page_says_the_learning_rate_that_was_used(tmp_path) -> None:
    """n / (2 lambda_max) of each seed's kernel at the start, from the least to the greatest."""
    verdict = qlazy.check(CIRCUIT, DATA, **{**QUICK, "steps": 3})
    rates = []
    for seed in range(3):
        params = CIRCUIT.init(torch.Generator().manual_seed(seed)).double()
        kernel = qlazy.tangent_kernel(CIRCUIT, params, DATA.x_train).to_dense()
        rates.append(len(DATA.x_train) / (2 * float(torch.linalg.eigvalsh(kernel)[-1])))
    said = f"{min(rates):.3g} to {max(rates):.3g}"
    assert verdict.facts["learning rate"].endswith(said)
    assert said in verdict.report(tmp_path).read_text()
    flow = qlazy.check(CIRCUIT, DATA, **{**QUICK, "steps": 3}, method=qlazy.GradientFlow(0.1))
    assert "learning rate" not in flow.facts
