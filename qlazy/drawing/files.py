"""Figures as files: PNG, SVG and PDF, equal bytes for equal figures."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from qlazy.base.errors import require
from qlazy.base.storage import atomic_write
from qlazy.drawing.style import Plate, caption_of, style

PUBLISHER = "qlazy"
"""What every file says, which tells figures of qlazy from others in a folder."""
FORMATS = ("png", "svg", "pdf")
"""The kinds of files there are."""
USUAL = ("png", "svg")
"""The kinds that are written unless told."""
VECTOR_DPI = 72.0  # what matplotlib draws SVG and PDF at, whatever is asked for

_FORMATS: ContextVar[tuple[str, ...]] = ContextVar("formats asked for", default=USUAL)


def _print_pdf(figure: Figure) -> Any:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf  # half a second, of fontTools

    return FigureCanvasPdf(figure).print_pdf


_CANVASES: Mapping[str, Callable[[Figure], Any]] = {
    "png": lambda figure: FigureCanvasAgg(figure).print_png,
    "svg": lambda figure: FigureCanvasSVG(figure).print_svg,
    "pdf": _print_pdf,
}
_ABOUT: Mapping[str, Mapping[str, str | None]] = {
    "png": {"Software": None, "Publisher": PUBLISHER},
    "svg": {"Date": None, "Publisher": PUBLISHER},
    "pdf": {"CreationDate": None, "Creator": PUBLISHER},
}
_MARKS = {
    "png": f"Publisher\0{PUBLISHER}".encode(),
    "svg": f"<dc:title>{PUBLISHER}</dc:title>".encode(),
    "pdf": f"/Creator ({PUBLISHER})".encode(),
}


@contextmanager
def written_as(formats: Iterable[str] | None) -> Iterator[None]:
    """The kinds of files that figures are written as in a block, where the call that writes them names none."""
    asked = _FORMATS.set(formats_of(formats))
    try:
        yield
    finally:
        _FORMATS.reset(asked)


def formats_of(formats: Iterable[str] | None) -> tuple[str, ...]:
    """Kinds of files, each once; those asked for by :func:`written_as` where there is None.

    Raises ValueError for a kind that is not in ``FORMATS``, and for none at all.
    """
    if formats is None:
        return _FORMATS.get()
    must = f"be names among {', '.join(FORMATS)}"
    is_list = isinstance(formats, Iterable) and not isinstance(formats, str | bytes)
    require(is_list, "formats", must, repr(formats), TypeError)
    found = tuple(dict.fromkeys(formats))
    wrong = [one for one in found if one not in FORMATS]
    require(found and not wrong, "formats", must, repr(wrong[0]) if wrong else "empty")
    return found


@final
class Drawing:
    """A figure laid out once, and drawn once for each kind of file; equal figures give equal bytes.

    The figure's own layout engine and resolution are put back afterwards.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.width: float = figure.get_figwidth()  # inches
        self._files: dict[str, bytes] = {}

    def file(self, kind: str) -> bytes:
        """The contents of a file of one kind, one of ``FORMATS``."""
        return self.files((kind,))[kind]

    def files(self, formats: Iterable[str]) -> dict[str, bytes]:
        """The contents of the files by their kind."""
        missing = [kind for kind in formats if kind not in self._files]
        if missing:
            self._draw(missing)
        return {kind: self._files[kind] for kind in formats}

    @property
    def caption(self) -> str:
        """What the figure shows, in a sentence, where it is one of qlazy's."""
        return caption_of(self.figure)

    def _draw(self, formats: Iterable[str]) -> None:
        figure = self.figure
        engine, dpi, canvas = figure.get_layout_engine(), figure.dpi, figure.canvas
        with style(figure.asked if isinstance(figure, Plate) else None):
            try:
                if engine is not None:
                    engine.execute(figure)
                    figure.set_layout_engine("none")
                # The canvases' own methods draw once, where savefig draws a second time to lay out.
                for kind in formats:
                    self._files[kind] = self._printed(kind)
            finally:
                figure.set_canvas(canvas)
                figure.dpi = dpi
                figure.set_layout_engine(engine)

    def _printed(self, kind: str) -> bytes:
        buffer = io.BytesIO()
        saved = mpl.rcParams["savefig.dpi"]
        self.figure.dpi = (self.figure.dpi if saved == "figure" else saved) if kind == "png" else VECTOR_DPI
        _CANVASES[kind](self.figure)(buffer, metadata=dict(_ABOUT[kind]))
        return buffer.getvalue()


def drawing(figure: Figure | Drawing) -> Drawing:
    """The figure as one drawing for all files, itself if it is one."""
    return figure if isinstance(figure, Drawing) else Drawing(figure)


def drawings(figures: Mapping[str, Figure]) -> dict[str, Drawing]:
    """Figures by name, each to be drawn once for files and page."""
    return {name: drawing(figure) for name, figure in figures.items()}


def save(
    figure: Figure | Drawing, folder: str | os.PathLike[str], name: str, formats: Iterable[str] | None = None
) -> list[Path]:
    """Write a figure as PNG and SVG, or as the ``formats`` named; equal figures give equal bytes. Returns the paths."""
    paths = []
    for kind, contents in drawing(figure).files(formats_of(formats)).items():
        paths.append(Path(folder, f"{name}.{kind}"))
        with atomic_write(paths[-1]) as file:
            file.write(contents)
    return paths


def save_figures(
    figures: Mapping[str, Figure | Drawing],
    folder: str | os.PathLike[str],
    formats: Iterable[str] | None = None,
) -> list[Path]:
    """Write figures by name into a folder, each as PNG and SVG or as the ``formats`` named; returns the paths."""
    kinds = formats_of(formats)
    return [path for name, figure in figures.items() for path in save(figure, folder, name, kinds)]


def replace_figures(
    figures: Mapping[str, Figure | Drawing],
    folder: str | os.PathLike[str],
    formats: Iterable[str] | None = None,
) -> list[Path]:
    """As :func:`save_figures`, in place of all figures of qlazy in the folder: none of an earlier result stays."""
    kinds = formats_of(formats)
    kept = {f"{name}.{kind}" for name in figures for kind in kinds}
    for kind in FORMATS:
        for path in Path(folder).glob(f"*.{kind}"):
            if path.name not in kept and _is_ours(path, kind):
                path.unlink(missing_ok=True)
    return save_figures(figures, folder, kinds)


def _is_ours(path: Path, kind: str) -> bool:
    with path.open("rb") as file:
        return _MARKS[kind] in (file.read() if kind == "pdf" else file.read(4096))
