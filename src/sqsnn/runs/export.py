"""One trained neuron as an OpenQASM 3 program that any quantum stack reads, and as a drawing."""

from pathlib import Path
from typing import Literal

from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import require_circuits
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.runs import loading
from sqsnn.runs.folder import RunFolder
from sqsnn.storage import write_atomically
from sqsnn.training.build import require_circuit


def export_neuron(
    folder: RunFolder,
    layer: int,
    neuron: int,
    steps: int | None,
    data_dir: Path | None,
    dialect: Literal["qiskit", "braket"] = "qiskit",
) -> tuple[Path, Path]:
    """Write a neuron, counted from 0, on a grid row by row, as a program and as a drawing.

    The angles are those of training; its encoding angles stay free, `input` variables, which the
    head of the program explains. With a leaky drive and a reset of 1..3 steps, or of any length in
    at most 6 steps, there is an angle for every history of own spikes, and conditions choose among
    them: the program runs free. Else it is static, and its angles hold for own spikes that are
    given.
    """
    from sqsnn import hardware

    hardware.require()
    from sqsnn.hardware.feedforward import fits
    from sqsnn.hardware.free_run import remembered

    loaded = loading.load(folder, data_dir)
    require_circuit(loaded.settings)
    network = loaded.network
    layers = [network.population(name) for name in network.names]
    if not 0 <= layer < len(layers):
        raise ConfigError(f"layer is {layer}, but the run has the layers 0..{len(layers) - 1}")
    neurons = require_circuits(layers[layer])
    if not 0 <= neuron < neurons.size:
        raise ConfigError(f"neuron is {neuron}, but layer {layer} has 0..{neurons.size - 1}")
    circuit = neurons.circuit
    steps = loaded.settings.encoding.steps if steps is None else steps
    needed = remembered(neurons.drive, steps)
    chosen_by = needed if fits(steps, needed) else 0
    free = hardware.neuron_circuit(
        circuit, circuit.channels, circuit.memory_qubits, steps, reset_steps=chosen_by
    )
    angles = enumerate(neurons.angles[neuron].tolist())
    trained = free.assign_parameters({f"theta_{number}": angle for number, angle in angles})
    name = f"layer-{layer}-neuron-{neuron}"
    kind, write = "", hardware.to_qasm3
    if dialect == "braket":
        kind, write = ".braket", hardware.to_braket
    program, drawing = folder.path / f"{name}{kind}.qasm", folder.path / f"{name}.txt"
    version, rest = write(trained).split("\n", 1)
    comments = [f"// {line}" for line in _inputs(neurons, neuron, chosen_by)]
    written = "\n".join([version, *comments, rest])
    write_atomically(program, lambda path: path.write_text(written, "utf-8"))
    text = str(trained.draw("text", fold=100))
    write_atomically(drawing, lambda path: path.write_text(text + "\n", "utf-8"))
    return program, drawing


def _inputs(neurons: SQSNeurons, neuron: int, chosen_by: int) -> list[str]:
    """Say in lines which angles the inputs of the program are."""
    drive, gains = neurons.drive, iter(neurons.gains[neuron].tolist())
    if isinstance(drive, Leaky):
        range_, value = "clip(u_t, 0, 1)", "membrane"
    else:
        range_ = "clip(z_t, 0, 1)" if drive.saturates else "max(z_t, 0)"
        value = "current"
    lines = []
    for e, rotation in enumerate(neurons.circuit.encoding):
        gain = next(gains) if rotation.trainable else rotation.gain
        if rotation.is_gate:
            lines.append(
                f"phi_t_{e} = {gain:.9g} * pi * {range_} at step t, on qubit {rotation.qubit}, of "
                f"the {value} of channel {rotation.channel}"
            )
    if not isinstance(drive, Leaky):
        return lines
    if chosen_by:
        lines.append("phi_t_e_01: where the last spikes were 0 and then 1")
    if drive.reset_steps is None:
        law = f"u_t = max(beta u_(t-1) + z_t + c - theta_1 s_(t-1), {drive.floor:g})"
    else:
        law = (
            f"u_t = v_t - sum_k theta_k s_(t-k), v_t = max(beta v_(t-1) + z_t + c, {drive.floor:g})"
        )
    lines.append(f"{law}: currents z, own spikes s, all 0 before step 0")
    for n in range(neurons.channels):
        beta, bias = neurons.beta[neuron, n].clamp(0, 1).item(), neurons.bias[neuron, n].item()
        reset = neurons.reset[neuron, n].flatten().tolist()
        taken = "".join(f", theta_{k} {theta:.9g}" for k, theta in enumerate(reset, start=1))
        lines.append(f"channel {n}: beta {beta:.9g}, c {bias:.9g}{taken}")
    return lines
