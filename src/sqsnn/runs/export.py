"""One trained neuron as an OpenQASM 3 program that any quantum stack reads, and as a drawing."""

from pathlib import Path

from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import require_circuits
from sqsnn.neurons.population import Population
from sqsnn.runs import loading
from sqsnn.runs.folder import RunFolder
from sqsnn.storage import write_atomically
from sqsnn.training.build import require_circuit


def export_neuron(
    folder: RunFolder, layer: int, neuron: int, steps: int | None, data_dir: Path | None
) -> tuple[Path, Path]:
    """Write a neuron, counted from 0 as its layer is, as a program and as a drawing.

    The angles are those of training; its encoding angles stay free, `input` variables: phi_t_e of
    rotation e at step t is the gain times the angle that the drive makes of the currents, e.g.
    pi clip(u, 0, 1).
    """
    from sqsnn import hardware

    loaded = loading.load(folder, data_dir)
    require_circuit(loaded.settings)
    layers: list[Population] = list(loaded.network.populations)  # type: ignore[arg-type]
    if not 0 <= layer < len(layers):
        raise ConfigError(f"layer is {layer}, but the run has the layers 0..{len(layers) - 1}")
    neurons = require_circuits(layers[layer])
    if not 0 <= neuron < neurons.size:
        raise ConfigError(f"neuron is {neuron}, but layer {layer} has 0..{neurons.size - 1}")
    circuit = neurons.circuit
    steps = loaded.settings.encoding.steps if steps is None else steps
    free = hardware.neuron_circuit(circuit, circuit.channels, circuit.memory_qubits, steps)
    angles = enumerate(neurons.angles[neuron].tolist())
    trained = free.assign_parameters({f"theta_{number}": angle for number, angle in angles})
    name = f"layer-{layer}-neuron-{neuron}"
    program, drawing = folder.path / f"{name}.qasm", folder.path / f"{name}.txt"
    write_atomically(program, lambda path: path.write_text(hardware.to_qasm3(trained), "utf-8"))
    text = str(trained.draw("text", fold=100))
    write_atomically(drawing, lambda path: path.write_text(text + "\n", "utf-8"))
    return program, drawing
