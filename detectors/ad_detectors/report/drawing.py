"""Plots without a display or global state, whose files are the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ad_detectors.report.overlay import save_png

# Told apart with any colour blindness (Okabe and Ito, Color Universal Design, 2008).
NORMAL, ANOMALOUS, CALIBRATION = "#0072b2", "#d55e00", "#009e73"
DOTS = 120  # per inch


def plotted(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    """Return a plot of two shares, each from 0 to 1."""
    figure, axes = blank(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.grid(visible=True, color="0.93")
    axes.set_axisbelow(True)
    return figure, axes


def blank(title: str) -> tuple[Figure, Axes]:
    """Return an empty plot."""
    figure = Figure(figsize=(7.2, 5.0))
    figure.subplots_adjust(left=0.09, right=0.985, bottom=0.15, top=0.93)
    axes = figure.add_subplot()
    axes.set_title(title.replace("$", r"\$"), fontsize=11, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def plate(title: str, words: str) -> Figure:
    """Return a plot that says why there is nothing in it."""
    figure, axes = blank(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=13, color="0.4", transform=axes.transAxes)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a plot as PNG; raise DataError naming the file, or NoRoom."""
    figure.set_dpi(DOTS)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    save_png(path, Image.fromarray(pixels[..., :3].copy()))
