"""One drawing of a figure for its files and its page: the bytes of matplotlib's own way, with fewer draws."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread as plt_image

from qlazy.drawing.files import Drawing, save
from qlazy.drawing.page import inline_svg
from qlazy.drawing.style import grid, log_axis, power_of_ten, style


def curves() -> Figure:
    with style():
        figure, panels = grid(1, 2)
        for axes in panels.flat:
            axes.plot([1.0, 10.0, 100.0], [3.0, 1.0, 0.2], label="a line")
            axes.set_yscale("log")
            axes.set_ylabel(r"$\|w - w_0\|$")
            axes.legend()
    return figure


def test_files_are_those_that_matplotlib_saves(tmp_path):
    save(curves(), tmp_path, "figure")
    figure = curves()
    with style():
        figure.draw_without_rendering()  # lays it out
        figure.set_layout_engine("none")
        for kind, without in (("png", "Software"), ("svg", "Date")):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata={without: None, "Publisher": "qlazy"})
            assert (tmp_path / f"figure.{kind}").read_bytes() == buffer.getvalue()


def test_a_notebook_shows_a_figure_without_being_told_to():
    """Without `%matplotlib inline` IPython knows nothing of figures, and shows what they have themselves."""
    figure = curves()
    canvas, dpi = figure.canvas, figure.dpi
    picture = figure._repr_png_()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (figure.canvas, figure.dpi) == (canvas, dpi)
    formatters = pytest.importorskip("IPython.core.formatters")
    shown, _ = formatters.DisplayFormatter().format(figure)
    assert shown["image/png"] == picture
    with style({"figure.facecolor": "red"}):
        red, _ = grid(1, 1)
    pixels = plt_image(io.BytesIO(red._repr_png_()))
    assert tuple(pixels[0, 0, :3]) == (1, 0, 0)


def test_files_and_page_share_two_draws_and_one_layout(tmp_path, monkeypatch):
    figure, draws, layouts = curves(), [], []
    draw, engine = Figure.draw, figure.get_layout_engine()
    execute = engine.execute
    monkeypatch.setattr(
        Figure, "draw", lambda self, renderer: (draws.append(renderer), draw(self, renderer))[1]
    )
    monkeypatch.setattr(engine, "execute", lambda drawn: (layouts.append(drawn), execute(drawn))[1])
    drawing = Drawing(figure)
    save(drawing, tmp_path, "figure")
    svg = inline_svg(drawing, "p-", "label")
    assert (len(draws), len(layouts)) == (2, 1)
    assert "a line" in svg
    assert "<metadata>" not in svg


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def test_decades_are_plain_text():
    figure = curves()
    axes = figure.axes[0]
    with style():
        log_axis(axes, "y", np.array([2e-13, 3.0]))
        figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    decades = {f"10{str(power).translate(SUPERSCRIPTS)}" for power in range(-20, 8)}
    assert len(decades.intersection(labels)) >= 4  # which of them, versions of matplotlib choose
    assert {label for label in labels if label} <= decades
    assert [power_of_ten(v) for v in (1.0, 1e-3, 1e12, 20.0, 0.0)] == ["10⁰", "10⁻³", "10¹²", "20", "0"]


def test_a_figure_is_left_as_it_was(tmp_path):
    figure = curves()
    before = figure.get_layout_engine(), figure.dpi, figure.canvas
    save(figure, tmp_path, "figure")
    assert (figure.get_layout_engine(), figure.dpi, figure.canvas) == before


@pytest.mark.parametrize(("low", "high"), [(0.012, 0.06), (1.3, 4.0), (0.09, 0.2), (1e-3, 1e2), (0.5, 300.0)])
def test_a_logarithmic_axis_has_two_labels_or_more(low: float, high: float) -> None:
    """Under two powers of ten one would stand alone, and no other number could be read."""
    with style():
        figure, panels = grid(1, 1)
        axes = panels[0, 0]
        axes.plot([1, 2], [low, high])
        log_axis(axes, "y", np.array([low, high]))
        figure.draw_without_rendering()
        bottom, top = axes.get_ylim()
        ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
        shown = [tick for tick in ticks if tick.label1.get_text() and bottom <= tick.get_loc() <= top]
    assert len(shown) >= 2
