"""Static analysis: the table of Zhu, Hung, Chakrabarti and Wu, its theorem, and counts of simple programs."""

from dataclasses import replace

import pytest

from qlazy.quantum.corpus import load_program, program_families, program_from_qasm, program_names
from qlazy.quantum.program.analysis import Occurrences, Size, all_occurrences, occurrences, size_of

# PLDI 2020, arXiv 2004.01122: occurrences of t1 and programs of its derivative.
PAPER = {
    "qnn_small_basic": (1, 1), "qnn_small_shared": (5, 5), "qnn_small_if": (10, 10), "qnn_small_while": (15, 10),
    "qnn_medium_if": (24, 24), "qnn_medium_while": (56, 24), "qnn_large_if": (48, 48), "qnn_large_while": (504, 48),
    "vqe_small_basic": (1, 1), "vqe_small_shared": (2, 2), "vqe_small_if": (4, 4), "vqe_small_while": (6, 4),
    "vqe_medium_if": (15, 15), "vqe_medium_while": (35, 15), "vqe_large_if": (40, 40), "vqe_large_while": (248, 40),
    "qaoa_small_basic": (1, 1), "qaoa_small_shared": (3, 3), "qaoa_small_if": (6, 6), "qaoa_small_while": (9, 6),
    "qaoa_medium_if": (18, 18), "qaoa_medium_while": (42, 18), "qaoa_large_if": (36, 36), "qaoa_large_while": (378, 36),
}  # fmt: skip


@pytest.mark.parametrize("name", PAPER)
def test_the_table_of_the_paper(name):
    found = occurrences(load_program(name), "t1")
    assert (found.occurrences, found.programs) == PAPER[name]


@pytest.mark.parametrize("name", PAPER)
def test_with_normal_exit_every_round_counts(name):
    found = occurrences(replace(load_program(name), loops="exit"), "t1")
    assert found.programs == found.occurrences == PAPER[name][0]


@pytest.mark.parametrize("family", program_families(), ids=lambda family: family.name)
def test_every_program_says_what_it_is_and_obeys_the_theorem(family):
    assert len(family.description) > 20
    assert "arXiv" in family.source or "Phys. Rev." in family.source
    if family.program.num_params < 50:
        for loops in ("exit", "discard"):
            found = all_occurrences(replace(family.program, loops=loops))
            assert all(0 <= each.programs <= each.occurrences for each in found)
            assert all(each.occurrences > 0 for each in found)


def test_the_corpus_has_the_table_the_case_study_and_real_uses():
    assert set(program_names()) - set(PAPER) == {
        "p1", "p2", "repeat_until_success", "teleportation", "dynamic_reuploading", "adaptive_ghz",
        "amplitude_amplification",
    }  # fmt: skip


def test_a_gate_of_several_frequencies_counts_as_its_rotations():
    header = 'include "stdgates.inc"; input float a; input float b; qubit[2] q;'
    program = program_from_qasm(
        f"{header} crx(a) q[0], q[1]; U(a, a + b, 2 * a) q[0]; ctrl @ U(0.1, b, b) q[0], q[1];"
    )
    assert all_occurrences(program) == (Occurrences("a", 5, 5), Occurrences("b", 6, 6))


def test_size_is_that_of_the_worst_path():
    program = program_from_qasm("""
        include "stdgates.inc"; qubit[2] q; bit c;
        h q[0]; x q[1];
        c = measure q[0];
        if (c) { x q[1]; y q[1]; z q[1]; } else { h q[1]; }
        @qlazy.bound 3
        while (c) { h q[0]; c = measure q[0]; }
    """)
    # h and x, measure, three gates on q[1]; the loop adds a gate and a measurement to q[0], three times
    assert size_of(program) == Size(qubits=2, gates=2 + 3 + 3, measurements=4, depth=2 + 6)
