"""Sampled spikes against the exact law of whole records, through the executor and OpenQASM 3.

20,000 records (5,000 where they are rows of one shot, which take longer) are compared with the
density matrices of `reference`: their total variation must lie within twice the sampling floor, the
mean total variation of as many draws from the exact law itself. A right device exceeds that with a
probability below exp(-2 * draws * floor^2) (`hardware_reference.chance_of_false_alarm`), which is
below 1e-4 for every law compared, and the seeds are fixed. Records of twelve bits, whose floor is
high, are compared in halves too. That a law which is a little wrong is seen to lie beyond is
asserted as well.
"""

from functools import cache

import numpy as np
import pytest
import reference
from hardware_reference import (
    CASES,
    NAMED,
    chance_of_false_alarm,
    parameter_values,
    random_currents,
    random_neuron,
    sampling_floor,
    sequence_indices,
    total_variation,
)
from qiskit import transpile
from qiskit_aer import AerSimulator
from scipy.stats import chi2_contingency
from tools import seeded

from sqsnn.hardware.circuits import from_qasm3, neuron_circuit, to_qasm3
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.quantum import circuits

STEPS, DRAWS, FEWER = 6, 20_000, 5_000
FALSE_ALARM = 1e-4
QUICK = [(name, 1, 1) for name in NAMED] + [("bidirectional", 2, 2)]
THOROUGH = [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
# The exact law through OpenQASM is tested without sampling beside this: two cases are quick enough.
QUICK_TEXT = [("crx", 1, 1), ("bidirectional", 2, 2)]
THOROUGH_TEXT = [
    pytest.param(*case, marks=() if case in QUICK_TEXT else pytest.mark.slow) for case in CASES
]


def views(spikes: np.ndarray, law: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Whole records and their law and, for two channels, those of each half of the steps."""
    if spikes.shape[-1] == 1:
        return [(spikes, law)]
    half = STEPS // 2
    halves = law.reshape(4**half, 4**half)
    return [
        (spikes, law),
        (spikes[..., :half, :], halves.sum(axis=1)),
        (spikes[..., half:, :], halves.sum(axis=0)),
    ]


def in_floors(spikes: np.ndarray, law: np.ndarray) -> float:
    """The largest of the total variations, each in units of its sampling floor."""
    draws = spikes.shape[0] * spikes.shape[1]
    return max(
        total_variation(seen, part) / sampling_floor(part, draws)
        for seen, part in views(spikes, law)
    )


@cache
def random_case(name: str, channels: int, memory_qubits: int):
    """A neuron, its currents and its exact law: one whose records spread over many sequences."""
    for seed in range(50):
        rng = np.random.default_rng([seed, NAMED.index(name), channels, memory_qubits])
        neuron = random_neuron(name, channels, memory_qubits, rng)
        currents = random_currents(channels, STEPS, rng)
        law = reference.joint_law(neuron, currents)
        laws = [part for _, part in views(np.zeros((1, STEPS, channels)), law)]
        if all(chance_of_false_alarm(part, DRAWS) < FALSE_ALARM for part in laws):
            return neuron, currents, law
    raise AssertionError("no neuron spreads its records: the floor would be no bound")


def table(neuron: reference.Neuron, currents: np.ndarray, rows: int = 1) -> np.ndarray:
    """Its angles in the executor's order, (rows, parameters)."""
    row = list(parameter_values(neuron, currents, per_occurrence=True).values())
    return np.tile(row, (rows, 1))


def check(
    spikes: np.ndarray, neuron: reference.Neuron, currents: np.ndarray, law: np.ndarray
) -> None:
    """The records follow the law, and would be seen not to follow one that is a little wrong."""
    assert in_floors(spikes, law) < 2
    gates = list(neuron.gates)
    gates[-1] = gates[-1]._replace(angle=gates[-1].angle + 0.5)  # the last channel's rotation
    wrong = reference.Neuron(neuron.channels, neuron.memory_qubits, neuron.encoding, tuple(gates))
    assert in_floors(spikes, reference.joint_law(wrong, currents)) > 2.5
    assert in_floors(spikes[..., ::-1, :], law) > 2.5  # steps in reverse
    if neuron.channels > 1:
        assert in_floors(spikes[..., ::-1], law) > 2.5  # channels in reverse


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), THOROUGH)
def test_shots_of_one_row_follow_the_law(name, channels, memory_qubits):
    neuron, currents, law = random_case(name, channels, memory_qubits)
    executor = Executor(find("aer"))
    circuit = circuits.get(name, channels, memory_qubits)
    spikes = executor.run(circuit, STEPS, table(neuron, currents), DRAWS, seeded(1))
    assert spikes.shape == (1, DRAWS, STEPS, channels)
    assert spikes.dtype == bool
    check(spikes, neuron, currents, law)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), THOROUGH_TEXT)
def test_the_law_survives_openqasm_and_back(name, channels, memory_qubits):
    neuron, currents, law = random_case(name, channels, memory_qubits)
    circuit = from_qasm3(to_qasm3(neuron_circuit(name, channels, memory_qubits, STEPS)))
    circuit = circuit.assign_parameters(parameter_values(neuron, currents, per_occurrence=False))
    simulator = AerSimulator(seed_simulator=2)
    result = simulator.run(transpile(circuit, simulator), shots=DRAWS, memory=True).result()
    # Text with classical bit 0 rightmost.
    bits = np.array([[c == "1" for c in text[::-1]] for text in result.get_memory()])
    check(bits.reshape(1, DRAWS, STEPS, channels), neuron, currents, law)


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits", "rows"),
    [
        ("bidirectional", 1, 1, FEWER),
        *(
            pytest.param(name, *shape, DRAWS, marks=pytest.mark.slow)
            for name in NAMED
            for shape in ((1, 1), (2, 2))
        ),
    ],
)
def test_rows_of_one_shot_follow_the_law_and_are_independent(name, channels, memory_qubits, rows):
    # Rows that shared a seed would all be one record; rows with seeds in a pattern would depend on
    # their neighbours. First bits of rows 1, 2 and 1000 apart: independent at p > 1e-5, each.
    neuron, currents, law = random_case(name, channels, memory_qubits)
    executor = Executor(find("aer"))
    circuit = circuits.get(name, channels, memory_qubits)
    spikes = executor.run(circuit, STEPS, table(neuron, currents, rows), 1, seeded(3))
    assert spikes.shape == (rows, 1, STEPS, channels)
    assert executor.counts.jobs == 1
    check(spikes, neuron, currents, law)
    first = sequence_indices(spikes[:, 0, :2])
    for apart in (1, 2, 1000):
        check_independent(first[:-apart], first[apart:])


def check_independent(one: np.ndarray, other: np.ndarray) -> None:
    """Two columns of small numbers look independent; a right sampler fails once in 100,000."""
    size = max(one.max(), other.max()) + 1
    pairs = np.bincount(one * size + other, minlength=size**2).reshape(size, size)
    pairs = pairs[pairs.sum(axis=1) > 0][:, pairs.sum(axis=0) > 0]
    assert pairs.size > 1, "one and the same record in every row"
    assert chi2_contingency(pairs).pvalue > 1e-5


def test_many_shots_of_many_rows_are_independent_of_each_other():
    # Shots of one row, rows of one job, and two jobs that follow each other.
    neuron, currents, law = random_case("crx", 1, 1)
    executor = Executor(find("aer"), max_rows=50)
    circuit = circuits.get("crx", 1, 1)
    spikes = executor.run(circuit, STEPS, table(neuron, currents, 100), FEWER // 100, seeded(4))
    assert executor.counts.jobs == 2
    check(spikes, neuron, currents, law)
    first = sequence_indices(spikes[:, :, :2])  # (rows, shots)
    check_independent(first[:, :-1].ravel(), first[:, 1:].ravel())
    check_independent(first[:-1].ravel(), first[1:].ravel())
    check_independent(first[:50].ravel(), first[50:].ravel())
    check_independent(first[:-1, 1:].ravel(), first[1:, :-1].ravel())  # row r shot k, r+1 shot k-1


def test_rows_of_different_neurons_keep_their_own_laws():
    # Three neurons alternate row by row in one job; each follows its own law and no other's.
    steps, shots = 2, 1000
    cases = [random_neuron("bidirectional", 2, 1, np.random.default_rng(s)) for s in range(3)]
    currents = random_currents(2, steps, np.random.default_rng(9))
    laws = [reference.joint_law(neuron, currents) for neuron in cases]
    rows = np.concatenate([table(neuron, currents) for neuron in cases] * 2)
    circuit = circuits.get("bidirectional", 2, 1)
    spikes = Executor(find("aer")).run(circuit, steps, rows, shots, seeded(5))
    for row in range(6):
        near = [total_variation(spikes[row], law) for law in laws]
        own = near.pop(row % 3)
        # exp(-2 * 1000 * 0.1^2) = 2e-9 for an excess of 0.1 over the mean, which is below 0.05.
        assert own < 0.15 < min(near)
