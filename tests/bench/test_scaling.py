"""Scaling: the fits are least squares with honest intervals, one size grows at a time, and what is done stays done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from qlazy.bench.peers import PEERS, QLAZY
from qlazy.bench.runner import Settings
from qlazy.bench.scaling import Curve, Point, Scaling, fit, measure_scaling, runner, sweeps, worker
from qlazy.bench.scaling.figure import scaling_figure
from qlazy.bench.scaling.sweeps import TASKS, Sizes, Sweep, staircase
from qlazy.bench.worker import measure
from qlazy.bench.workloads import Array, CircuitWorkload
from qlazy.commands.main import main
from tests.drawing.looking import faults

EVERY = [sweep for quick in (False, True) for sweep in sweeps(quick).values()]


@pytest.mark.parametrize("seed", range(40))
def test_the_line_and_its_interval_are_those_of_linear_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 12))
    sizes = rng.uniform(-3, 20, count)
    costs = 2 ** (rng.normal() + rng.uniform(-1, 3) * sizes + rng.normal(0, 10 ** rng.uniform(-3, 0), count))
    found = fit(sizes, costs)
    oracle = stats.linregress(sizes, np.log2(costs))
    reach = max(2.0, stats.t.ppf(0.975, count - 2)) * oracle.stderr
    assert found.exponent == pytest.approx(oracle.slope, rel=1e-9, abs=1e-12)
    assert found.offset == pytest.approx(oracle.intercept, rel=1e-9, abs=1e-9)
    assert found.interval == pytest.approx((oracle.slope - reach, oracle.slope + reach), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 1.0, 3.0])
def test_a_power_law_has_its_exponent_and_no_error(exponent: float) -> None:
    logarithms = np.arange(3.0, 9.0)
    found = fit(logarithms, 0.3 * 2 ** (exponent * logarithms))
    assert found.exponent == pytest.approx(exponent, abs=1e-12)
    assert found.reach < 1e-12
    assert found.cost(20.0) == pytest.approx(0.3 * 2 ** (20 * exponent), rel=1e-9)


@pytest.mark.parametrize("count", [3, 5, 9])
def test_the_interval_holds_the_exponent_in_95_of_100_runs(count: int) -> None:
    rng = np.random.default_rng(count)
    sizes = np.arange(count, dtype=float)
    held = []
    for _ in range(2000):
        low, high = fit(sizes, 2 ** (1.2 * sizes + rng.normal(0, 0.1, count))).interval
        held.append(low <= 1.2 <= high)
    assert abs(np.mean(held) - 0.95) < 0.02  # four standard errors


@pytest.mark.parametrize(
    ("sizes", "costs", "message"),
    [
        ([1, 2], [1, 2], r"`logarithms` must have shape \(m,\)"),
        ([1, 2, 3], [1, 2], r"`costs` must have shape \(3,\)"),
        ([2, 2, 2], [1, 2, 3], "`logarithms` must differ"),
        ([1, 2, float("nan")], [1, 2, 3], "`logarithms` must be finite"),
        ([1, 2, 3], [1, 0, 3], "`costs` must be positive"),
        ([1, 2, 3], [1, float("inf"), 3], "`costs` must be positive and finite"),
    ],
)
def test_points_without_a_line_are_refused(sizes: list[float], costs: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(sizes, costs)


def sizes_of(workload: CircuitWorkload) -> Sizes:
    return Sizes(workload.wires, workload.samples, workload.num_params, workload.outputs)


def cone(workload: CircuitWorkload, wire: int) -> set[int]:
    """The wires that <Z> of a wire depends on, walking back."""
    found = {wire}
    for gate in reversed(workload.gates):
        if found & set(gate.wires):
            found |= set(gate.wires)
    return found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sweep", EVERY, ids=lambda sweep: f"{sweep.varied}{sweep.sizes[-1]}")
def test_one_size_grows_and_nothing_else(sweep: Sweep, task: Any) -> None:
    made = [sweep.workload(size, task) for size in sweep.sizes]
    for size, workload in zip(sweep.sizes, made, strict=True):
        assert sizes_of(workload) == sweep.others._replace(**{sweep.varied: size})
        used = [angle.shift for angle in workload.angles if angle.feature is None]
        assert sorted(used) == list(range(workload.num_params))  # type: ignore[type-var]
        assert len(workload.gates) == workload.wires + 3 * workload.num_params // 2
        for wire in workload.measured:
            assert cone(workload, wire) == set(range(workload.wires))
    assert len([size for size in sweep.sizes if size >= sweep.fit_from]) >= 3


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sizes", [Sizes(2, 3, 8, 2), Sizes(3, 2, 14, 1)])
def test_the_staircase_is_differentiated_as_default_qubit_does(sizes: Sizes, task: Any) -> None:
    workload, kept = staircase(sizes, task), list[Array]()
    list(measure(QLAZY, workload, repeats=0, keep=kept.append))
    other = next(tool for tool in PEERS if tool.name == "default.qubit")
    events = list(measure(other, workload, repeats=0, reference=kept[0]))
    assert {event["event"] for event in events} == {"ready", "first", "time"}, events


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (Sizes(1, 1, 8, 1), "`qubits` must be at least 2, but is 1"),
        (Sizes(2, 0, 8, 1), "`inputs` must be positive"),
        (Sizes(3, 1, 10, 1), "`parameters` must be even and at least four a qubit, 12, but is 10"),
        (Sizes(2, 1, 9, 1), "`parameters` must be even"),
        (Sizes(2, 1, 8, 3), "`outputs` must be from 1 to the number of qubits, 2, but is 3"),
    ],
)
def test_a_staircase_that_is_none_is_refused(sizes: Sizes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        staircase(sizes, "jacobian")


def test_the_processor_is_timed_and_not_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that work for 2^n units and sleep for as long as they like have the exponent 1, and no call is repeated."""
    seen: list[bytes] = []

    def ways(workload: CircuitWorkload, dtype: str, threads: int) -> dict[str, Callable[[], Any]]:
        def compute(params: Any, x: Any) -> None:
            seen.append(params.numpy().tobytes() + x.numpy().tobytes())
            end = time.process_time() + 1e-3 * 2**workload.wires
            while time.process_time() < end:
                pass
            time.sleep(0.01)

        return {"it": lambda: compute}

    monkeypatch.setattr(worker.own, "ways", ways)
    sweep = sweeps(quick=True)["qubits"]
    events = list(worker.measure(sweep, "jacobian", repeats=3))
    assert [event["round"] for event in events if event["event"] == "round"] == [1, 2, 3]
    points = [event for event in events if event["event"] == "point"]
    assert [point["size"] for point in points] == list(sweep.sizes)
    for point in points:
        assert len(point["processor"]) == len(point["seconds"]) == 3
        assert min(point["seconds"]) >= 0.01 + 1e-3 * 2 ** point["size"]
    found = fit(list(sweep.sizes), [float(np.median(point["processor"])) for point in points])
    assert found.exponent == pytest.approx(1, abs=0.1)
    assert len(set(seen)) == len(seen)


def said(request: dict[str, Any]) -> list[dict[str, Any]]:
    """What a worker would say whose calls take a square root of the size, and noise of its own."""
    found = sweeps(request["quick"])[request["varied"]]
    rng = np.random.default_rng([len(request["varied"]), len(request["task"])])
    points = []
    for size in found.sizes:
        seconds = (1e-3 * size**0.5 * rng.uniform(0.9, 1.1, request["repeats"])).tolist()
        points.append({"event": "point", "size": size, "processor": seconds, "seconds": seconds})
    return [{"event": "ready"}, {"event": "round", "round": 1}, *points]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Workers that take no time, and the requests that they were given."""
    requests: list[dict[str, Any]] = []

    def spoken(module: str, request: dict[str, Any], *others: object) -> Iterator[dict[str, Any]]:
        assert module == worker.__name__
        requests.append(request)
        yield from said(request)

    monkeypatch.setattr(runner, "spoken", spoken)
    monkeypatch.setattr(runner, "machine", lambda threads, dtype: MACHINE)
    return requests


def stop_at_the_third(line: str, counted: list[str]) -> None:
    counted.extend([line] * (not line.startswith(" ")))
    if len(counted) == 3:
        raise KeyboardInterrupt


def test_a_run_that_was_stopped_goes_on_to_the_same(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    settings, counted = Settings(quick=True, repeats=2), list[str]()
    with pytest.raises(KeyboardInterrupt):
        measure_scaling(
            settings=settings, folder=tmp_path, progress=lambda line: stop_at_the_third(line, counted)
        )
    assert len(Scaling.load(tmp_path).curves) == len(asked) == 2
    found = measure_scaling(settings=settings, folder=tmp_path)
    assert [(a["varied"], a["task"]) for a in asked] == [(v, t) for v in sweeps() for t in TASKS]
    whole = measure_scaling(settings=settings)
    assert found.curves == whole.curves == Scaling.load(tmp_path).curves
    assert len(asked) == 4 * 4


def test_named_sweeps_alone_are_run_and_others_of_the_folder_stay(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    settings = Settings(quick=True, repeats=2)
    measure_scaling(["outputs"], settings, folder=tmp_path)
    found = measure_scaling(["qubits", "outputs"], settings, folder=tmp_path)
    assert [a["varied"] for a in asked] == ["outputs"] * 2 + ["qubits"] * 2
    assert [curve.varied for curve in found.curves] == ["qubits"] * 2 + ["outputs"] * 2


def test_a_folder_of_another_run_and_unknown_sweeps_are_refused(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    measure_scaling(["qubits"], Settings(quick=True, repeats=2), folder=tmp_path)
    with pytest.raises(ValueError, match="`folder` must be a new one, or one of a run with"):
        measure_scaling(["qubits"], Settings(quick=True, repeats=3), folder=tmp_path)
    with pytest.raises(ValueError, match="`scaling` must be"):
        measure_scaling(["gates"], Settings(quick=True))
    assert len(asked) == 2
    text = (tmp_path / "scaling.json").read_text()
    (tmp_path / "scaling.json").write_text(text.replace('"size": 2', '"size": 3'))
    with pytest.raises(ValueError, match="scaling.json is damaged"):
        measure_scaling(["qubits"], Settings(quick=True, repeats=2), folder=tmp_path)


def test_a_sweep_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [{"event": "ready"}, {"event": "failed", "way": "", "message": "exit code 1: no memory"}]
    monkeypatch.setattr(runner, "spoken", lambda *request: iter(events))
    monkeypatch.setattr(runner, "machine", lambda threads, dtype: MACHINE)
    with pytest.raises(ChildProcessError, match="jacobian against qubits failed: exit code 1: no memory"):
        measure_scaling(settings=Settings(quick=True))


def curve(varied: Any = "qubits", task: Any = "jacobian", exponent: float = 1.0) -> Curve:
    sizes = (2, 4, 6, 8) if varied == "qubits" else (4, 16, 64, 256)
    costs = [1e-4 * 2 ** (exponent * (size if varied == "qubits" else np.log2(size))) for size in sizes]
    points = tuple(Point(s, (c, c, 9 * c), (2 * c,) * 3) for s, c in zip(sizes, costs, strict=True))
    return Curve(varied, task, "4 inputs", sizes[1], 1.0, points)


CURVES = tuple(curve(v, t, e) for v in ("qubits", "inputs") for t, e in zip(TASKS, (1.0, 0.25), strict=True))
MACHINE = {"cores": 2, "vectors": "AVX-512", "cpu": "one", "gflops": 1.0}


def test_results_are_written_read_and_told(tmp_path: Path) -> None:
    found = Scaling(CURVES, {"threads": 1, "dtype": "float64"}, MACHINE)
    paths = found.save(tmp_path)
    assert [path.name for path in paths] == ["scaling.json", "scaling.md", "scaling.png", "scaling.svg"]
    assert all(path.stat().st_size for path in paths)
    assert Scaling.load(tmp_path) == found
    assert found.caption == "2 cores, AVX-512, 1 thread, float64"
    for text in (found.table(), found.summary()):
        rows = [line for line in text.splitlines() if "4 inputs" in line]
        assert len(rows) == 4
        assert "2^n" in rows[0]
        assert "1.00 [1.00, 1.00]" in rows[0]
        assert "0.25 [0.25, 0.25]" in rows[3]


def test_the_figure_has_points_and_dashed_lines_that_are_the_fits() -> None:
    figure = scaling_figure(CURVES, "here")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 2
    for axes, exponents in zip(panels, [(1.0, 0.25)] * 2, strict=True):
        assert axes.get_yscale() == "log"
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        points = [line for line in axes.lines if line.get_linestyle() == "None"]
        for line, exponent in zip(dashed, exponents, strict=True):
            x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
            logarithms = x if axes.get_xscale() == "linear" else np.log2(x)
            assert np.diff(np.log2(y)) / np.diff(logarithms) == pytest.approx(exponent)
            assert f"exponent {exponent:.2f}" in str(line.get_label())
        assert [len(np.asarray(line.get_xdata())) for line in points] == [4, 4]
    assert [axes.get_xscale() for axes in panels] == ["linear", "log"]
    assert faults({"scaling": figure}) == []


@pytest.mark.parametrize(
    "option", [["--peers", "lightning"], ["--workloads", "W2"], ["--python", "qulacs=python"]]
)
def test_options_of_other_tools_are_refused_beside_it(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--scaling", "--quick", *option]) == 2
    assert f"`{option[0]}` must be left out beside --scaling" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_measures_and_leaves_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--scaling", "outputs", "--quick", "--repeats", "1", "--threads", "1"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert "loss gradient" in capsys.readouterr().out
    found = Scaling.load(tmp_path)
    assert [curve.task for curve in found.curves] == list(TASKS)
    assert all(point.cost > 0 for each in found.curves for point in each.points)
