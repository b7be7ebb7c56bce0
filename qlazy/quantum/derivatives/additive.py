"""The derivative of a program as a sum of programs: the additive form, and its compilation to a multiset.

    d(P1; P2)   = (dP1; P2) + (P1; dP2)
    d case      = case of the derivatives of the branches
    d while^(T) = sum over rounds r of (r - 1 rounds; the derivative of the body; the rounds that remain)

and abort for whatever does not use the parameter. Compiled, a sum is a union and a case takes its branches in
pairs, the shorter list padded with abort, so that its count is the maximum of theirs and not their sum. No
machine runs abort: a path that reaches no site has weight 0 instead, and runs what it would have run.

Compilation is by number: `Additive.alternative(k, ...)` builds the k-th program alone, so that one program of a
long loop costs no more than itself.

Zhu, Hung, Chakrabarti, Wu, PLDI 2020 (arXiv 2004.01122).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

from qlazy.base.errors import refuse
from qlazy.quantum.derivatives.sites import Site
from qlazy.quantum.derivatives.tangents import Tangents
from qlazy.quantum.program.classical import Classical
from qlazy.quantum.program.program import Semantics
from qlazy.quantum.program.statements import Block, Branch, Gate, Statement, While

Expand = Callable[[Site], Block]
"""What stands in a program for the derivative of a gate."""

MAX_PRINTED = 10_000


class Additive(abc.ABC):
    """A sum of programs, each of which differentiates one site on every path that reaches one."""

    count: int

    @abc.abstractmethod
    def alternative(self, number: int, expand: Expand) -> Block:
        """Program ``number`` of the multiset."""

    @abc.abstractmethod
    def is_certain(self, number: int) -> bool:
        """Whether that program reaches its site on every path."""

    @abc.abstractmethod
    def lines(self) -> Iterator[str]:
        """The additive form as text, line by line."""

    def __str__(self) -> str:
        lines = []
        for line in self.lines():
            lines.append(line)
            if len(lines) > MAX_PRINTED:
                refuse("program", f"have an additive form of at most {MAX_PRINTED:,} lines", "longer")
        return "\n".join(lines)


@final
@dataclass(frozen=True)
class Leaf(Additive):
    """The derivative of one gate."""

    site: Site
    count = 1

    def alternative(self, number: int, expand: Expand) -> Block:
        return expand(self.site)

    def is_certain(self, number: int) -> bool:
        return True

    def lines(self) -> Iterator[str]:
        yield f"{self.site};"


@final
@dataclass(frozen=True)
class Sequence(Additive):
    """Statements before and after what is differentiated."""

    before: Block
    inner: Additive
    after: Block

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.inner.count

    def alternative(self, number: int, expand: Expand) -> Block:
        return (*self.before, *self.inner.alternative(number, expand), *self.after)

    def is_certain(self, number: int) -> bool:
        return self.inner.is_certain(number)

    def lines(self) -> Iterator[str]:
        yield from (f"{statement};" for statement in self.before)
        yield from self.inner.lines()
        yield from (f"{statement};" for statement in self.after)


@final
@dataclass(frozen=True)
class Choice(Additive):
    """A measured branch; ``then`` and ``otherwise`` are the derivatives of its blocks, which stand beside."""

    condition: Classical
    then: Additive
    otherwise: Additive
    blocks: tuple[Block, Block]

    @property
    def count(self) -> int:  # type: ignore[override]
        return max(self.then.count, self.otherwise.count)

    def alternative(self, number: int, expand: Expand) -> Block:
        then, otherwise = (
            branch.alternative(number, expand) if number < branch.count else block
            for branch, block in zip((self.then, self.otherwise), self.blocks, strict=True)
        )
        return (Branch(self.condition, then, otherwise),)

    def is_certain(self, number: int) -> bool:
        return False

    def lines(self) -> Iterator[str]:
        yield f"if ({self.condition}) {{"
        yield from _indented(self.then.lines())
        yield "} else {"
        yield from _indented(self.otherwise.lines())
        yield "}"


@final
@dataclass(frozen=True)
class Rounds(Additive):
    """A bounded loop, one of its ``rounds`` differentiated."""

    loop: While
    body: Additive
    rounds: int
    semantics: Semantics

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.rounds * self.body.count

    def alternative(self, number: int, expand: Expand) -> Block:
        done, inner = divmod(number, self.body.count)
        loop, body = self.loop, self.body.alternative(inner, expand)
        # Once the condition is false it stays so: rounds in sequence are rounds within each other.
        rest = While(loop.condition, loop.body, loop.bound - done - 1, loop.place)
        return (*self._first(done), Branch(loop.condition, body, (), loop.place), rest)

    def _first(self, rounds: int) -> Block:
        """That many rounds, after which nothing is discarded."""
        loop = self.loop
        if self.semantics == "exit":
            return (While(loop.condition, loop.body, rounds, loop.place),) if rounds else ()
        return (Branch(loop.condition, loop.body, (), loop.place),) * rounds

    def is_certain(self, number: int) -> bool:
        return False

    def lines(self) -> Iterator[str]:
        condition = self.loop.condition
        yield f"sum over r = 1..{self.rounds}:"
        yield f"  r - 1 rounds of while ({condition});"
        yield f"  if ({condition}) {{"
        yield from _indented(_indented(self.body.lines()))
        yield "  }"
        yield f"  the rounds that remain of while ({condition});"


@final
@dataclass(frozen=True)
class Sum(Additive):
    """Several of them together; without any it is abort."""

    parts: tuple[Additive, ...] = ()

    @cached_property
    def count(self) -> int:  # type: ignore[override]
        return sum(part.count for part in self.parts)

    def _part(self, number: int) -> tuple[Additive, int]:
        for part in self.parts:
            if number < part.count:
                return part, number
            number -= part.count
        raise IndexError(number)

    def alternative(self, number: int, expand: Expand) -> Block:
        part, inner = self._part(number)
        return part.alternative(inner, expand)

    def is_certain(self, number: int) -> bool:
        part, inner = self._part(number)
        return part.is_certain(inner)

    def lines(self) -> Iterator[str]:
        if not self.parts:
            yield "abort;"
        for place, part in enumerate(self.parts):
            if len(self.parts) > 1:
                yield "+ (" if place else "  ("
            yield from _indented(part.lines()) if len(self.parts) > 1 else part.lines()
            if len(self.parts) > 1:
                yield "  )"


def additive(block: Block, tangents: Tangents, loops: Semantics) -> Additive:
    """The derivative of a block in normal form."""
    parts = []
    for place, statement in enumerate(block):
        inner = _derivative(statement, tangents, loops)
        if inner is not None and inner.count:
            parts.append(Sequence(block[:place], inner, block[place + 1 :]))
    return Sum(tuple(parts))


def _derivative(statement: Statement, tangents: Tangents, loops: Semantics) -> Additive | None:
    """None for abort."""
    match statement:
        case Gate() if tangents.reach(statement):
            return Leaf(Site(statement, tangents.of(statement.angles[0])))
        case Branch(condition, then, otherwise):
            yes, no = (additive(block, tangents, loops) for block in (then, otherwise))
            return Choice(condition, yes, no, (then, otherwise))
        case While(body=body, bound=bound):
            # The last round of while^(T) ends in abort, and so does its derivative.
            rounds = bound if loops == "exit" else bound - 1
            return Rounds(statement, additive(body, tangents, loops), max(rounds, 0), loops)
    return None


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
