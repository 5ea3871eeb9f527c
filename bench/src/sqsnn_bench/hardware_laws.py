"""What sqsnn_bench.hardware compares: random neurons, laws of their records, and how far apart.

A record is what a neuron fires in all steps: T x N bits, the first the most significant. The floor
of a law is the mean total variation between it and the empirical law of as many draws from it.
"""

import numpy as np
import torch
from qiskit import transpile
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2

from sqsnn import Rectified, SQSNeurons
from sqsnn.hardware import circuits
from sqsnn.hardware.bit_source import angle_table
from sqsnn.hardware.compile import Compiled
from sqsnn_bench.native_law import native_operations, recorded_law

NAMES = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
SHOTS, STEPS = 20_000, 6


def neuron_of(
    name: str, channels: int, memory: int, steps: int, seed: int
) -> tuple[SQSNeurons, np.ndarray, np.ndarray]:
    """A random neuron, its angles as a row of the executor's table, and its exact law."""
    rng = np.random.default_rng([seed, NAMES.index(name), channels, memory])
    neuron = SQSNeurons(
        1,
        channels=channels,
        memory_qubits=memory,
        circuit=name,
        drive=Rectified(),
        generator=seeded(),
        dtype=torch.float64,
    )
    with torch.no_grad():
        for values, spread in ((neuron.angles, 1.5), (neuron.gains, 1.0)):
            values.copy_(torch.from_numpy(rng.normal(0, spread, tuple(values.shape))))
        currents = torch.from_numpy(rng.normal(0.2, 0.8, (steps, 1, 1, channels)))
        law = neuron.sequence_probabilities(currents)[0, 0].numpy()
        row = angle_table(neuron, currents, [()]).flatten(0, 2).numpy()
    return neuron, row, law


def spread_neuron(
    name: str, channels: int, memory: int
) -> tuple[SQSNeurons, np.ndarray, np.ndarray]:
    """The first random neuron whose records spread over many.

    Of one that nearly always gives the same few the floor is so low that a right device, too, would
    exceed twice of it now and then; here it does less than once in 10,000 times, by McDiarmid's
    inequality, exp(-2 shots floor^2).
    """
    for seed in range(50):
        neuron, angles, law = neuron_of(name, channels, memory, STEPS, seed)
        if np.exp(-2 * SHOTS * floor(law, SHOTS) ** 2) < 1e-4:
            return neuron, angles, law
    raise SystemExit(f"no neuron {name}, N={channels}, M={memory} spreads its records")


def drawn(law: np.ndarray, shots: int, replicas: int, rng: np.random.Generator) -> np.ndarray:
    """Empirical laws of so many draws from a law, `(replicas, records)`."""
    return rng.multinomial(shots, law / law.sum(), size=replicas) / shots


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Total variation along the last axis."""
    return np.abs(one - other).sum(-1) / 2


def floor(law: np.ndarray, shots: int) -> float:
    """The mean total variation of an empirical law of draws from the law itself."""
    return float(distance(drawn(law, shots, 200, np.random.default_rng(0)), law).mean())


def law_seen(spikes: np.ndarray) -> np.ndarray:
    """The empirical law of records `(shots, T, N)`, the first bit the most significant."""
    flat = spikes.reshape(len(spikes), -1)
    index = flat @ (1 << np.arange(flat.shape[1])[::-1])
    return np.bincount(index, minlength=1 << flat.shape[1]) / len(flat)


def seeded(seed: int = 0) -> torch.Generator:
    """A generator for outcomes."""
    return torch.Generator().manual_seed(seed)


def through_text(neuron: SQSNeurons, row: np.ndarray, steps: int) -> np.ndarray:
    """Records of a neuron's circuit that was written as OpenQASM 3 and read back."""
    shape = (neuron.channels, neuron.memory_qubits, steps)
    program = circuits.to_qasm3(
        circuits.neuron_circuit(neuron.circuit, *shape, per_occurrence=True)
    )
    names = circuits.parameter_names(neuron.circuit, steps, per_occurrence=True)
    bound = circuits.from_qasm3(program).assign_parameters(dict(zip(names, row, strict=True)))
    runnable = transpile(bound, AerSimulator(), optimization_level=0)
    result = SamplerV2(seed=1).run([runnable], shots=SHOTS).result()
    return circuits.spikes_of(getattr(result[0].data, "spikes"), steps, neuron.channels)  # noqa: B009


def in_floors(distances: np.ndarray, usual: np.ndarray) -> dict[str, float]:
    """Distances of some neurons in units of their floors, and what right ones would have shown.

    Args:
        distances: `(neurons,)`.
        usual: Those of right ones, simulated, `(neurons, replicas)`.
    """
    floors = usual.mean(1)
    ratios, right = distances / floors, usual / floors[:, None]
    return {
        "mean_ratio": float(ratios.mean()),
        "standard_error": float(right.var(1).sum() ** 0.5 / len(right)),
        "worst_ratio": float(ratios.max()),
        "worst_of_right_ones_in_99_of_100": float(np.quantile(right.max(0), 0.99)),
    }


def against(found: np.ndarray, laws: np.ndarray, shots: int) -> dict[str, float]:
    """Empirical laws of some neurons against expected ones; see `in_floors`."""
    rng = np.random.default_rng(0)
    usual = np.stack([distance(drawn(law, shots, 2000, rng), law) for law in laws])
    return in_floors(distance(found, laws), usual)


def against_each_other(
    one: np.ndarray, other: np.ndarray, laws: np.ndarray, shots: int
) -> dict[str, float]:
    """Empirical laws of the same neurons against each other; see `in_floors`."""
    rng = np.random.default_rng(0)
    pairs = np.stack([drawn(law, shots, 4000, rng) for law in laws])
    return in_floors(distance(one, other), distance(pairs[:, :2000], pairs[:, 2000:]))


def native_law(compiled: Compiled, angles: np.ndarray) -> np.ndarray:
    """The exact law of a compiled neuron with the noise of the qubits that it stands on."""
    bound = compiled.circuit.assign_parameters(dict(zip(compiled.parameters, angles, strict=True)))
    operations = native_operations(bound, compiled.backend.target)
    return recorded_law(operations, bound.num_qubits, bound.num_clbits)
