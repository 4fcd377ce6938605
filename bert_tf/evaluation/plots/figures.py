"""Writes a figure as PNG, or as SVG that follows its page's colours."""

import contextlib
import html
import io
import re
from collections.abc import Iterator

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bert_tf import run_dir

# Okabe and Ito's palette, told apart with any kind of colour blindness.
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00",
    "#7A7A7A", "#B8A800",
)  # fmt: skip
# Lines and letters; in a page they take the page's colour.
INK = "#20242a"
_DPI = 144
_POINTS_AN_INCH = 72
# Inches from the axes to their legend, and of each of its rows.
_LEGEND_DROP = 0.58
_LEGEND_ROW = 0.2
_MOST_LEGENDS_IN_A_ROW = 3
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titlecolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "grid.alpha": 0.35,
    "grid.color": "#8a9099",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "savefig.facecolor": "auto",
    "svg.hashsalt": "bert_tf",
    "text.color": INK,
    # Class names may hold two dollars.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
_SVG_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The look of every figure, while it is drawn and while it is saved."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(
    width: float, height: float, *, left=0.75, right=0.2, bottom=0.6, top=0.4
) -> Figure:
    """Returns an empty figure with margins in inches.

    Margins that are known take half the time of those that matplotlib finds.
    """
    # Nothing behind it, so that a page shows through.
    figure = Figure(figsize=(width, height), facecolor="none")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
    )
    return figure


def figure_with_legend(
    width: float, height: float, entries: int, *, panels: int = 1
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with room for a legend below the axes.

    There, unlike inside, it hides no line, wherever the lines are.
    """
    rows = -(-entries // _legend_columns(entries))
    room = _LEGEND_DROP + 0.1 + _LEGEND_ROW * rows
    figure = new_figure(width, height + room - 0.6, bottom=room)
    with style():
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def draw_legend(axes: Axes, entries: int) -> None:
    """Draws the legend where `figure_with_legend` left room."""
    height = axes.figure.get_figheight() * axes.get_position().height
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -_LEGEND_DROP / height),
        borderaxespad=0.0,
        ncols=_legend_columns(entries),
    )


def _legend_columns(entries: int) -> int:
    return 1 if entries > _MOST_LEGENDS_IN_A_ROW else max(1, entries)


def write_png(figure: Figure, path: str) -> None:
    """Writes the figure on white."""
    with run_dir.written_aside(path) as aside, style():
        figure.savefig(
            aside,
            dpi=_DPI,
            format="png",
            facecolor="white",
            # Half the time of the default for a tenth more bytes.
            pil_kwargs={"compress_level": 3},
        )


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Returns the figure as an <svg> element for a page.

    Its letters are shapes, so that it looks the same with any fonts; its ids
    begin with `name`, so that several figures fit into one page.
    """
    file = io.StringIO()
    with style():
        figure.savefig(file, format="svg", metadata=_SVG_METADATA)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = text[text.index(">") + 1 :]
    for element in ("metadata", "style"):
        text = re.sub(
            rf"<{element}\b.*?</{element}>", "", text, flags=re.DOTALL
        )
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    width, height = figure.get_size_inches() * _POINTS_AN_INCH
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width * 4 / 3:.0f}" '
        f'role="img" aria-label="{html.escape(description)}">'
        + text.replace(INK, "currentColor")
    )
