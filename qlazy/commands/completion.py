"""``qlazy --completion SHELL``: a script that completes commands, options and their choices, printed for a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from qlazy.base.execution import require_package
from qlazy.commands.options.kinds import folder


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for bash, zsh or tcsh, from the options of a parser and of all its commands."""
    require_package("shtab", "completion")
    import shtab

    for action in _actions(parser):
        if action.type is folder:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)
        else:
            yield action
