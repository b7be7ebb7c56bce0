"""The part of a program that its outputs depend on, and no other wires.

A backward pass over the text: a statement that touches no wire gathered so far and writes no variable that is still
read drops out; any other is kept, with its wires and the variables that it reads. What a condition was measured on is
among them. In the semantics that discards runs, a loop always counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from qlazy.quantum.program.liveness import Live
from qlazy.quantum.program.program import Semantics
from qlazy.quantum.program.statements import (
    Assign,
    Block,
    Branch,
    Gate,
    Measure,
    Reset,
    Statement,
    While,
    reads,
)


class Reach(NamedTuple):
    """What is kept of a block, the wires and variables that matter before it."""

    kept: Block
    wires: frozenset[int]
    live: Live


def reach(block: Iterable[Statement], wires: Iterable[int], loops: Semantics) -> Reach:
    """What outputs on ``wires`` depend on behind ``block``."""
    return _through(tuple(block), Reach((), frozenset(wires), frozenset()), loops)


def renumbered(block: Block, places: Mapping[int, int]) -> Block:
    """The same statements on other wires."""
    return tuple(_renumbered(statement, places) for statement in block)


def _through(block: Block, behind: Reach, loops: Semantics) -> Reach:
    kept: list[Statement] = []
    _, wires, live = behind
    for statement in reversed(block):
        found, wires, live = _before(statement, wires, live, loops)
        kept += found
    return Reach(tuple(reversed(kept)), wires, live)


def _before(statement: Statement, wires: frozenset[int], live: Live, loops: Semantics) -> Reach:
    match statement:
        case Gate():
            own = frozenset(statement.wires + statement.controls)
            if wires & own:
                return Reach((statement,), wires | own, live | reads(statement))
        case Measure(wire, target):
            if wire in wires or target in live:
                return Reach((statement,), wires | {wire}, live - {target} if target else live)
        case Reset(wire):
            if wire in wires:
                return Reach((statement,), wires, live)
        case Assign(target):
            if target in live:
                return Reach((statement,), wires, live - {target} | reads(statement))
        case Branch(condition, then, otherwise):
            parts = [_through(part, Reach((), wires, live), loops) for part in (then, otherwise)]
            if any(part.kept for part in parts):
                wires, live = parts[0].wires | parts[1].wires, parts[0].live | parts[1].live
                kept = replace(statement, then=parts[0].kept, otherwise=parts[1].kept)
                return Reach((kept,), wires, live | condition.variables)
        case While(condition, body):
            if loops != "exit" or _through(body, Reach((), wires, live), loops).kept:
                return _around(statement, wires, live | condition.variables, loops)
    return Reach((), wires, live)


def _around(loop: While, wires: frozenset[int], live: Live, loops: Semantics) -> Reach:
    """A loop that counts: what its body needs may be made in an earlier round."""
    while True:
        body = _through(loop.body, Reach((), wires, live), loops)
        if body.wires <= wires and body.live <= live:
            return Reach((replace(loop, body=body.kept),), wires, live)
        wires, live = wires | body.wires, live | body.live


def _renumbered(statement: Statement, places: Mapping[int, int]) -> Statement:
    match statement:
        case Gate(wires=wires, controls=controls):
            own, others = (tuple(places[wire] for wire in part) for part in (wires, controls))
            return replace(statement, wires=own, controls=others)
        case Measure(wire) | Reset(wire):
            return replace(statement, wire=places[wire])
        case Branch(_, then, otherwise):
            return replace(statement, then=renumbered(then, places), otherwise=renumbered(otherwise, places))
        case While(_, body):
            return replace(statement, body=renumbered(body, places))
    return statement
