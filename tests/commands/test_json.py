"""``--json``: one document on stdout, strict JSON, with the values of the result; words on stderr."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy
from qlazy.base.version import __version__
from qlazy.commands import main as cli
from qlazy.commands import study
from qlazy.commands.json_documents import plain

SMALL = ["--data", "moons", "--features", "2", "--train", "12", "--test", "20"]
TRAINED = [*SMALL, "--alphas", "1,10,100", "--seeds", "2", "--steps", "4", "--quiet"]
RUNS: dict[str, tuple[list[str], set[str]]] = {
    "check": (
        ["check", "mlp:2", *TRAINED, "--panels", "lazy"],
        {"model", "data", "decisions", "sentence", "sentences", "absent", "facts", "tables", "folder"},
    ),
    "compare": (
        ["compare", "mlp:2", "mlp:3", *TRAINED],
        {
            "data",
            "settings",
            "rows",
            "runs",
            "slopes",
            "geometric_differences",
            "verdicts",
            "caption",
            "folder",
        },
    ),
    "kernel": (["kernel", "mlp:3", *SMALL], {"model", "facts", "trace", "eigenvalues", "seed", "classes"}),
    "tiles": (
        ["tiles", "mlp:3", *SMALL, "--tile", "5"],
        {"model", "parameters", "data", "seed", "shape", "tile", "trace", "store"},
    ),
    "derivative": (
        ["diff", "p2", "--wrt", "a[3, 0]"],
        {"program", "wrt", "count", "mode", "loops", "programs"},
    ),
    "check of a derivative": (["diff", "p2", "--wrt", "a[3, 0]", "--check"], {"check"}),
    "count": (["diff", "p2", "--count"], {"program", "parameters", "size"}),
    "sum": (["diff", "p2", "--wrt", "a[3, 0]", "--additive"], {"additive"}),
    "studies": (["study"], {"studies"}),
    "circuits": (["circuits"], {"circuits"}),
    "programs": (["circuits", "--programs"], {"circuits"}),
    "circuit": (
        ["circuits", "tfim"],
        {"name", "sizes", "qubits", "parameters", "outputs", "weights", "data", "qasm", "measures"},
    ),
    "bench": (
        ["bench", "--quick", "--workloads", "W2", "--peers", "default.qubit", "--repeats", "1"],
        {"machine", "settings", "workloads", "measurements"},
    ),
}


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def document(text: str) -> dict[str, Any]:
    """The one document that a text is, NaN and infinity refused."""
    found = json.loads(text, parse_constant=refuse)
    assert text.endswith("}\n")
    assert set(found) == {"qlazy", "schema", "command", "exit_code", "result"}
    assert (found["qlazy"], found["schema"]) == (__version__, 1)
    return found


@pytest.fixture(scope="module", params=RUNS)
def ran(request, tmp_path_factory) -> tuple[str, dict[str, Any], str, Path]:
    words, _ = RUNS[request.param]
    folder = tmp_path_factory.mktemp("out")
    option = {"check": "--out", "compare": "--out", "kernel": "--out", "tiles": "--store"}.get(words[0])
    out = [] if option is None else [option, str(folder)]
    import contextlib
    import io

    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        code = cli.main([*words, *out, "--json"])
    found = document(said.getvalue())
    assert code == found["exit_code"] == 0
    return request.param, found["result"], told.getvalue(), folder


@pytest.mark.filterwarnings("ignore::qlazy.LearningRateWarning")
def test_every_command_prints_one_document(ran) -> None:
    name, result, words, folder = ran
    assert set(result) >= RUNS[name][1]
    assert words.strip()  # what is printed without --json
    if name == "compare":
        kept = qlazy.Comparison.load(folder)
        assert result["rows"] == json.loads(json.dumps(plain(kept.rows())))
        assert [run["alpha"] for run in result["runs"]] == [run.alpha for run in kept.runs]
        drifts = [run["parameter drift"] for run in result["runs"] if run["model"] == kept.models[0]]
        np.testing.assert_array_equal(drifts, kept.values(kept.models[0], "parameter drift").ravel())
        rates = [run["learning_rate"] for run in result["runs"]]
        assert rates == [run.trace.learning_rate for run in kept.runs]
        assert all(rate > 0 for rate in rates)
        assert {(one["model"], one["other"]) for one in result["geometric_differences"]} == {
            (kept.models[0], kept.models[1]), (kept.models[1], kept.models[0])
        }  # fmt: skip
    if name == "kernel":
        assert result["trace"] == pytest.approx(sum(result["eigenvalues"]))
    if name == "tiles":
        kept_tiles = qlazy.TiledKernel.load(result["store"])
        dense = kept_tiles.block(slice(None), slice(None))
        assert result["trace"] == pytest.approx(float(dense.trace()))
        assert [*dense.shape] == result["shape"]
    if name == "circuits":
        assert {one["name"] for one in result["circuits"]} > {"tfim", "hardware_efficient"}
    if name == "circuit":
        assert qlazy.from_qasm(result["qasm"]).num_params == result["parameters"]
    if name == "derivative":
        assert len(result["programs"]) >= result["count"] >= 1
        assert all("OPENQASM 3" in text for text in result["programs"])


def test_a_study_prints_its_findings(monkeypatch, capsys, tmp_path) -> None:
    from qlazy.studies.experiments import Outcome, carry_out
    from qlazy.studies.result import Finding

    @dataclass(frozen=True)
    class Settings:
        runs: int = 3

        @classmethod
        def quick(cls) -> Settings:
            return cls()

        full = quick

    class Made:
        pass

    made: Any = Made()
    made.Settings = Settings
    findings = [
        Finding.mean("one", "a mean", 1.0, [1.0, 1.1, 0.9], tolerance=0.5),
        Finding.reported("one", "a single run", [2.0]),
    ]
    experiments = {"one": lambda: Outcome(findings, {"a": np.ones(2)})}
    made.run = lambda settings, out, progress: carry_out(
        "made", settings, experiments, lambda result: {}, out=out, progress=progress
    )
    monkeypatch.setattr(study, "find_study", lambda name: made)
    assert cli.main(["study", "made", "--json", "--out", str(tmp_path), "--quiet"]) == 0
    captured = capsys.readouterr()
    result = document(captured.out)["result"]
    first, second = result["findings"]
    assert (first["verdict"], first["measured"]) == ("agrees", pytest.approx(1.0))
    assert second["interval"] == [None, None]  # of one run there is none
    assert result["settings"] == {"runs": 3}
    assert "a mean" in captured.err


def test_a_refusal_leaves_stdout_empty(capsys) -> None:
    assert cli.main(["compare", "mlp", "--json", "--seeds", "0"]) == cli.USAGE
    assert cli.main(["kernel", "nothing", "--json"]) == cli.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("qlazy: error:") == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_any_value_is_strict_json(value) -> None:
    found = json.loads(json.dumps(plain(value), allow_nan=False))
    assert found == plain(value)
    if isinstance(value, float) and math.isfinite(value):
        assert found == value


def test_numbers_that_json_lacks() -> None:
    assert plain([math.nan, math.inf, -math.inf, np.float32(0.5), torch.eye(1), np.bool_(True)]) == [
        None, "Infinity", "-Infinity", 0.5, [[1.0]], True,
    ]  # fmt: skip
