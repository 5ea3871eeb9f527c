"""Write the circuits of the demo, as the package defines them: python docs/demo/export.py."""

import json
from pathlib import Path
from typing import Any

from sqsnn import circuits

SHOWN = ("integrate_and_fire", "bidirectional", "crx", "hardware_efficient", "universal")
MOST_ANGLES = 15  # as many as there is room for
PLACE = Path(__file__).with_name("circuits.js")


def described(circuit: circuits.Circuit) -> dict[str, Any]:
    """Give the rotations and gates of a circuit, and where its angles and gains start.

    The last number of each is its place among the gains or the angles; null where it is fixed.
    """
    trained = [each.qubit for each in circuit.encoding if each.trainable]
    places = {qubit: place for place, qubit in enumerate(trained)}
    return {
        "memory": circuit.memory_qubits,
        "encoding": [[it.qubit, it.gain, places.get(it.qubit)] for it in circuit.encoding],
        "gates": [[gate.name, list(gate.qubits), gate.parameter] for gate in circuit.gates],
        "start": [round(it.mean, 4) for it in circuit.initial],
    }


def found() -> dict[str, dict[int, Any]]:
    """Describe every circuit shown, by its name and its number of memory qubits."""
    shown: dict[str, dict[int, Any]] = {}
    for name in SHOWN:
        for memory in (0, 1, 2):
            if name == "integrate_and_fire" and memory == 0:
                continue  # it integrates on its memory
            circuit = circuits.get(name, 1, memory)
            if circuit.parameters <= MOST_ANGLES:
                shown.setdefault(name, {})[memory] = described(circuit)
    return shown


def written() -> str:
    """Make the text of circuits.js."""
    return f'"use strict";\n// Written by export.py.\nconst CIRCUITS = {json.dumps(found())};\n'


if __name__ == "__main__":
    PLACE.write_text(written(), "utf-8")
