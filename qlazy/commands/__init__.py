"""The commands of the command line, a module each.

A module has ``EXAMPLES``, which ends its help, ``add_arguments(parser)`` and ``run(arguments)``, which returns the exit
code; its name stands in :data:`COMMANDS`. What it takes to run a command is imported when it runs.
"""

from __future__ import annotations

COMMANDS = {
    "check": "lazy, flat, classical? The verdict on your own circuit or net and your own data",
    "compare": "train circuits and nets at several output scales, beside their linearised models",
    "kernel": "measure the tangent kernel (NTK, QNTK) of a circuit or a net",
    "tiles": "compute a tangent kernel larger than memory, on disk, tile by tile",
    "circuits": "list, show or draw the circuits that come with qlazy, or your OpenQASM 3 file",
    "diff": "the derivative of an OpenQASM 3 program, as programs that run on hardware",
    "study": "run an experiment whose figures are held to a paper or a closed form",
    "bench": "time qlazy against the other tools installed here",
}
"""The commands there are, each with what it does."""

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done, a run that failed, bad input, stopped by Ctrl-C."""
