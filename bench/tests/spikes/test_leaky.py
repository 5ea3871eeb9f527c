"""The leaky neuron that fires at random: its likelihood, and the fit of one that is known."""

import numpy as np
import pytest
import torch

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn_bench.spikes.leaky import FittedLIF, fit_lif
from sqsnn_bench.spikes.scoring import Data

VALUES = np.array([0.8, 3.0, 0.9, 0.5, -1.0])  # beta, threshold, bias, two weights


def drawn(values, trains, bins, seed):
    """Trains of a neuron of tau 1 without input."""
    generator = torch.Generator().manual_seed(seed)
    neuron = StochasticLIF(1, tau=1.0, generator=generator, dtype=torch.float64)
    for name, value in zip(("beta", "threshold", "bias"), values, strict=True):
        neuron.get_parameter(name).data.fill_(value)
    currents = torch.zeros(bins, trains, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        record, _ = neuron(currents, generator=generator)
    return Data(SpikeTrains.from_bins(record.spikes[:, :, 0, 0].T.numpy().astype(np.uint8)))


def test_the_likelihood_is_that_of_a_plain_loop():
    generator = np.random.default_rng(0)
    lengths = (40, 25)
    spikes = [(generator.random((bins, 1)) < 0.2).astype(np.uint8) for bins in lengths]
    stimulus = tuple(generator.standard_normal((bins, 2)) for bins in lengths)
    expected = []
    beta, threshold, bias, *weights = VALUES
    for train, shown in zip(spikes, stimulus, strict=True):
        membrane = before = total = 0.0
        for spike, seen in zip(train[:, 0], shown, strict=True):
            membrane = beta * membrane + bias + seen @ weights - threshold * before
            chance = 1 / (1 + np.exp(threshold - membrane))
            total += np.log(chance if spike else 1 - chance)
            before = float(spike)
        expected.append(total)
    found = FittedLIF(VALUES).log_likelihood(Data(SpikeTrains(tuple(spikes)), stimulus))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_fit_is_at_least_as_likely_as_the_neuron_that_drew_the_trains():
    truth = VALUES[:3]
    data = drawn(truth, 10, 500, 1)
    found = fit_lif(data, np.random.default_rng(0), starts=3, warm_up=0)
    gain = (found.log_likelihood(data) - FittedLIF(truth).log_likelihood(data)).sum()
    # Wilks: twice the gain is chi-square of 3 degrees, above 22 in 1 of 15,000 seeds.
    assert 0 <= gain < 11
    assert (found.parameters, found.memory) == (3, "a real number")


def test_another_width_of_the_noise_is_the_same_model():
    """With all but beta divided by tau, a neuron of any tau has the likelihood of tau = 1."""
    data = drawn(VALUES[:3], 2, 100, 2)
    neuron = StochasticLIF(1, tau=0.3, generator=torch.Generator(), dtype=torch.float64)
    for name, value in zip(("beta", "threshold", "bias"), (0.8, 0.9, 0.27), strict=True):
        neuron.get_parameter(name).data.fill_(value)
    spikes = torch.from_numpy(data.trains.padded()[0]).double()[:, :, None]
    with torch.no_grad():
        record, _ = neuron(torch.zeros_like(spikes), observed=spikes)
    found = FittedLIF(VALUES[:3]).log_likelihood(data)
    np.testing.assert_allclose(record.log_likelihood.sum((0, 2)).numpy(), found, rtol=1e-10)


def test_the_warm_up_charges_the_membrane_but_does_not_count():
    data = drawn(VALUES[:3], 10, 300, 3)
    spoilt = [train.copy() for train in data.trains]
    for train in spoilt:
        train[:20] = 0  # a silence that the neuron would not have

    def beta(trains, warm_up):
        return fit_lif(Data(trains), np.random.default_rng(0), starts=2, warm_up=warm_up).values[0]

    changed = SpikeTrains(tuple(spoilt))
    # In the 80 bins before the first that counts, the membrane forgets all but 0.8^80 of it.
    assert beta(changed, 100) == pytest.approx(beta(data.trains, 100), abs=1e-3)
    assert abs(beta(changed, 0) - beta(data.trains, 0)) > 0.01
