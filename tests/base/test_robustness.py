"""Damaged texts, files and command lines: each is read, or refused in words that name it; nothing else ever happens.

`make fuzz` runs the same properties over many more examples, new ones each time. A program on which one fails is
written to `tests/base/programs_found`, and stays there as a case of the suite once the fault is mended.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlazy.commands import main as cli
from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run
from qlazy.comparison.specs import parse_sizes, parse_spec
from qlazy.quantum.corpus import folder, program_from_qasm
from qlazy.quantum.qasm.source import QasmError
from qlazy.training.history import History
from tests.comparison.test_figures import made_up

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(folder().rglob("*.qasm"))]
FRAGMENTS = (
    "qubit[3] q;", "bit c;", "c = measure q[0];", "if (c) { x q[0]; }", "while (c) {", "}",
    "for int i in [0:3] {", "input array[float, 2] w;", "rx(w[0]) q[0];", "ctrl @ ", "inv @ ",
    "pow(0.5) @ ", "@qlazy.bound 3\n", "@qlazy.data\n", "pragma qlazy.observable Z q[0]\n",
    "def f(qubit a) { h a; }", "gate g(t) a { rz(t) a; }", "switch (1) {", "case 0 {", "break;",
    "continue;", "return;", "end;", "[", "]", "(", ")", "{", ";", "-", "1e308", "0.0", "-1", "99999999999",
    "pi", "\t", "\n", "\0", "é", '"', "//", "/*", "*/",
)  # fmt: skip

Edit = tuple[float, int, str]
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(FRAGMENTS) | st.text(max_size=4)),
    min_size=1,
    max_size=4,
)


def refusal(kind: Any, action: Callable[[], object]) -> Any:
    """The error of that kind which an action ends in, or None; any other error is a failure."""
    try:
        action()
    except kind as error:
        return error
    return None


def damaged(text: str, changes: list[Edit]) -> str:
    """The text with a few stretches cut out, and others put in their place."""
    for place, length, inserted in changes:
        start = int(place * len(text))
        text = text[:start] + inserted + text[start + length :]
    return text


FOUND = Path(__file__).parent / "programs_found"


def read_or_refused(text: str) -> None:
    """Read a program, or have it refused with its place."""
    error = refusal(QasmError, lambda: program_from_qasm(text))
    assert error is None or (error.line >= 1 and error.column >= 1 and error.message)


def kept_if_it_fails(text: str, folder: Path = FOUND) -> None:
    """The same, with a program on which it fails written to a folder: of the programs of one failure the shortest."""
    try:
        read_or_refused(text)
    except Exception as fault:
        place = folder / f"{type(fault).__name__}-{sha256(where(fault).encode()).hexdigest()[:8]}.qasm"
        with contextlib.suppress(OSError):
            contents = text.encode("utf-8", "surrogatepass")
            if not place.exists() or len(contents) < place.stat().st_size:
                folder.mkdir(exist_ok=True)
                place.write_bytes(contents)
        raise


def where(fault: BaseException) -> str:
    """The module and function in which an error was raised: what tells one fault from another."""
    trace = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{Path(trace.filename).name} {trace.name}"


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.IgnoredPragmaWarning")
@given(st.sampled_from(TEXTS), edits)
def test_qasm_is_read_or_refused_with_its_place(text, changes) -> None:
    kept_if_it_fails(damaged(text, changes))


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.IgnoredPragmaWarning")
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
def test_qasm_from_fragments(fragments) -> None:
    kept_if_it_fails("\n".join(("OPENQASM 3.0;", 'include "stdgates.inc";', *fragments)))


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.IgnoredPragmaWarning")
@pytest.mark.parametrize("path", sorted(FOUND.glob("*.qasm")), ids=lambda path: path.stem)
def test_what_was_found_once_is_read_or_refused(path) -> None:
    read_or_refused(path.read_bytes().decode("utf-8", "surrogatepass"))


def test_a_program_on_which_it_fails_is_kept_the_shortest_of_a_fault(tmp_path, monkeypatch) -> None:
    def failing(text: str) -> None:
        raise ZeroDivisionError if "x" in text else KeyError

    monkeypatch.setitem(globals(), "program_from_qasm", failing)
    for text in ("xxx", "x\ud800", "x", "xx"):
        with pytest.raises(ZeroDivisionError):
            kept_if_it_fails(text, tmp_path)
    with pytest.raises(KeyError):
        kept_if_it_fails("", tmp_path)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["", "x"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, bytes]:
    """Every file of a saved comparison that is read again, by its place in the folder."""
    place = tmp_path_factory.mktemp("saved")
    made_up(("one",), alphas=(1.0, 10.0), seeds=(0,)).save(place)
    files = ("comparison.json", "runs/0000/run.npz", "runs/0000/trace.npz")
    return {name: (place / name).read_bytes() for name in files}


READERS = {
    "comparison.json": lambda path: Comparison.load(path.parent),
    "runs/0000/run.npz": lambda path: Run.load(path.parent),
    "runs/0000/trace.npz": History.load,
}


@given(
    st.sampled_from(sorted(READERS)),
    st.floats(0, 1),
    st.binary(max_size=8),
    st.integers(0, 40),
    st.booleans(),
)
def test_damaged_results_name_their_file(saved, name, place, inserted, length, cut) -> None:
    """A byte changed, a stretch cut out, the end missing: the error names the file, or the result is what it was."""
    data = saved[name]
    start = int(place * len(data))
    broken = data[:start] if cut else data[:start] + inserted + data[start + length :]
    with tempfile.TemporaryDirectory() as place_name:
        root = Path(place_name)
        for file, contents in saved.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(broken if file == name else contents)
        error = refusal((ValueError, OSError), lambda: READERS[name](root / name))
        assert error is None or str(root) in str(error)


@given(st.text(max_size=20) | st.from_regex(r"[a-z_]{1,9}(:[a-z=,0-9-]{0,12})?", fullmatch=True))
def test_specs_are_parsed_or_refused(text) -> None:
    with contextlib.suppress(ValueError):
        spec = parse_spec(text)
        assert spec.name
        parse_sizes(spec.options, spec.text)


WORDS = (
    "compare", "kernel", "circuits", "diff", "study", "bench", "mlp", "mlp:4,relu", "mlp:",
    "hardware_efficient:n=0", "p2", "--wrt", "a[9]", "--data", "iris", "--features", "0", "-1", "--alphas",
    "1,,2", "nan", "--learning-rate", "--seeds", "--help", "--threads", "nothing", "", "--dtype", "float16", "é",
    "--sizes", "--count",
)  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=4))
def test_command_lines_end_in_one_line(words) -> None:
    """No traceback: usage errors are one line on stderr. Only what would run for long is left out."""
    short = {"circuits", "diff", "study", "--help", ""}
    if words and words[0] not in short:
        words = [*words, "--nothing-of-the-kind"]
    if words[:1] == ["study"]:
        words = words[:1]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words)
    assert code in (cli.OK, cli.FAILED, cli.USAGE)
    assert "Traceback" not in err.getvalue()
    if code == cli.USAGE:
        assert err.getvalue().startswith("qlazy: error: ")
