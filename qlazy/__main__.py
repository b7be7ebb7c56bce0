"""``python -m qlazy`` is the command ``qlazy``."""

from __future__ import annotations

import sys

from qlazy.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
