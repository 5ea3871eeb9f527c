"""One look for all pictures: colours, type and lines, without a lasting change of settings.

The colours are those of Okabe and Ito, which stay apart for colour-blind readers.
"""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
from matplotlib.figure import Figure

from sqsnn.storage import write_atomically

INK = "#24292f"
MUTED = "#6e7781"
FAINT = "#d0d7de"
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"

DOTS_PER_INCH = 200  # a picture of 8 inches has 1600 dots: sharp at a README's 800

_SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": False,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.unicode_minus": True,
    "figure.constrained_layout.h_pad": 0.08,  # inches
    "figure.constrained_layout.w_pad": 0.08,
    "figure.dpi": DOTS_PER_INCH,
    "figure.facecolor": "white",
    "figure.titlesize": 12,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 9,
    "ytick.color": FAINT,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 9,
}

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Run a drawing function under the package's style, and put the user's settings back.

    The figure is laid out here, once: matplotlib would do it again at every draw.
    """

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(_SETTINGS):
            figure = draw(*args, **kwargs)
            # This makes the ticks too, which take the settings of that moment.
            if (layout := figure.get_layout_engine()) is not None:
                layout.execute(figure)
                figure.set_layout_engine(None)
        return figure

    return drawn


def save(figure: Figure, path: Path) -> None:
    """Write a picture under the package's style, whatever the user's settings."""
    write_atomically(path, lambda part: part.write_bytes(png(figure)))


def png(figure: Figure) -> bytes:
    """Make the bytes of a PNG file under the package's style."""
    written = BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(written, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return written.getvalue()
