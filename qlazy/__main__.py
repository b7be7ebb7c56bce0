"""``python -m qlazy`` is the command ``qlazy``."""

from __future__ import annotations

from qlazy.commands.main import program

if __name__ == "__main__":
    program()
