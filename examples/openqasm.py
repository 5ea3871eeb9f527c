"""Write a neuron as an OpenQASM 3 program, read it back, and run it with Qiskit alone.

    python examples/openqasm.py

Needs the extra `hardware`; takes some seconds.
"""

import math

import torch
from qiskit_aer import AerSimulator

import sqsnn
from sqsnn import hardware

STEPS, SHOTS = 4, 20_000


def main() -> None:
    """Print the program, and the frequency of each spike train beside its exact probability."""
    g = torch.Generator().manual_seed(0)
    neuron = sqsnn.SQSNeurons(1, drive=sqsnn.Rectified(), generator=g, dtype=torch.float64)
    circuit = hardware.neuron_circuit(neuron.circuit, steps=STEPS)

    # The neuron's own angles are bound; those of the encoding stay free, as `input` variables.
    angles = neuron.angles[0].tolist()
    trained = circuit.assign_parameters({f"theta_{k}": angle for k, angle in enumerate(angles)})
    program = hardware.to_qasm3(trained)
    print(program)

    # Any current z: its angle is pi * max(z, 0).
    currents = torch.tensor([0.5, 0.2, -0.3, 0.6], dtype=torch.float64)
    read = hardware.from_qasm3(program)
    bound = read.assign_parameters(
        {f"phi_{t}_0": math.pi * max(z, 0.0) for t, z in enumerate(currents.tolist())}
    )
    counts = AerSimulator(seed_simulator=1).run(bound, shots=SHOTS).result().get_counts()

    law = neuron.sequence_probabilities(currents.reshape(STEPS, 1, 1, 1)).flatten().tolist()
    print("spikes  measured  exact")
    for sequence, exact in enumerate(law):
        in_time = f"{sequence:0{STEPS}b}"  # the first step is the first digit
        # Qiskit writes bit 0, which is the first step, rightmost.
        print(f"{in_time}    {counts.get(in_time[::-1], 0) / SHOTS:.4f}    {exact:.4f}")


if __name__ == "__main__":
    main()
