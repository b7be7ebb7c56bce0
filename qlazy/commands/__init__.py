"""The commands of the command line, a module each.

A module has ``EXAMPLES``, which ends its help, ``add_arguments(parser)`` and ``run(arguments)``, which returns the exit
code; its name stands in :data:`COMMANDS`. What it takes to run a command is imported when it runs.
"""

from __future__ import annotations

COMMANDS = {
    "compare": "train models at several output scales",
    "kernel": "measure a model's tangent kernel",
    "tiles": "put a tangent kernel on disk, tile by tile",
    "circuits": "list, show or draw circuits",
    "diff": "differentiate a program into programs",
    "study": "run a study: figures beside a paper's or a closed form",
    "bench": "time qlazy against every peer installed",
}
"""The commands there are, each with what it does."""

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done, a run that failed, bad input, stopped by Ctrl-C."""
