"""Write the circuits of the demo, as the package defines them: python docs/demo/export.py."""

import json
from pathlib import Path

import sqsnn

SHOWN = ("integrate_and_fire", "bidirectional", "crx", "hardware_efficient", "universal")
PLACE = Path(__file__).with_name("circuits.js")


def described(circuit: object) -> dict[str, object]:
    """Give the gates of a circuit, and where its angles start."""
    assert isinstance(circuit, sqsnn.quantum.circuits.Circuit)
    return {
        "memory": circuit.memory_qubits,
        "encoding": [[it.qubit, it.gain] for it in circuit.encoding],
        "gates": [[gate.name, list(gate.qubits), gate.parameter] for gate in circuit.gates],
        "start": [round(it.mean, 4) for it in circuit.initial],
    }


def written() -> str:
    """Make the text of circuits.js."""
    found = {}
    for name in SHOWN:
        for memory in (0, 1, 2):
            try:
                circuit = sqsnn.circuits.get(name, 1, memory)
            except ValueError:  # it needs a memory
                continue
            if circuit.parameters <= 15:  # as many as there is room for
                found.setdefault(name, {})[memory] = described(circuit)
    return f'"use strict";\n// Written by export.py.\nconst CIRCUITS = {json.dumps(found)};\n'


if __name__ == "__main__":
    PLACE.write_text(written(), "utf-8")
