"""Options that say what is written where, and what is printed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qlazy.commands.json_documents import add_json
from qlazy.commands.options.kinds import folder, names


def add_output(parser: argparse.ArgumentParser, place: Path | None) -> None:
    """The folder, ``place`` unless told, and how what was found is written and printed; None: one named by the work."""
    told = "qlazy-out/NAME)" if place is None else "%(default)s)"
    parser.add_argument("--out", type=folder, metavar="DIR", default=place, help=f"folder ({told}")
    add_figures(parser)
    add_json(parser)
    add_quiet(parser)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Whether progress is shown."""
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def add_figures(parser: argparse.ArgumentParser) -> None:
    """What figures are written as, and how they look."""
    group = parser.add_argument_group("figures")
    group.add_argument(
        "--formats", type=names, metavar="A,...",
        help="kinds of files for figures, of png, svg, pdf (png,svg); fonts in PDFs are embedded as TrueType",
    )  # fmt: skip
    group.add_argument(
        "--style", metavar="STYLE",
        help="a style of matplotlib on top of qlazy's own look, by its name or as a file",
    )  # fmt: skip


@contextmanager
def figures_asked_for(arguments: argparse.Namespace) -> Iterator[None]:
    """The files and the look of all figures of a command, as its options have it."""
    formats, style = (getattr(arguments, name, None) for name in ("formats", "style"))
    if formats is None and style is None:
        yield
        return
    from qlazy.drawing.files import written_as
    from qlazy.drawing.style import drawn_in

    with written_as(formats), drawn_in(style):
        yield
