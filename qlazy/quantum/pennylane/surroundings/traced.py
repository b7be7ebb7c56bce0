"""What a function read when it was traced, and whether that has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from qlazy.base.chance import is_global
from qlazy.quantum.pennylane.surroundings.places import Place
from qlazy.quantum.pennylane.surroundings.reading import Reading

PASSES = 6
"""Code reached by names in code is read so many times further, at most: what lies beyond is not looked at."""


@final
class Surroundings:
    """What a function read when it was traced.

    ``before`` are those from before it was called: what has changed since then the function changes itself, counters
    for instance. It was called several times and queued the same, so that these places say nothing and are left out.
    """

    def __init__(self, function: Any, before: Surroundings | None = None) -> None:
        self._function = function
        self._own: dict[Place, Any] = {} if before is None else before._reading.places.moved()
        self._reading = _read(function, self._own)

    def are_as_before(self) -> bool:
        """Whether the function reads the same now."""
        if self._reading.places.are_as_before():
            return True
        now = _read(self._function, self._own)
        if now.found != self._reading.found:
            return False
        self._reading = now  # equal values in other objects
        return True


def generators_of(function: Any) -> list[Any]:
    """The generators of random numbers that a function reads, but for the global ones."""
    return [generator for generator in _read(function, {}).generators if not is_global(generator)]


def _read(function: Any, left_out: Mapping[Place, Any]) -> Reading:
    """All that a function reads: anew, until no code is reached that names further attributes."""
    reading = Reading(function, left_out, ())
    for _ in range(PASSES):
        if len(reading.met) == len(reading.named) or reading.is_full:
            break
        reading = Reading(function, left_out, tuple(reading.met))
    return reading
