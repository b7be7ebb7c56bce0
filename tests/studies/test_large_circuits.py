"""The study of circuits past the state vector in its quick setting."""

from __future__ import annotations

import pytest

from qlazy.studies import find_study
from qlazy.studies.large_circuits.heavy_hex import QUBITS, heavy_hex_bonds
from qlazy.studies.large_circuits.study import Settings, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("large")
    return run(Settings.quick(), folder, progress=False), folder


def test_every_claim_agrees(finished) -> None:  # type: ignore[no-untyped-def]
    assert [finding for finding in finished[0].findings if not finding.agrees] == []


def test_what_it_leaves_behind(finished) -> None:  # type: ignore[no-untyped-def]
    names = {path.name for path in finished[1].iterdir()}
    assert names >= {f"{figure}.png" for figure in ("size", "training", "truncation")} | {"report.html"}


def test_the_map_is_a_heavy_hexagon_lattice() -> None:
    """127 qubits with at most three neighbours, 144 bonds, in one piece; 18 hexagons of twelve, by Euler's formula."""
    bonds = heavy_hex_bonds()
    neighbours = {qubit: {a + b - qubit for a, b in bonds if qubit in (a, b)} for qubit in range(QUBITS)}
    assert len(set(bonds)) == 144
    assert {len(found) for found in neighbours.values()} == {1, 2, 3}
    reached, edge = {0}, {0}
    while edge:
        edge = {other for qubit in edge for other in neighbours[qubit]} - reached
        reached |= edge
    assert len(reached) == QUBITS
    assert len(bonds) - QUBITS + 1 == 18


def test_figures_have_no_faults(finished) -> None:
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("large_circuits").figures(result)) == []
