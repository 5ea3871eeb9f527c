"""The neuron as a spin resonance: kicks that add up or cancel, and what a weak read costs."""

import math

import numpy as np
import pytest
import torch

from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn_bench.rhythms import task, tuning
from sqsnn_bench.rhythms.resonance import resonator, spread, tune


def neuron(read, kick, precession):
    """One neuron in float64, in which laws hold to rounding."""
    made = SQSNeurons(
        1,
        circuit=resonator(read, kick),
        drive=Rectified(),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    tune(made, torch.tensor([precession]))
    return made


def kicks(*steps):
    currents = torch.zeros(max(steps) + 1, 1, 1, 1, dtype=torch.float64)
    currents[list(steps)] = 1
    return currents


def flipped(neurons, currents):
    """Give the population of the memory's |1> after the last step, no spike having fallen."""
    _, state = neurons(currents, observed=torch.zeros_like(currents))
    return float(state.memory[0, 0, 1].detach().abs().square())


@pytest.mark.parametrize("period", [3, 4, 7])
def test_kicks_at_the_precession_period_add_up(period):
    one = neuron(0.0, 0.2, 2 * math.pi / period)
    found = flipped(one, kicks(0, period, 2 * period, 3 * period))
    assert found == pytest.approx(math.sin(4 * 0.2 / 2) ** 2, abs=1e-12)


@pytest.mark.parametrize("period", [4, 6, 14])
def test_kicks_at_half_the_precession_period_cancel(period):
    one = neuron(0.0, 0.2, 2 * math.pi / period)
    assert flipped(one, kicks(0, period // 2)) == pytest.approx(0, abs=1e-12)


def test_a_small_tilt_is_a_leaky_resonator_whose_leak_is_the_read():
    """The law of the module's docstring; what is left out is of the order of the tilt squared."""
    read, kick, precession, steps = 0.6, 1e-3, 0.9, 40
    currents = torch.from_numpy(np.random.default_rng(0).random((steps, 1, 1, 1)))
    record, _ = neuron(read, kick, precession)(currents, observed=torch.zeros_like(currents))
    amplitude, expected = 0j, []
    for z in currents.flatten().tolist():
        amplitude += -0.5j * kick * z
        expected.append(math.sin(read / 2) ** 2 * abs(amplitude) ** 2)
        amplitude *= math.cos(read / 2) * np.exp(1j * precession)
    np.testing.assert_allclose(record.probability.flatten().detach(), expected, rtol=1e-4)


@pytest.mark.parametrize("read", [0.3, 1.2])
def test_the_read_is_an_amplitude_damping_whose_decays_are_spikes(read):
    silent = torch.zeros(1, 1, 1, dtype=torch.float64)
    quiet, fired = neuron(read, 0.1, 0.0).kraus_operators(silent)[0, 0].detach()
    expected = torch.diag(torch.tensor([1.0, math.cos(read / 2)], dtype=torch.float64))
    torch.testing.assert_close(quiet, expected.to(quiet.dtype), atol=1e-12, rtol=0)
    decay = torch.zeros(2, 2, dtype=torch.float64)
    decay[0, 1] = math.sin(read / 2)
    torch.testing.assert_close(fired.abs(), decay, atol=1e-12, rtol=0)


def test_precessions_cover_the_periods_of_the_task():
    periods = 2 * math.pi / spread(40)
    assert periods.min() < min(task.PERIODS)
    assert periods.max() > max(task.PERIODS)
    # Neighbours are closer than a sequence can resolve.
    assert float((1 / periods).diff().max()) < 1 / task.STEPS


def test_a_weaker_read_is_more_selective():
    """Every resonator answers to its own period most; tested with 1,000 samples, 8 errors away."""
    found = tuning.measure(1000, 0)
    weak, strong, whole = (found[f"resonators, read {read}"] for read in ("0.25", "1.20", "3.14"))
    assert [int(np.argmax(row)) for row in weak["spikes"]] == list(range(len(task.PERIODS)))
    assert weak["contrast"] > 5 > 2 > strong["contrast"]
    # A projective read collapses the spin at every step: no period is its own.
    assert whole["contrast"] == pytest.approx(1, abs=0.35)
    assert weak["bits_per_spike"] > 0.5 > 0.2 > strong["bits_per_spike"]
    assert found["LIF"]["bits_per_spike"] < 0.01


def test_bits_per_spike_of_a_neuron_for_one_of_six_classes():
    curve = np.array([[0, 0, 3.0, 0, 0, 0], [1, 1, 1, 1, 1, 1.0], 6 * [0]])
    np.testing.assert_allclose(tuning.bits_per_spike(curve), [math.log2(6), 0, 0])
