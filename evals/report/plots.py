"""Figures as SVG, to stand inside the page."""

import io
from typing import Any

import numpy as np

from evals import metrics
from evals.results import Bars, Curve, Figure, Matrix, Spread

COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
INK, PALE = "#334155", "#e2e8f0"
MOST_LABELS = 24


def draw(figure: Figure) -> str:
    """The figure as an SVG element."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    style: Any = {
        "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.edgecolor": PALE,
        "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK, "svg.hashsalt": "evals",
    }  # fmt: skip
    with mpl.rc_context(style):
        canvas = Canvas(figsize=_size(figure), layout="constrained")
        axes = canvas.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        match figure:
            case Bars():
                _bars(axes, figure)
            case Curve():
                _curve(axes, figure)
            case Matrix():
                _matrix(axes, figure)
            case Spread():
                _spread(axes, figure)
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _size(figure: Figure) -> tuple[float, float]:
    match figure:
        case Matrix():
            return 7.5, 6.5
        case Bars():
            return 7.5, 0.8 + 0.19 * sum(len(shares) + 1 for shares in figure.values.values())
    return 6.0, 3.6


def _bars(axes: Any, figure: Bars) -> None:
    """Sets below one another; what a set has no share of is left out."""
    names = list(dict.fromkeys(name for shares in figure.values.values() for name in shares))
    colour = dict(zip(names, COLOURS * 3, strict=False))
    place, ticks = 0.0, []
    for shares in figure.values.values():
        ticks.append(place + (len(shares) - 1) / 2)
        for name, share in shares.items():
            axes.barh(place, share, color=colour[name], height=0.8)
            axes.text(share, place, f" {share:.3f}", va="center", fontsize=7)
            place += 1
        place += 1
    axes.set_yticks(ticks, list(figure.values), fontsize=8)
    axes.invert_yaxis()
    least = min((share for shares in figure.values.values() for share in shares.values()), default=0.0)
    axes.set_xlim(max(0.0, least - 0.1), 1.05)
    axes.set_xlabel(figure.x)
    handles = [axes.barh(0, 0, color=colour[name], label=name) for name in names]
    axes.legend(handles=handles, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _curve(axes: Any, figure: Curve) -> None:
    if figure.diagonal:
        axes.plot([0, 1], [0, 1], color=PALE, linestyle="--", linewidth=1.5)
    for (name, points), colour in zip(figure.lines.items(), COLOURS * 3, strict=False):
        x, y = zip(*points, strict=True) if points else ((), ())
        axes.plot(x, y, color=colour, linewidth=2, label=name, marker="o" if len(x) <= 12 else None, markersize=4)
    if max((point[0] for points in figure.lines.values() for point in points), default=0) > 20:
        axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02 if figure.diagonal or _reaches_high(figure) else None)
    axes.grid(color=PALE, linewidth=0.7)
    axes.set_xlabel(figure.x)
    axes.set_ylabel(figure.y)
    if len(figure.lines) > 1:
        axes.legend(frameon=False, fontsize=8)


def _reaches_high(figure: Curve) -> bool:
    return max((point[1] for points in figure.lines.values() for point in points), default=1.0) > 0.6


def _matrix(axes: Any, figure: Matrix) -> None:
    cells = np.array(figure.cells, dtype=float)
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names = list(figure.labels)
    places = range(len(names))
    if len(names) <= MOST_LABELS:
        axes.set_xticks(places, names, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(places, names, fontsize=8)
        for row, column in np.argwhere(cells > 0):
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                int(cells[row, column]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else INK,
            )
    axes.set_xlabel("told")
    axes.set_ylabel("is")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _spread(axes: Any, figure: Spread) -> None:
    values = {name: np.asarray(found, dtype=float) for name, found in figure.values.items() if len(found)}
    if not values:
        return
    top = max(float(np.percentile(found, 99.5)) for found in values.values()) or 1.0
    low = min(0.0, *(float(found.min()) for found in values.values()))
    for (name, found), colour in zip(values.items(), COLOURS, strict=False):
        shares = np.full(len(found), 1 / len(found))
        axes.hist(
            np.clip(found, low, top), bins=40, range=(low, top), weights=shares, color=colour, alpha=0.6, label=name
        )
        if len(values) == 1:
            p95 = metrics.percentile(found.tolist(), 95)
            axes.axvline(p95, color=INK, linewidth=1, linestyle="--")
            axes.annotate(
                f"p95 {p95:.1f}",
                (p95, axes.get_ylim()[1] * 0.92),
                fontsize=9,
                xytext=(4, 0),
                textcoords="offset points",
            )
    axes.set_xlabel(figure.x)
    axes.set_ylabel("share of cases")
    if len(values) > 1:
        axes.legend(frameon=False, fontsize=8)
