"""Pragmas and annotations that are not ours as they are written: near misses, those of other tools that act, others."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable

from openqasm3 import ast

from qlazy.base.errors import IgnoredPragmaWarning
from qlazy.quantum.qasm.reader import Reader

OWN = ("qlazy.observable", "qlazy.require", "qlazy.loops")

_ACTING = re.compile(r"braket\s+(unitary|noise|result)\b")
"""What changes the state or the outputs where Braket runs the program."""

_ALIKE = 0.82  # of difflib's ratio, from 0 to 1: one letter wrong, missing or too many in the shortest of our words


def meant(words: str, known: Iterable[str]) -> str | None:
    """Which of our own words was meant by the first or the first two given: `qlazy observable`, `@qlazy_data`."""
    first, *rest = re.split(r"[\s(]+", words.strip(), maxsplit=2)
    spellings = {_letters(first), _letters(first + "".join(rest[:1]))}
    for name in known:
        whole, short = _letters(name), _letters(name.partition(".")[2])
        if any(s == short or difflib.SequenceMatcher(None, s, whole).ratio() >= _ALIKE for s in spellings):
            return name
    return next(iter(known)) if _letters(first).startswith("qlazy") else None


def _letters(word: str) -> str:
    return re.sub(r"[^a-z]", "", word.lower())


def foreign(node: ast.Pragma, reader: Reader) -> None:
    """Refuse a near miss of ours and what acts elsewhere; of any other say that it is passed over."""
    words = (node.command or "").strip()
    if near := meant(words, OWN):
        reader.fail(node, f"unknown pragma `{words}`; known are {', '.join(OWN)}: write `pragma {near} ...`")
    if acting := _ACTING.match(words):
        remedy = {
            "unitary": "write the gates that make up the matrix",
            "noise": "put noise on a QNode with backend='device'",
            "result": "name outputs with `pragma qlazy.observable Z q[0]`",
        }[acting[1]]
        reader.fail(node, f"`pragma {acting[0]}` changes what the program does and is not read: {remedy}")
    place = reader.source.error_at(node, f"the pragma `{words}` is passed over")
    warnings.warn(str(place), IgnoredPragmaWarning, stacklevel=2)
