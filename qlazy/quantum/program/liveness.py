"""Which classical variables are still read behind each statement.

A backward pass over the text (Kildall 1973, POPL): what is read is live before, what is overwritten is not.
A loop may come round again, so that what its body reads before writing is live at its end.
"""

from __future__ import annotations

from qlazy.quantum.program.classical import Variable
from qlazy.quantum.program.statements import Block, Branch, Statement, While, reads, writes

Live = frozenset[Variable]


def live_behind(block: Block, live: Live) -> tuple[Live, ...]:
    """The variables read behind each statement of ``block``, where ``live`` are read behind the block."""
    found = []
    for statement in reversed(block):
        found.append(live)
        live = live_before(statement, live)
    return tuple(reversed(found))


def read_by(block: Block, live: Live = frozenset()) -> Live:
    """The variables whose values ``block`` reads before it writes them, and those of ``live`` it leaves."""
    for statement in reversed(block):
        live = live_before(statement, live)
    return live


def live_before(statement: Statement, live: Live) -> Live:
    """The variables read by a statement or behind it, where ``live`` are read behind it."""
    match statement:
        case Branch(_, then, otherwise):
            live = read_by(then, live) | read_by(otherwise, live)
        case While(body=body):
            live = live | read_by(body)
        case _ if (target := writes(statement)) is not None:
            live = live - {target}
    return live | reads(statement)
