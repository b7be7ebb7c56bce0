"""Texts of a user's that are damaged at random: each is read, or refused in words; nothing else ever happens.

``python -m tests.fuzzing KIND COUNT SEED [FOLDER]``; KIND is "programs" (OpenQASM: those of the package with words
exchanged, with stretches cut out and others put in, and fragments in any order), "tables" (CSV files), "specs" (models
on the command line), or "all", which shares COUNT. Prints counts and the slowest text as JSON. A text that ends in
anything but a result or the error of its kind is written to FOLDER, and the status is then 1.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import qlazy
from qlazy.base.errors import NotFiniteError
from qlazy.comparison.specs import parse_sizes, parse_spec
from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.qasm.source import QasmError
from tests.base.test_robustness import FRAGMENTS, TEXTS, damaged

CELLS = (
    "", ",", ";", "\t", "\n", "\r\n", '"', '""', "'", "nan", "inf", "-inf", "1e308", "1e-320", "1e999", "1,5", "0x10",
    "-", "+", "1_000", " ", "\0", "é", "\ufeff", "true", "label", "a", "NA", "99999999999999999999", "1.0.0", "١٢",
)  # fmt: skip
WORDS = (
    "mlp", ":", ",", "=", "4", "0", "-1", "relu", "hardware_efficient", "layers", "n", "words", "cutoff", "1e9", "é",
    "99999999999999999999", " ", ".py", "/", "", "linearized", "x" * 200,
)  # fmt: skip


class Kind(NamedTuple):
    """Texts without end, how one is used, and the errors that refuse it."""

    texts: Callable[[random.Random], Iterator[str]]
    use: Callable[[str], object]
    refusals: tuple[type[Exception], ...]


def edits(rng: random.Random, fragments: tuple[str, ...]) -> list[tuple[float, int, str]]:
    return [
        (rng.random(), rng.choice((0, 1, rng.randint(0, 30))), rng.choice(fragments))
        for _ in range(rng.randint(1, 4))
    ]


def exchanged(text: str, rng: random.Random) -> str:
    """The text with one to three of its words, numbers and signs taken from elsewhere in it or in another program."""
    parts = re.findall(r"\w+|\s+|.", text)
    for _ in range(rng.randint(1, 3)):
        source = parts if rng.random() < 0.7 else re.findall(r"\w+|\s+|.", rng.choice(TEXTS))
        parts[rng.randrange(len(parts))] = rng.choice((rng.choice(source), rng.choice(FRAGMENTS)))
    return "".join(parts)


def programs(rng: random.Random) -> Iterator[str]:
    while True:
        way = rng.random()
        if way < 0.6:
            yield exchanged(rng.choice(TEXTS), rng)
        elif way < 0.85:
            yield damaged(rng.choice(TEXTS), edits(rng, FRAGMENTS))
        else:
            chosen = rng.choices(FRAGMENTS, k=rng.randint(0, 12))
            version, library = rng.choice((("3.0", "stdgates.inc"), ("2.0", "qelib1.inc")))
            yield "\n".join((f"OPENQASM {version};", f'include "{library}";', *chosen))


def read_program(text: str) -> None:
    try:
        program_from_qasm(text)
    except QasmError as error:
        if min(error.line, error.column) < 1 or not error.message:
            raise AssertionError("a refusal without its place or its reason") from error
        raise


def tables(rng: random.Random) -> Iterator[str]:
    while True:
        delimiter = rng.choice(",;\t")
        rows = [["x", "y", "label"]] if rng.random() < 0.7 else []
        rows += [
            [f"{rng.gauss(0, 1):.3f}", str(rng.randint(-5, 5)), rng.choice(("cat", "dog"))]
            for _ in range(rng.randint(0, 24))
        ]
        for _ in range(rng.choice((0, 0, 1, 2)) if rows else 0):
            row = rng.choice(rows)
            row[rng.randrange(3)] = rng.choice(CELLS)
        text = "\n".join(delimiter.join(row) for row in rows)
        yield text if rng.random() < 0.7 else damaged(text, edits(rng, CELLS))


def read_table(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.csv")
        path.write_text(text, encoding="utf-8")
        target = "label" if text.lstrip("\ufeff").startswith("x") else 2
        data = qlazy.load_data(path, target=target, train=4, test=4)
        assert data.x_train.isfinite().all() and data.y_train.isfinite().all()  # noqa: PT018


def specs(rng: random.Random) -> Iterator[str]:
    while True:
        yield "".join(rng.choices(WORDS, k=rng.randint(1, 8)))


def read_spec(text: str) -> None:
    spec = parse_spec(text)
    parse_sizes(spec.options, spec.text)


KINDS = {
    "programs": Kind(programs, read_program, (QasmError,)),
    "tables": Kind(tables, read_table, (ValueError, NotFiniteError)),
    "specs": Kind(specs, read_spec, (ValueError,)),
}


def fuzz(name: str, count: int, seed: int, folder: Path) -> dict[str, object]:
    """Use ``count`` texts of a kind; how many were read and refused, what fell, and the slowest with its seconds."""
    kind = KINDS[name]
    texts = kind.texts(random.Random(seed))
    read = refused = fell = 0
    slowest, longest = "", 0.0
    start = time.process_time()
    for text, _ in zip(texts, range(count), strict=False):
        begun = time.process_time()
        try:
            kind.use(text)
            read += 1
        except kind.refusals:
            refused += 1
        except Exception as error:
            fell += 1
            (folder / f"{name}-{seed}-{fell}-{type(error).__name__}").write_text(text, errors="surrogatepass")
        taken = time.process_time() - begun
        if taken > longest:
            longest, slowest = taken, text
    return {
        "kind": name, "seed": seed, "read": read, "refused": refused, "fell": fell,
        "seconds": round(time.process_time() - start, 1), "longest": round(longest, 3), "slowest": slowest,
    }  # fmt: skip


def main(kind: str, count: str, seed: str, folder: str = ".") -> int:
    warnings.simplefilter("ignore")
    names = list(KINDS) if kind == "all" else [kind]
    Path(folder).mkdir(parents=True, exist_ok=True)
    fell = 0
    for name in names:
        found = fuzz(name, int(count) // len(names), int(seed), Path(folder))
        print(json.dumps(found), flush=True)
        fell += int(str(found["fell"]))
    return min(fell, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
