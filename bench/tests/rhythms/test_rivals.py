"""The rivals: equal searches, equal outputs, equal size, and the classical resonator's law."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from sqsnn.neurons.lif import LIF
from sqsnn.training.build import Purpose, count_trained
from sqsnn_bench.rhythms import fixed, models, run, task, training
from sqsnn_bench.rhythms.models import MODELS, build
from sqsnn_bench.rhythms.options import RhythmOptions
from sqsnn_bench.rhythms.resonate_and_fire import ResonateAndFire


@pytest.fixture
def classical():
    """Three resonators of different precession."""
    made = ResonateAndFire(3, decay=0.9, generator=torch.Generator(), dtype=torch.float64)
    with torch.no_grad():
        made.precession.copy_(torch.tensor([[0.5], [1.0], [1.5]]))
    return made


def currents(steps):
    return torch.from_numpy(np.random.default_rng(0).random((steps, 2, 3, 1)))


def test_a_resonate_and_fire_neuron_is_a_filter_with_a_threshold(classical):
    z = currents(50)
    record, state = classical(z, generator=torch.Generator())
    for place, angle in enumerate((0.5, 1.0, 1.5)):
        pole = 0.9 * np.exp(1j * angle)
        membrane = np.asarray(lfilter([1.0], [1.0, -pole], z[:, :, place, 0].numpy(), axis=0))
        assert np.array_equal(record.spikes[:, :, place, 0].detach() > 0, np.imag(membrane) > 1)
        found = torch.complex(*state)[:, place, 0].detach()
        np.testing.assert_allclose(found, membrane[-1], rtol=1e-12)


def test_a_resonate_and_fire_neuron_goes_on_from_its_state(classical):
    z = currents(20)
    whole, _ = classical(z, generator=torch.Generator())
    first, state = classical(z[:7], generator=torch.Generator())
    second, _ = classical(z[7:], state, generator=torch.Generator())
    assert torch.equal(whole.spikes, torch.cat([first.spikes, second.spikes]))


def test_every_model_has_as_many_trials():
    assert {len(model.starts) for model in MODELS.values()} == {6}
    for model in MODELS.values():
        assert len({tuple(start.items()) for start in model.starts}) == 6
    assert set(models.FIXED) <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_equal_size_and_equal_outputs(name):
    model = MODELS[name]
    hidden = run._hidden(model, model.starts[0], 900)
    network = build(model, hidden, model.starts[0], 0)
    assert count_trained(network) == pytest.approx(900, rel=run.TOLERANCE)
    output = network.population("output")
    assert isinstance(output, LIF)
    assert output.size == len(task.PERIODS)


def test_the_best_trial_of_the_search_is_tested_with_other_seeds(monkeypatch):
    calls = []

    def trained(model, start, rate, chosen, seed, part):
        calls.append((start, rate, seed, part))
        good = 0.5 * (start == model.starts[1]) + 0.3 * (rate == 0.003) + 0.001 * seed / 1000
        return training.Found(good, 1.0)

    monkeypatch.setattr(run, "_trained", trained)
    found = run.one(MODELS["LIF"], RhythmOptions(seeds=3))
    searched = [call for call in calls if call[3] == Purpose.VALIDATION]
    tested = [call for call in calls if call[3] == Purpose.TEST]
    assert {seed for _, _, seed, _ in searched} == {run.SEARCH_SEED}
    assert len(searched) == models.TRAINED_STARTS * len(run.LEARNING_RATES)
    assert [seed for _, _, seed, _ in tested] == [0, 1, 2]
    assert all((start, rate) == (MODELS["LIF"].starts[1], 0.003) for start, rate, _, _ in tested)
    assert found["accuracy"]["mean"] == pytest.approx(0.8, abs=0.001)


def test_a_readout_of_resonators_knows_the_period_and_one_of_lif_does_not(monkeypatch):
    monkeypatch.setattr(fixed, "FITTED", 600)
    monkeypatch.setattr(fixed, "JUDGED", 300)
    found = {
        name: fixed.accuracy(MODELS[name], 20, MODELS[name].starts[0], 0, Purpose.VALIDATION)
        for name in (models.RESONATORS, "LIF")
    }
    # Chance is 1/6 with a standard error of 0.02.
    assert found["LIF"] < 0.3 < 0.4 < found[models.RESONATORS]


def test_training_tunes_a_small_network():
    model = MODELS["Resonate-and-fire (classical)"]
    network = build(model, 12, model.starts[0], 0)
    training.train(network, model.rule, 0.03, 30, 0)
    # Chance is 1/6 with a standard error of 0.008.
    assert training.test(network, 0, Purpose.VALIDATION).accuracy > 0.3
