"""The Bloch sphere: a memory qubit after each step, seen from above the front."""

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from sqsnn.reports.style import BLUE, FAINT, INK, MUTED, VERMILION, styled

# From above the front: x points to the left and nearer, y to the right, z up.
_TURN, _TILT = np.radians(30), np.radians(20)
_RIGHT = np.array([-np.sin(_TURN), np.cos(_TURN), 0])
_UP = np.array([-np.sin(_TILT) * np.cos(_TURN), -np.sin(_TILT) * np.sin(_TURN), np.cos(_TILT)])
_AXES = {"|0⟩": (0, 0, 1.2), "|1⟩": (0, 0, -1.2), "x": (1.35, 0, 0), "y": (0, 1.2, 0)}


@styled
def bloch(vectors: Float[np.ndarray, "states 3"], spikes: Bool[np.ndarray, " steps"]) -> Figure:
    """Draw where a qubit lay before the first step and after each, darker as time goes on.

    Args:
        vectors: x, y and z of each state; there is one more state than steps.
        spikes: In which steps the neuron fired.
    """
    figure = Figure(figsize=(3.4, 3.6), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    _draw_sphere(axes)
    seen = vectors @ np.stack([_RIGHT, _UP], axis=1)  # (states, 2)
    pieces = np.stack([seen[:-1], seen[1:]], axis=1)
    shade = np.linspace(0.25, 0.9, len(pieces))
    for fired, color, label in ((False, BLUE, "no spike"), (True, VERMILION, "spike")):
        marker = "D" if fired else "o"
        axes.scatter([], [], color=color, s=14, marker=marker, label=label)
        chosen = spikes == fired
        if chosen.any():
            colors = to_rgba_array([color] * int(chosen.sum()), list(shade[chosen]))
            axes.add_collection(LineCollection(list(pieces[chosen]), colors=list(colors)))
            axes.scatter(*seen[1:][chosen].T, color=list(colors), s=14, marker=marker)
    axes.scatter(*seen[:1].T, facecolor="white", edgecolor=INK, s=22, label="start", zorder=3)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    axes.set_axis_off()
    figure.legend(loc="outside lower center", ncols=3, borderaxespad=0.2, handletextpad=0.2)
    return figure


def _draw_sphere(axes: Axes) -> None:
    around = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(around), np.sin(around), color=MUTED, linewidth=0.8)
    equator = np.stack([np.cos(around), np.sin(around), 0 * around], axis=1)
    axes.plot(equator @ _RIGHT, equator @ _UP, color=FAINT, linewidth=0.8)
    for name, place in _AXES.items():
        radius = np.outer([0, 1], place) / np.linalg.norm(place)
        axes.plot(radius @ _RIGHT, radius @ _UP, color=FAINT, linewidth=0.8)
        axes.text(np.dot(place, _RIGHT), np.dot(place, _UP), name, ha="center", va="center")
