"""The benchmark: the workloads mean the same to every tool, and no time is told of a result that is wrong or late."""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qlazy.bench import Measurement, Report, Settings, run
from qlazy.bench.angles import Angles
from qlazy.bench.command import _earlier, _pair
from qlazy.bench.peers import PEERS, QLAZY, Tool, own
from qlazy.bench.peers.words import Left, codes
from qlazy.bench.results import from_events, summary
from qlazy.bench.runner import _events, _expanded, takes
from qlazy.bench.worker import Draws, deviation, held, measure
from qlazy.bench.workloads import Angle, Array, CircuitWorkload, PropagationWorkload, Workload, workloads
from qlazy.simulator import PauliRotation, PauliSum, PauliWord, RotationCircuit

QUICK = workloads(quick=True)
BY_NAME = {tool.name: tool for tool in PEERS}
HOME = {
    "qulacs": "qulacs",
    "mindquantum": "mindquantum",
    "tensorcircuit": "tensorcircuit",
    "pennylane-jax": "jax",
    "nngeometry": "nngeometry",
    "neural-tangents": "neural_tangents",
    "pauli-prop": "pauli_prop",
    "bloqade-ppvm": "ppvm",
    "monoprop": "monoprop",
}
SLOW = {"tensorcircuit", "pennylane-jax"}
"""Tools that compile for many seconds: one small workload is enough for them."""


def pairs() -> list[tuple[str, str]]:
    """Every peer with every workload that it does."""
    return [
        (tool.name, name)
        for tool in PEERS
        for name, workload in QUICK.items()
        if takes(tool, workload) and (tool.name not in SLOW or name in ("W2", "W7", "W12"))
    ]


def result(workload: Workload) -> Array:
    kept: list[Array] = []
    events = list(measure(QLAZY, workload, repeats=0, keep=kept.append))
    assert kept, events
    return kept[0]


@pytest.fixture(scope="module")
def references() -> Mapping[str, Array]:
    """qlazy's results on the tiny workloads."""
    return {name: result(workload) for name, workload in QUICK.items()}


@pytest.mark.parametrize(("name", "workload"), pairs())
def test_every_installed_peer_returns_what_qlazy_returns(
    name: str, workload: str, references: Mapping[str, Array]
) -> None:
    if name in HOME and importlib.util.find_spec(HOME[name]) is None:
        pytest.skip(f"{name} is not installed")
    events = list(measure(BY_NAME[name], QUICK[workload], repeats=0, reference=references[workload]))
    assert not [event for event in events if event["event"] in ("missing", "failed")], events
    if name == "nngeometry" and workload.startswith("W9"):
        return  # version 0.4 is off by a few 1e-9 on convolutions, more than float64 explains: it is refused
    assert not [event for event in events if event["event"] == "disagrees"], events
    assert {event["event"] for event in events} == {"ready", "first", "time"}


def test_a_wrong_result_is_refused_and_not_timed(references: Mapping[str, Array]) -> None:
    wrong = references["W2"].copy()
    wrong[0, 0, 0] += 1e-8
    events = list(measure(BY_NAME["lightning"], QUICK["W2"], reference=wrong))
    assert [event["event"] for event in events] == ["ready", "disagrees"]
    measurement = from_events("lightning", "W2", events, None)
    assert measurement.median is None
    assert "refused, result off by 1.0e-08" in measurement.problem


PAGE = Path(__file__).parents[2] / "docs" / "bench.md"


def distribution(folder: Path, code: str) -> None:
    """The example of the documentation, or another code, as a distribution installed in a folder."""
    section = PAGE.read_text(encoding="utf-8").partition("## A tool or a workload of your own")[2]
    table = tomllib.loads(section.partition("```toml")[2].partition("```")[0])["project"]["entry-points"]
    (folder / "my_bench.py").write_text(code or section.partition("```py\n")[2].partition("```")[0])
    info = folder / "my_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-bench\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in found.items()) for group, found in table.items()
    ]
    (info / "entry_points.txt").write_text("".join(lines))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_bench", None)


def test_another_distribution_adds_a_peer_and_a_workload(mine: Path) -> None:
    distribution(mine, "")
    report = run(["ladder"], ["mine"], Settings(repeats=1, quick=True))
    found = {m.tool: m for m in report.measurements}
    assert set(found) == {"qlazy", "mine"}
    assert found["mine"].error is not None
    assert found["mine"].error < 1e-12
    assert found["mine"].median
    assert "one turn by x + w" in report.table()


def test_a_wrong_peer_of_another_distribution_is_not_timed(mine: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## A tool or a workload of your own")[2]
    distribution(mine, section.partition("```py\n")[2].partition("```")[0].replace("-np.sin", "np.sin"))
    report = run(["ladder"], ["mine"], Settings(repeats=1, quick=True))
    [wrong] = [m for m in report.measurements if m.tool == "mine"]
    assert wrong.median is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("TOOL = 3\nladders = lambda quick: []", "`mine` of the group qlazy.bench.peers must be a .*Tool"),
        (
            "from qlazy.bench.peers import PEERS\nTOOL = PEERS[0]\nladders = lambda quick: []",
            "with a name of its own",
        ),
        (
            "TOOL = None\nladders = lambda quick: [3]",
            "`ladder` of the group qlazy.bench.workloads must return",
        ),
    ],
)
def test_what_is_no_tool_or_workload_is_named(mine: Path, code: str, message: str) -> None:
    distribution(mine, code)
    with pytest.raises(ValueError, match=message):
        run(["W1"], [], Settings(repeats=1, quick=True))


def test_a_peer_that_is_not_installed_is_named() -> None:
    absent = Tool("absent", "no_such_module", (), "circuits")
    measurement = from_events("absent", "W2", measure(absent, QUICK["W2"]), None)
    assert measurement.problem.startswith("not installed: No module named")


def test_a_peer_without_the_dtype_fails_with_its_reason() -> None:
    failed = from_events("x", "W2", [{"event": "failed", "way": "", "message": "float64 only"}], None)
    assert failed.problem == "failed: float64 only"


def test_deviation_is_relative_to_the_largest_entry_and_never_fits_another_shape() -> None:
    reference = np.array([[100.0, 0.0]])
    assert deviation(reference + 1.0, reference) == pytest.approx(0.01)
    assert deviation(reference.T, reference) == np.inf
    assert not deviation(np.full_like(reference, np.nan), reference) <= 1.0


def test_angles_and_their_chain_rule_against_finite_differences() -> None:
    angles = Angles([Angle(feature=1), Angle(0), Angle(shift=3, feature=0, scale=2)])
    rng = np.random.default_rng(0)
    params, x = rng.standard_normal(4), rng.standard_normal((3, 2))
    values = angles.values(params, x)
    assert np.allclose(values[:, 2], params[2] * x[:, 0] + params[3])
    weights = rng.standard_normal((3, 1, 3))
    found = angles.pull(weights, params, x)
    for place in range(4):
        moved = params + 1e-6 * np.eye(4)[place]
        slope = (angles.values(moved, x) - values) / 1e-6
        assert np.allclose(found[:, 0, place], (weights[:, 0] * slope).sum(1), atol=1e-8)


def test_the_workloads_have_the_sizes_they_claim() -> None:
    full = workloads()
    assert full["W1"].num_params == 200
    assert len(full["W1"].draw(0)[1]) == 256
    assert full["W3"].num_params == 36
    assert full["W6"].num_params == 4 * 6 * 6
    assert full["W8"].num_params == 64 * 512 + 512 * 512 + 512 * 10 + 512 + 512 + 10
    assert full["W12"].num_params == 64
    assert len(full["W12"].draw(0)[1]) == 4
    assert full["W12-product"].draw(0)[2].shape == (64,)


def test_the_flops_of_a_call_are_those_that_the_model_counts() -> None:
    """In closed form: one unitary a qubit and layer, RY and RZ between rings of CNOTs. The first ones cost 12, the
    others 54, and the one behind which the ring leaves nothing of Z on its qubit costs nothing.
    """
    wires, layers, samples = 3, 2, 5  # of W1, and in other sizes of the rest
    events = list(measure(QLAZY, QUICK["W1"], repeats=1))
    (counted,) = [event["flops"] for event in events if event["event"] == "counted"]
    assert counted == samples * 2**wires * (12 * wires + 54 * (wires * (layers - 1) - 1))
    assert from_events("qlazy", "W1", events, None).flops == counted
    training = QUICK["W10"]
    assert isinstance(training, CircuitWorkload)
    once = own.flops(replace(training, steps=1), *Draws(training, torch.from_numpy)(0))
    assert own.flops(training, *Draws(training, torch.from_numpy)(0)) == training.steps * once > 0
    assert own.flops(QUICK["W12"], *Draws(QUICK["W12"], torch.from_numpy)(0)) is None


def test_every_call_has_parameters_and_inputs_of_its_own() -> None:
    for workload in QUICK.values():
        first, second = workload.draw(0), workload.draw(1)
        kept = isinstance(workload, PropagationWorkload)  # at the angles for which words have been published
        assert all(not np.array_equal(a, b) for a, b in zip(first[kept:2], second[kept:2], strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(first, workload.draw(0), strict=True))


def chain(wires: int) -> PropagationWorkload:
    found = workloads()[f"W13-{wires}"]
    assert isinstance(found, PropagationWorkload)
    return found


@pytest.mark.parametrize("wires", [8, pytest.param(64, marks=pytest.mark.slow)])
def test_as_many_words_are_left_as_others_have_published(wires: int) -> None:
    assert result(chain(wires))[0] == chain(wires).published


def test_gradients_of_the_chain_are_those_of_the_state_simulator(references: Mapping[str, Array]) -> None:
    workload = QUICK["W13-32-gradients"]
    assert isinstance(workload, PropagationWorkload)
    params, x = workload.draw(0)
    wires = workload.wires
    encoding = [PauliRotation("Y", (wire,), sampled=True, wanted=False) for wire in range(wires)]
    gates = [PauliRotation(word, at) for word, at in workload.gates]
    observable = PauliSum(tuple(PauliWord(1.0, "Z", (wire,)) for wire in range(wires)))
    values, slopes = RotationCircuit(wires, [*encoding, *gates], [observable]).sweep(params, x)
    assert np.abs(slopes.shared).max() > 0.1
    expected = np.concatenate([values[:, :, None], slopes.shared], axis=2)
    np.testing.assert_allclose(references[workload.name], expected, atol=1e-12)


def test_words_of_a_tool_are_read_as_expectations() -> None:
    x = np.array([[0.3, 1.1], [0.0, 2.0]])
    left = Left(0.5, np.nan, x, lambda: (codes(["ZX", "IZ", "YZ"]), np.array([2.0, 0.5, 7.0])))
    expected = 2 * np.cos(x[:, 0]) * np.sin(x[:, 1]) + 0.5 * np.cos(x[:, 1])
    np.testing.assert_allclose(np.asarray(left), [3, np.nan, 0.5, *expected])


def test_a_propagation_by_another_cutoff_may_be_off_by_what_both_dropped_and_no_more() -> None:
    workload, ours = chain(8), np.array([10.0, 1e-3, 2.0, 1.0])
    off, allowed = held(workload, np.array([10.0, 0.0, 2.0 + 1e-9, 1.0]), ours, "float64")
    assert off is not None
    assert off > allowed == 1e-10  # of a tool that drops the same words
    assert held(workload, np.array([12.0, 3e-3, 2.0, 1.0]), ours, "float64") == (0.0, pytest.approx(2e-3))
    assert held(workload, np.array([12.0, np.nan, 2.0, 1.0]), ours, "float64") == (0.0, pytest.approx(1e-3))


def test_a_name_stands_for_a_family_where_it_is_none_of_its_own() -> None:
    assert _expanded(["W13", "W11", "W0"], workloads()) == [
        *(f"W13-{n}{task}" for task in ("", "-gradients") for n in (8, 16, 32, 64)), "W11", "W0",
    ]  # fmt: skip


EVENTS: list[dict[str, Any]] = [
    {"event": "ready", "import_seconds": 1.0, "versions": {"x": "1"}},
    {"event": "first", "way": "a", "seconds": 9.0, "error": 0.0},
    {"event": "time", "way": "a", "seconds": 4.0},
    {"event": "first", "way": "b", "seconds": 8.0, "error": 0.0},
    {"event": "time", "way": "b", "seconds": 3.0},
    {"event": "time", "way": "b", "seconds": 1.0},
    {"event": "time", "way": "b", "seconds": 1.0},
]


def test_the_fastest_way_counts_and_a_stopped_run_keeps_what_it_measured() -> None:
    found = from_events("x", "W1", EVENTS, 10.0)
    assert (found.way, found.first, found.median) == ("b", 8.0, 1.0)
    stopped = from_events("x", "W1", [*EVENTS[:3], {"event": "over limit"}], 10.0)
    assert (stopped.way, stopped.median, stopped.problem) == ("a", 4.0, "stopped at 10 s")
    late = from_events("x", "W1", [EVENTS[0], {"event": "over limit"}], 10.0)
    assert (late.first, late.problem) == (None, "> 10 s")


def report() -> Report:
    own = Measurement("qlazy", "W1", "Circuit.jacobian", first=0.5, later=(0.2, 0.1, 0.3), flops=2 * 10**9)
    peer = from_events("peer", "W1", EVENTS, None)
    absent = from_events("absent", "W1", [{"event": "missing", "message": "no module"}], None)
    return Report(
        (peer, absent, own, replace(own, dtype="float32", later=(0.1,))),
        {"W1": "a title"},
        {"dtype": "float64", "threads": 2},
        {"cpu": "a processor", "cores": 2, "vectors": "AVX2", "gflops": 20.0},
    )


def test_the_table_shows_times_ratios_and_what_is_missing() -> None:
    table = report().table()
    lines = {line.split()[0]: line for line in table.splitlines() if line}
    assert lines["peer"].split()[1:5] == ["8", "1", "1", "5"]
    assert "not installed: no module" in lines["absent"]
    assert "0.30 s over later ones" in table
    assert "10.0 GFLOP/s" in table
    assert "qlazy in float32: 0.1, 2.00x as fast" in table
    assert table.index("qlazy") < table.index("peer  ") < table.index("absent")


def test_words_left_stand_beside_those_published(tmp_path: Path) -> None:
    own = Measurement("qlazy", "W13-8", "propagate", first=0.5, later=(0.2,), words=4701)
    peer = replace(own, tool="peer", later=(0.4,), words=5000)
    one = replace(report(), measurements=(own, peer), titles={"W13-8": "chain"}, published={"W13-8": 4701})
    assert "propagate; 4,701 words" in one.table()
    assert "published: 4,701 words; qlazy: 4,701" in one.table()
    assert "W13-8 chain; published 4,701 words, left by qlazy |" in summary(one)
    one.save(tmp_path)
    assert Report.load(tmp_path) == one


def test_a_report_is_saved_as_json_and_figure(tmp_path: Path) -> None:
    paths = report().save(tmp_path)
    assert [path.name for path in paths] == ["bench.json", "bench.md", "bench.png", "bench.svg"]
    saved = json.loads(paths[0].read_text())
    own = saved["measurements"][2]
    assert (own["median"], own["min"], own["later"]) == (0.2, 0.1, [0.2, 0.1, 0.3])


def test_a_saved_report_comes_back_and_keeps_workloads_that_were_not_run_again(tmp_path: Path) -> None:
    first = report()
    first.save(tmp_path)
    assert Report.load(tmp_path) == first
    own = Measurement("qlazy", "W2", first=0.5, later=(0.2,), versions={})
    second = replace(first, measurements=(own,), titles={"W2": "another"})
    both = second.after(Report.load(tmp_path))
    assert set(both.titles) == {"W1", "W2"}
    assert both.medians("W1") == {"peer": 1.0, "qlazy": 0.2}
    again = replace(first, measurements=(replace(own, workload="W1", later=(0.4,)),))
    assert again.after(both).medians("W1") == {"qlazy": 0.4}


def test_the_summary_has_a_row_a_workload() -> None:
    slow = Measurement("slow", "W1", "loop", later=(9.0,), versions={"slow": "2"})
    late = Measurement("late", "W1", problem="> 10 s")
    text = summary(replace(report(), measurements=(*report().measurements, slow, late)))
    row = next(line for line in text.splitlines() if line.startswith("| W1"))
    assert row == "| W1 a title | 0.2 | peer 1 | **5.0** | slow 45, late > 10 s | 0.30 |"
    alone = replace(report(), measurements=report().measurements[2:])
    assert "| W1 a title | 0.2 | - | - |  | 0.30 |" in summary(alone)
    assert "2 cores, AVX2, 2 threads, float64" in text
    assert "slow 2" in text


def test_a_folder_of_other_settings_is_refused_before_anything_runs(tmp_path: Path) -> None:
    replace(report(), settings={"dtype": "float32", "threads": 2, "quick": False}).save(tmp_path)
    with pytest.raises(ValueError, match="`--out` must be a new folder"):
        _earlier(tmp_path, Settings(threads=2))
    assert _earlier(tmp_path / "new", Settings()) is None


def test_a_process_past_its_limit_is_stopped_and_reported() -> None:
    settings = Settings(quick=True, limit=1e-3)
    found = from_events(
        "lightning", "W2", _events(BY_NAME["lightning"], QUICK["W2"], settings), settings.limit
    )
    assert (found.problem, found.later) == ("> 0.001 s", ())


@pytest.mark.slow
def test_a_whole_run_puts_qlazy_and_its_peers_in_one_report() -> None:
    found = run(["W2"], ["lightning"], Settings(quick=True, repeats=2))
    assert {m.tool for m in found.of("W2")} == {"qlazy", "lightning"}
    assert all(m.median is not None and not m.problem for m in found.of("W2"))


@pytest.mark.parametrize(
    ("names", "peers", "message"),
    [
        (["W0"], None, "`workloads` must be among W1"),
        (None, ["qiskit"], "`peers` must be among default.qubit"),
    ],
)
def test_unknown_names_are_refused(names: list[str] | None, peers: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(names, peers)


@pytest.mark.parametrize("settings", [{"repeats": 0}, {"threads": 0}, {"limit": 0.0}, {"dtype": "float16"}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` must be"):
        Settings(**settings)


def test_an_interpreter_is_given_by_peer() -> None:
    assert _pair(f"nngeometry={sys.executable}") == ("nngeometry", sys.executable)
    with pytest.raises(ValueError, match="must be PEER=PATH"):
        _pair("python3")
