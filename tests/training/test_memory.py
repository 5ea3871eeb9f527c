"""The memory capacity finds memory where there is some, and none where there is none."""

import math

import numpy as np
import pytest

from sqsnn.data.series import memory_inputs
from sqsnn.errors import ConfigError
from sqsnn.quantum import circuits
from sqsnn.training import memory
from sqsnn.training.memory import TESTED, MemoryOptions, capacities, measure, rows

SMALL = MemoryOptions(size=30, shots=20, delays=4)

# A squared correlation of nothing with nothing is chi-square(1) / n, a sum over four delays
# chi-square(4) / n: above this in 1 of 100,000 seeds.
CHANCE = 28.5 / TESTED


@pytest.mark.parametrize(
    "neurons",
    [
        {"circuit": "crx", "memory_qubits": 0, "drive": "rectified"},
        {"circuit": "crx", "drive": "rectified"},  # its memory turns whatever the input
    ],
    ids=["none", "crx"],
)
def test_neurons_that_nothing_writes_remember_nothing(neurons):
    assert capacities(neurons, SMALL).sum() < CHANCE


@pytest.mark.parametrize(
    "neurons",
    [
        {"circuit": "crx", "memory_qubits": 0},
        {"drive": "rectified", "circuit_options": {"coupling": 0.6 * math.pi}},
        {"circuit": "integrate_and_fire", "drive": "rectified"},
        {"neurons": "stochastic_lif"},
    ],
    ids=["leaky drive", "bidirectional", "integrate_and_fire", "StochasticLIF"],
)
def test_a_membrane_or_a_memory_that_is_written_remembers(neurons):
    found = capacities(neurons, SMALL)
    assert found[0] > 0.15
    assert found[0] > found[-1]


def test_it_is_the_squared_correlation():
    a, b = np.random.default_rng(0).random((2, 50, 3))
    found = memory.squared_correlations(a, b)
    assert found == pytest.approx([np.corrcoef(a[:, k], b[:, k])[0, 1] ** 2 for k in range(3)])
    assert memory.squared_correlations(np.ones((5, 1)), b[:5, :1]) == 0


def test_a_readout_that_knows_all_has_a_capacity_of_one_per_delay():
    _, targets = memory_inputs(200, 3, 0)
    assert memory.squared_correlations(2 - 3 * targets, targets) == pytest.approx([1, 1, 1])


def test_one_delay_is_the_first_of_many():
    one = capacities({}, MemoryOptions(size=10, shots=2, delays=1))
    assert one.shape == (1,)


def test_the_table_has_all_circuits_with_and_without_a_drive():
    every = rows(None, 1)
    for name in circuits.names():
        assert list(rows(name, 1)) == [f"{name}, no drive", f"{name}, leaky drive"]
        assert rows(name, 1).items() <= every.items()
    assert {"StochasticLIF", "LIF", "QLIF", "published formula"} <= every.keys()


def test_neurons_are_measured_one_after_the_other():
    seen = []
    options = MemoryOptions(size=5, shots=1, delays=2)
    found = measure("crx", options, lambda *progress: seen.append(progress))
    assert seen == [("crx, no drive", 1, 2), ("crx, leaky drive", 2, 2)]
    assert [row.name for row in found] == [name for name, _, _ in seen]
    assert found == measure("crx", options)
    assert found[0].total == sum(found[0].by_delay)


def test_a_circuit_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match=r"circuit is 'moss'; it may be one of crx, "):
        measure("moss", SMALL)


def test_a_circuit_without_the_memory_that_it_needs_is_refused():
    with pytest.raises(ConfigError, match="memory_qubits is 0; circuit 'integrate_and_fire'"):
        measure("integrate_and_fire", MemoryOptions(memory_qubits=0))
