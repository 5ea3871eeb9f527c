"""The drawing of a neuron's circuit: one time step, wires from left to right.

Channels come first, then the memory. Gates that share no wire stand in one column; a circuit too
long for one line goes on below it. Everything is placed in inches, so that boxes and type keep
their size whatever the circuit.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyBboxPatch

from sqsnn.neurons.drive import Drive, Leaky, Saturating
from sqsnn.quantum.circuit_text import pack, summary, wire_name
from sqsnn.quantum.circuits import Circuit, Encoded, Gate
from sqsnn.reports.style import BLUE, FAINT, GREEN, INK, MUTED, VERMILION, styled

WIDTH = 8.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 1.28, 0.72, 1.2, 0.25
_LARGEST_COLUMN = 0.86
_COLUMNS_PER_LINE = 10
_DRIVE_HEIGHT = 0.6  # between titles and sections
_WIRE_GAP, _LINE_GAP = 0.62, 0.95
_BOX_WIDTH, _BOX_HEIGHT = 0.47, 0.42

_FILLS = {BLUE: "#DCEBF7", GREEN: "#D8F0E7", VERMILION: "#FBE4D3", MUTED: "#EEF1F4"}
_ABOVE_WIRES, _TEXT = 3, 4


class _Sheet(NamedTuple):
    """Places of columns and qubits, in inches from the upper left corner of the figure."""

    axes: Axes
    circuit: Circuit
    columns: int  # in all
    columns_per_line: int
    column_width: float
    top: float

    @property
    def lines(self) -> int:
        return math.ceil(self.columns / self.columns_per_line)

    def columns_of(self, line: int) -> range:
        return range(self.columns)[
            line * self.columns_per_line : (line + 1) * self.columns_per_line
        ]

    def x(self, column: int) -> float:
        return _LEFT + (column % self.columns_per_line + 0.5) * self.column_width

    def y(self, column: int, qubit: int) -> float:
        line = column // self.columns_per_line
        line_height = (self.circuit.qubits - 1) * _WIRE_GAP + _LINE_GAP
        return self.top + line * line_height + qubit * _WIRE_GAP


@styled
def draw(circuit: Circuit, drive: Drive | None = None) -> Figure:
    """Draw one time step of a neuron: drive, encoding, V(theta), measurement, reset.

    Boxes name the gate and its angle: phi_n is the encoding angle of channel n, g a trainable gain,
    theta_k the parameter with index k, a number an angle that is fixed. A dot is a control. The
    drive stands in front of the encoding; the paper's rectification goes without saying.
    """
    formula = _formula(drive)
    top = _TOP + (_DRIVE_HEIGHT if formula else 0.0)
    placed, depth = pack(circuit.gates)
    columns = 1 + depth + 2  # encoding, gates, measurement, reset
    columns_per_line = math.ceil(columns / math.ceil(columns / _COLUMNS_PER_LINE))
    column_width = min((WIDTH - _LEFT - _RIGHT) / columns_per_line, _LARGEST_COLUMN)
    width = _LEFT + columns_per_line * column_width + _RIGHT
    width = max(width, WIDTH) if formula else width
    lines = math.ceil(columns / columns_per_line)
    height = top + lines * circuit.qubits * _WIRE_GAP + (lines - 1) * (_LINE_GAP - _WIRE_GAP)
    figure = Figure(figsize=(width, height - _WIRE_GAP + _BOX_HEIGHT / 2 + _BOTTOM))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, figure.get_figwidth()))
    axes.set_ylim(figure.get_figheight(), 0)
    axes.set_axis_off()
    sheet = _Sheet(axes, circuit, columns, columns_per_line, column_width, top)

    _draw_titles(sheet)
    if formula:
        _draw_drive(sheet, formula)
    for line in range(sheet.lines):
        _draw_wires(sheet, line)
        _draw_sections(sheet, line)
    for index, rotation in enumerate(circuit.encoding):
        if rotation.is_gate:
            _draw_encoding(sheet, rotation, f"encoding {index}")
    for index, (gate, column) in enumerate(zip(circuit.gates, placed, strict=True)):
        _draw_gate(sheet, gate, 1 + column, f"gate {index}")
    for channel in range(circuit.channels):
        _draw_measurement(sheet, channel)
    return figure


def _draw_titles(sheet: _Sheet) -> None:
    circuit = sheet.circuit
    sheet.axes.text(0.15, 0.24, f"Neuron circuit “{circuit.name}”", fontsize=11.5, va="center")
    sheet.axes.text(
        0.15, 0.49, f"{summary(circuit)}; one time step", fontsize=9, color=MUTED, va="center"
    )


def _formula(drive: Drive | None) -> str:
    """Write what a drive makes of the current z of a step; empty for the paper's rectification."""
    clipped = r"$\varphi = \pi\,\mathrm{clip}(%s, 0, 1)$"
    if isinstance(drive, Saturating):
        return f"saturating drive:   {clipped % 'z'}"
    if not isinstance(drive, Leaky):
        return ""
    start, floor = "leaky drive:   ", f"{drive.floor:g}"
    if drive.reset_steps is None:
        charge = rf"$u \leftarrow \max(\beta u + z + c - \vartheta s,\ {floor})$"
        return f"{start}{charge},   {clipped % 'u'}"
    spikes = rf" - \Sigma_{{k \leq {drive.reset_steps}}}\,\vartheta_k s_{{t-k}}"
    potential = f"$u = v{spikes if drive.reset_steps else ''}$"
    charge = rf"$v \leftarrow \max(\beta v + z + c,\ {floor})$"
    return f"{start}{charge},   {potential},   {clipped % 'u'}"


def _draw_drive(sheet: _Sheet, formula: str) -> None:
    """Write the drive above the encoding, whose angle it decides."""
    left, y, end = sheet.x(0) - _BOX_WIDTH / 2, _TOP - 0.27, sheet.y(0, 0) - _BOX_HEIGHT / 2 - 0.32
    text = sheet.axes.text(left + 0.08, y, formula)
    text.set(fontsize=8.5, va="center_baseline", zorder=_TEXT, gid="drive")
    text.set_bbox(
        {"boxstyle": "round,pad=0.5", "facecolor": _FILLS[VERMILION], "edgecolor": VERMILION}
    )
    arrow = {"arrowstyle": "-|>", "color": VERMILION}
    sheet.axes.annotate("", (sheet.x(0), end), (sheet.x(0), y + 0.14), arrowprops=arrow)


def _draw_wires(sheet: _Sheet, line: int) -> None:
    circuit, columns = sheet.circuit, sheet.columns_of(line)
    end = sheet.x(columns[-1]) + 0.5 * sheet.column_width
    heights = [sheet.y(columns[0], qubit) for qubit in range(circuit.qubits)]
    for qubit, y in enumerate(heights):
        is_channel = qubit < circuit.channels
        name = wire_name(circuit, qubit)
        sheet.axes.text(_LEFT - 0.47, y, name, ha="right", va="center", fontsize=9.5)
        color = MUTED if is_channel else INK
        sheet.axes.plot([_LEFT - 0.04, end], [y, y], color=color, linewidth=1.1)
        if line < sheet.lines - 1:
            sheet.axes.text(end + 0.06, y, "…", color=color, va="center", fontsize=10)
        elif not is_channel:
            sheet.axes.plot([end, end + 0.1], [y, y], color=color, linewidth=1.1)
            sheet.axes.plot(end + 0.12, y, marker=">", markersize=5, color=color)
            sheet.axes.text(end + 0.23, y, "next\nstep", color=MUTED, fontsize=8, va="center")
    if line == 0:
        channels, memory = heights[: circuit.channels], heights[circuit.channels :]
        for y in channels:
            _draw_state(sheet, r"$|0\rangle$", y)
        if memory:  # one state for all its qubits, which may be entangled
            _draw_state(sheet, r"$|m\rangle$", (memory[0] + memory[-1]) / 2)
            ends = [memory[0], memory[-1]]
            sheet.axes.plot([_LEFT - 0.04] * 2, ends, color=INK, linewidth=1.1)


def _draw_state(sheet: _Sheet, state: str, y: float) -> None:
    sheet.axes.text(_LEFT - 0.1, y, state, ha="right", va="center", fontsize=9.5)


def _draw_sections(sheet: _Sheet, line: int) -> None:
    """Name the parts of the step above the wires."""
    sections = {
        "encode": range(1),
        r"$V(\theta)$": range(1, sheet.columns - 2),
        "measure": range(sheet.columns - 2, sheet.columns - 1),
        "reset": range(sheet.columns - 1, sheet.columns),
    }
    for name, section in sections.items():
        here = [column for column in section if column in sheet.columns_of(line)]
        if not here:
            continue
        y = sheet.y(here[0], 0) - _BOX_HEIGHT / 2 - 0.09
        left, right = (
            sheet.x(column) + side * (0.5 * sheet.column_width - 0.05)
            for column, side in ((here[0], -1), (here[-1], 1))
        )
        sheet.axes.plot([left, right], [y, y], color=FAINT, linewidth=1.4)
        middle = (left + right) / 2
        sheet.axes.text(middle, y - 0.04, name, color=MUTED, fontsize=8.5, ha="center", va="bottom")


def _draw_encoding(sheet: _Sheet, rotation: Encoded, gid: str) -> None:
    circuit = sheet.circuit
    angle = r"\varphi" if circuit.channels == 1 else rf"\varphi_{{{rotation.channel}}}"
    if rotation.trainable:
        trainable = [other for other in circuit.encoding if other.trainable]
        angle = rf"g_{{{trainable.index(rotation)}}}\,{angle}"
    elif rotation.gain != 1:
        angle = rf"{rotation.gain:.2g}\,{angle}"
    _draw_box(sheet, 0, rotation.qubit, ("RX", f"${angle}$"), VERMILION, gid)


def _draw_gate(sheet: _Sheet, gate: Gate, column: int, gid: str) -> None:
    angle = [] if gate.parameter is None else [rf"$\theta_{{{gate.parameter}}}$"]
    angle = angle if gate.angle is None else [f"${gate.angle:.3g}$"]
    if len(gate.qubits) == 1:
        _draw_box(sheet, column, gate.qubits[0], (gate.name, *angle), BLUE, gid)
        return
    x, ends = sheet.x(column), [sheet.y(column, qubit) for qubit in gate.qubits]
    sheet.axes.plot([x, x], ends, color=GREEN, linewidth=1.6, gid=gid)
    if not gate.name.startswith("C"):  # both qubits alike
        for qubit in gate.qubits:
            _draw_box(sheet, column, qubit, (gate.name, *angle), GREEN, gid)
        return
    _add(sheet, Circle((x, ends[0]), 0.065, color=GREEN), gid)
    if gate.name == "CZ":
        _add(sheet, Circle((x, ends[1]), 0.065, color=GREEN), gid)
    elif gate.name == "CX":
        _add(sheet, Circle((x, ends[1]), 0.13, facecolor="white", edgecolor=GREEN, lw=1.6), gid)
        plus = {"marker": "+", "markersize": 18.5, "markeredgewidth": 1.6}
        sheet.axes.plot(x, ends[1], color=GREEN, zorder=_TEXT, gid=gid, **plus)
    else:
        label = gate.name.removeprefix("C")
        _draw_box(sheet, column, gate.qubits[1], (label, *angle), GREEN, gid)


def _draw_measurement(sheet: _Sheet, channel: int) -> None:
    measured, reset = sheet.columns - 2, sheet.columns - 1
    x, y = _draw_box(sheet, measured, channel, (), MUTED, f"measurement {channel}")
    dial = Arc((x, y + 0.08), 0.3, 0.3, theta1=180, theta2=360, color=INK, linewidth=1.1)
    _add(sheet, dial, f"measurement {channel}")
    sheet.axes.plot([x, x + 0.12], [y + 0.08, y - 0.12], color=INK, linewidth=1.1, zorder=_TEXT)
    outcome = "$s$" if sheet.circuit.channels == 1 else f"$s_{{{channel}}}$"
    _draw_box(sheet, reset, channel, (r"$|0\rangle$",), MUTED, f"reset {channel}")
    beside = x + sheet.column_width / 2
    sheet.axes.text(beside, y - 0.05, outcome, fontsize=8.5, ha="center", va="bottom")


def _draw_box(
    sheet: _Sheet, column: int, qubit: int, rows: Sequence[str], color: str, gid: str
) -> tuple[float, float]:
    x, y = sheet.x(column), sheet.y(column, qubit)
    box = FancyBboxPatch(
        (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2),
        _BOX_WIDTH,
        _BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=_FILLS[color],
        edgecolor=color,
        linewidth=1.1,
    )
    _add(sheet, box, gid)
    heights = (y,) if len(rows) == 1 else (y - 0.085, y + 0.095)
    for height, row in zip(heights, rows, strict=False):
        text = sheet.axes.text(x, height, row, fontsize=8.5, zorder=_TEXT, gid=gid)
        text.set(ha="center", va="center_baseline")
    return x, y


def _add(sheet: _Sheet, artist: Artist, gid: str) -> None:
    artist.set(gid=gid, zorder=_ABOVE_WIRES)
    sheet.axes.add_artist(artist)
