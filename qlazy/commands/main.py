"""The command line. Results go to stdout, errors and, on a terminal, progress to stderr; the work is done elsewhere."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import io
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from qlazy.base.errors import NotConvergedError, NotFiniteError, did_you_mean
from qlazy.base.tables import printable
from qlazy.base.version import __version__
from qlazy.commands import COMMANDS, FAILED, INTERRUPTED, OK, USAGE


class _Printable(io.TextIOBase):
    """stdout, with names from files as they can be printed: no escape sequence of theirs reaches the terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(printable(text))
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def isatty(self) -> bool:
        return self._out.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._out.encoding

    def fileno(self) -> int:
        return self._out.fileno()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse would print the usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"qlazy: error: {message}{self._hint(message)} (see `{self.prog} --help`)\n")

    def _hint(self, message: str) -> str:
        """What a misspelt choice or option comes nearest to."""
        choice = re.search(r"invalid choice: '(.+)' \(choose from (.+)\)$", message)
        if choice is not None:
            return did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))
        unknown = re.match(r"unrecognized arguments: (?:.* )?(--[\w-]+)", message)
        options = [option for action in self._actions for option in action.option_strings]
        return "" if unknown is None else did_you_mean(unknown[1], options)


class _PrintCompletion(argparse.Action):
    """Prints the script for the shell that is named, and ends. Raises ImportError without shtab."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from qlazy.commands.completion import script

        print(script(_parser(list(COMMANDS)), str(values)))
        parser.exit()


_SELDOM = 10_000, 10, 10
"""New objects between two looks for garbage; among older ones ten times more seldom each."""


def program() -> NoReturn:
    """The command as a process of its own, which ends with its exit code.

    A tenth of a short command was Python looking for garbage among the objects of imported modules, again and again,
    and another tenth was its last look at exit, at what the system frees at once.
    """
    gc.set_threshold(*_SELDOM)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, `2>&-`: what is printed there would go to the other one
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the process ends
    code = main()
    gc.freeze()
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, or 1 for a run that failed, 2 for bad input, 130 when interrupted."""
    words = sys.argv[1:] if argv is None else argv
    arguments = argparse.Namespace()
    try:
        arguments = _parse(words)
        import torch  # a second or two, which --help and a slip of the keyboard need not wait for

        arguments.command = shlex.join(["qlazy", *words])
        torch.set_num_threads(arguments.threads)
        with _warnings_in_a_line():
            return _run(arguments)
    except SystemExit as stop:  # argparse leaves this way, --help and --version included
        return int(stop.code or 0)
    except KeyboardInterrupt:
        goes_on = "; started again, it goes on where it stopped" if _has_kept(arguments) else ""
        print(f"qlazy: interrupted{goes_on}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `qlazy circuits | head`: nobody reads on, and Python must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (MemoryError, NotConvergedError, NotFiniteError) as error:
        return _fail(error, FAILED)
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # torch's, of what did not fit
            raise
        return _fail(MemoryError("it does not fit in the memory available"), FAILED)
    except (ValueError, TypeError, ImportError, OSError) as error:
        return _fail(error, USAGE)


def _has_kept(arguments: argparse.Namespace) -> bool:
    """Whether the command keeps what is finished and has kept something; drafts begin with a dot and are not."""
    keeps = getattr(arguments, "keeps", None)
    folder = None if keeps is None else keeps(arguments)
    return folder is not None and any(p.is_file() and not p.name.startswith(".") for p in folder.rglob("*"))


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Warnings of qlazy's own classes as a line on stderr; all others as Python shows them, with file and line."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int,
            file: TextIO | None = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if category.__module__.partition(".")[0] == "qlazy":
                print(f"qlazy: warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _run(arguments: argparse.Namespace) -> int:
    from qlazy.commands.json_documents import printed
    from qlazy.commands.options.output import figures_asked_for

    as_json = getattr(arguments, "json", False)
    with (
        contextlib.redirect_stdout(_Printable(sys.stderr if as_json else sys.stdout)),
        figures_asked_for(arguments),
    ):
        code: int = arguments.run(arguments)
    if as_json:
        sys.stdout.write(printed(arguments, code))
        sys.stdout.flush()
    return code


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser(words)
    arguments, rest = parser.parse_known_args(words)
    # argparse takes the models before the first option or those after it, not both.
    if rest and ("models" not in arguments or any(text.startswith("-") for text in rest)):
        arguments.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.models += rest
    return arguments


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Every command with its summary; options, which import torch, for those alone that stand in ``words``."""
    parser = _Parser(
        prog="qlazy",
        description="Tangent kernels of quantum circuits and torch nets, and how much they change in training: is a "
        "circuit learning, or is it a kernel method in disguise?",
        epilog="`qlazy COMMAND --help` shows the options and examples of a command.",
    )
    parser.add_argument("--version", action="version", version=f"qlazy {__version__}")
    parser.add_argument(
        "--completion", action=_PrintCompletion, choices=("bash", "zsh", "tcsh"), metavar="SHELL",
        help="print a script that completes commands and options, for bash, zsh or tcsh",
    )  # fmt: skip
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        one = commands.add_parser(
            name, help=summary, description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        if name in words:
            _fill(one, name)
    return parser


def _fill(parser: argparse.ArgumentParser, name: str) -> None:
    from qlazy.commands.options.kinds import positive

    command = importlib.import_module(f"qlazy.commands.{name}")
    parser.epilog = command.EXAMPLES
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        metavar="N",
        help="threads of torch; small circuits want one (%(default)s)",
    )
    command.add_arguments(parser)
    parser.set_defaults(run=command.run, keeps=getattr(command, "keeps", None), parser=parser)


def _fail(error: Exception, code: int) -> int:
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    print(f"qlazy: error: {printable(text)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    program()
