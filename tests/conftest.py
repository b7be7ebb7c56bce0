"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# A first call compiles and imports; a wall-clock deadline would fail on that alone. New examples are for
# developers to find: continuous integration runs the same ones every time.
settings.register_profile("qlazy", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "qlazy")
