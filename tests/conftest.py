"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# A first call compiles and imports; a wall-clock deadline would fail on that alone.
settings.register_profile("qlazy", deadline=None)
settings.load_profile("qlazy")
