"""Circuits as text: all gates in one line, one gate per line, and a picture of the wires."""

import re
from collections.abc import Sequence
from itertools import groupby

from sqsnn.options import counted
from sqsnn.quantum.circuit import Circuit, Encoded, Gate, Normal
from sqsnn.quantum.placements import START, complete_encoding

_PLACED = re.compile(r"(?P<name>\w+)(?:\((?P<angle>[^()]+)\))? (?P<qubits>\d+(?: \d+)*)")
_TURNED = re.compile(r"(?:(?P<gain>\S+) )?phi_(?P<channel>\d+)")
_WIDTH = 96  # of a picture, in characters
_CONTROL, _TARGET, _LINK, _CROSSED, _WIRE = "●⊕│┼─"


class Picture(str):
    """Text that a notebook shows as it prints."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def gate_list(circuit: Circuit) -> str:
    """Write all gates of a step in one line, as "RX(phi_0) 0; CRX(theta_0) 0 1; H 0"."""
    placed = [(f"RX({_turn(each)})", (each.qubit,)) for each in circuit.encoding if each.is_gate]
    placed += [(f"{gate.name}{_bracketed(_angle(gate))}", gate.qubits) for gate in circuit.gates]
    return "; ".join(f"{label} {' '.join(map(str, qubits))}" for label, qubits in placed)


def read_gate_list(text: str, channels: int, memory_qubits: int, name: str = "custom") -> Circuit:
    """Read a circuit from what `gate_list` wrote; where its angles start is not in the text.

    Raises:
        ValueError: If the text is no list of gates, or a gate does not fit the qubits.

    Example:
        >>> read_gate_list("RX(phi_0) 0; CRX(theta_0) 1 0; H 1", 1, 1).gate_counts()
        {'CRX': 1, 'H': 1, 'RX': 1}
    """
    encoding: list[Encoded] = []
    placed: list[Gate] = []
    for part in text.split("; "):
        found = _PLACED.fullmatch(part)
        if found is None:
            raise ValueError(
                f"circuit text holds {part!r}, which is no gate such as 'RX(theta_0) 1'"
            )
        qubits = tuple(map(int, found["qubits"].split()))
        angle = found["angle"]
        turned = _TURNED.fullmatch(angle or "")
        if turned is not None:
            is_trained = turned["gain"] == "gain"
            gain = 1.0 if is_trained else float(turned["gain"] or 1)
            encoding.append(Encoded(qubits[0], int(turned["channel"]), gain, is_trained))
        elif angle is None:
            placed.append(Gate(found["name"], qubits))
        elif angle.startswith("theta_"):
            placed.append(Gate(found["name"], qubits, int(angle.removeprefix("theta_"))))
        else:
            placed.append(Gate(found["name"], qubits, None, float(angle)))
    parameters = {gate.parameter for gate in placed if gate.parameter is not None}
    if parameters != set(range(len(parameters))):
        raise ValueError(
            f"circuit text has the angles theta_{sorted(parameters)}; none may be left out"
        )
    rotated = complete_encoding(encoding, channels, memory_qubits)
    initial = (START,) * len(parameters)
    return Circuit(channels, memory_qubits, rotated, tuple(placed), initial, name)


def table(circuit: Circuit) -> str:
    """Write one gate per line, with its qubits and the initial value of its angle."""
    rows = [
        (f"RX({_turn(each)})", wire_name(circuit, each.qubit), "turned by the current")
        for each in circuit.encoding
        if each.is_gate
    ]
    for gate in circuit.gates:
        joint = " -> " if gate.name.startswith("C") else ", "
        wires = joint.join(wire_name(circuit, qubit) for qubit in gate.qubits)
        start = "" if gate.parameter is None else _start(circuit.initial[gate.parameter])
        rows.append((f"{gate.name}{_bracketed(_angle(gate))}", wires, start))
    first, second = (max((len(row[n]) for row in rows), default=0) for n in (0, 1))
    lines = [
        f"  {label:{first}}  {wires:{second}}  {start}".rstrip() for label, wires, start in rows
    ]
    return "\n".join([f"circuit {circuit.name!r}: {summary(circuit)}; one time step", *lines])


def picture(circuit: Circuit) -> Picture:
    """Draw one time step with wires from left to right; long circuits go on below."""
    columns = _columns(circuit)
    names = [wire_name(circuit, qubit) for qubit in range(circuit.qubits)]
    left = max(map(len, names)) + 1
    sizes = [max([len(cell) for cell in cells if cell] or [1]) + 2 for cells, _ in columns]
    used, lines = left, [0]  # the line of the picture that each column stands in
    for size in sizes:
        is_full = used + size > _WIDTH
        used = (left if is_full else used) + size
        lines.append(lines[-1] + is_full)
    blocks = []
    for _, group in groupby(range(len(columns)), key=lines[1:].__getitem__):
        rows = [f"{name:{left}}" for name in names]
        gaps = [" " * left] * circuit.qubits
        for column in group:
            cells, links = columns[column]
            for qubit, cell in enumerate(cells):
                rows[qubit] += cell.center(sizes[column], _WIRE)
                gaps[qubit] += (_LINK if qubit in links else " ").center(sizes[column])
        between = [line.rstrip() for pair in zip(rows, gaps, strict=True) for line in pair]
        blocks.append("\n".join(between[:-1]))
    return Picture("\n\n".join(blocks))


def pack(gates: Sequence[Gate]) -> tuple[list[int], int]:
    """Give every gate the first column that is free on all wires that it touches or crosses."""
    free: dict[int, int] = {}
    placed = []
    for gate in gates:
        wires = range(min(gate.qubits), max(gate.qubits) + 1)
        column = max(free.get(wire, 0) for wire in wires)
        free.update(dict.fromkeys(wires, column + 1))
        placed.append(column)
    return placed, max(free.values(), default=0)


def wire_name(circuit: Circuit, qubit: int) -> str:
    """Name a qubit by what it is for, as "channel 0" or "memory"."""
    if qubit < circuit.channels:
        return "channel" if circuit.channels == 1 else f"channel {qubit}"
    return "memory" if circuit.memory_qubits == 1 else f"memory {qubit - circuit.channels}"


def summary(circuit: Circuit) -> str:
    """Count channels, memory qubits and learned parameters in words."""
    counts = [
        counted(circuit.channels, "channel"),
        counted(circuit.memory_qubits, "memory qubit"),
        counted(circuit.parameters, "angle"),
    ]
    if circuit.trainable_gains:
        counts.append(counted(circuit.trainable_gains, "gain"))
    return ", ".join(counts)


def _columns(circuit: Circuit) -> list[tuple[list[str], set[int]]]:
    """What stands on each wire, column by column, and the wires that are linked to the next."""
    placed, depth = pack(circuit.gates)
    columns = [([_WIRE] * circuit.qubits, set[int]()) for _ in range(depth + 3)]
    for each in circuit.encoding:
        if each.is_gate:
            columns[0][0][each.qubit] = f"RX({_greek(_turn(each))})"
    for gate, column in zip(circuit.gates, placed, strict=True):
        cells, links = columns[1 + column]
        first, last = min(gate.qubits), max(gate.qubits)
        links.update(range(first, last))
        cells[first : last + 1] = [_CROSSED] * (last + 1 - first)
        label = f"{gate.name}{_bracketed(_greek(_angle(gate, digits=3)))}"
        if gate.name.startswith("C"):
            control, target = gate.qubits
            cells[control] = _CONTROL
            label = {"CX": _TARGET, "CZ": _CONTROL}.get(gate.name, label[1:])
            cells[target] = label
        else:
            for qubit in gate.qubits:
                cells[qubit] = label
    for channel in range(circuit.channels):
        columns[-2][0][channel], columns[-1][0][channel] = "measure", "|0>"
    return columns


def _turn(each: Encoded) -> str:
    gain = "gain " if each.trainable else "" if each.gain == 1 else f"{each.gain!r} "
    return f"{gain}phi_{each.channel}"


def _angle(gate: Gate, digits: int | None = None) -> str:
    if gate.angle is not None:
        return repr(gate.angle) if digits is None else f"{gate.angle:.{digits}g}"
    return "" if gate.parameter is None else f"theta_{gate.parameter}"


def _greek(angle: str) -> str:
    return angle.replace("theta_", "θ").replace("phi_", "φ")


def _bracketed(angle: str) -> str:
    return f"({angle})" if angle else ""


def _start(normal: Normal) -> str:
    mean = f"{'±' if normal.random_sign else ''}{normal.mean:.3g}"
    spread = f" + {normal.deviation:.3g} N(0, 1)" if normal.deviation else ""
    return f"starts at {mean}{spread}"
