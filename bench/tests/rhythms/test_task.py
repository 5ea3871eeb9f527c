"""Rhythms: the law of the input, and the observer that knows it."""

import numpy as np
import pytest
import torch
from scipy import stats

from sqsnn.training.build import Purpose
from sqsnn_bench.rhythms import task


def test_spikes_follow_the_law_of_their_class():
    """Mean power at the period and mean rate; tolerances are six standard errors."""
    spikes, labels = task.draw(20_000, np.random.default_rng(0))
    assert spikes.shape == (task.STEPS, 20_000, task.LINES, 1)
    fired = spikes.sum(dim=(2, 3)).double()  # (T, B)
    step = torch.arange(task.STEPS, dtype=torch.float64)
    for place, period in enumerate(task.PERIODS):
        mine = fired[:, labels == place]
        wave = torch.polar(torch.ones_like(step), -2 * torch.pi * step / period)
        power = (wave @ mine.to(wave.dtype)).abs().square().mean()
        # The wave adds (n / 2)^2 with n spikes in all, and their own randomness n (1 - rate), where
        # the rate that a spike meets is 1.5 RATE on average. Broken periods add far less.
        spikes_in_all = task.STEPS * task.LINES * task.RATE
        expected = (spikes_in_all / 2) ** 2 + spikes_in_all * (1 - 1.5 * task.RATE)
        assert power == pytest.approx(expected, rel=0.03)
        assert mine.mean() == pytest.approx(task.LINES * task.RATE, rel=0.01)


def test_the_ideal_observer_computes_the_likelihood():
    spikes, _ = task.draw(3, np.random.default_rng(1))
    scores = task.ideal_observer(spikes)
    phases = np.arange(task.PHASES) * 2 * np.pi / task.PHASES
    for place, period in enumerate(task.PERIODS):
        rate = task.rates(np.full(task.PHASES, float(period)), phases)[:, None, :, None]
        fired = spikes.numpy()[:, :, None, :, 0]
        given = stats.bernoulli.logpmf(fired, rate.clip(1e-12)).sum(axis=(0, 3))  # (B, phases)
        expected = np.log(np.exp(given).mean(axis=1))
        np.testing.assert_allclose(scores[:, place], expected, rtol=1e-9)


def test_the_ideal_observer_is_hardly_ever_wrong():
    spikes, labels = task.draw(1000, np.random.default_rng(2))
    named = task.ideal_observer(spikes).argmax(axis=1)
    # It was right in all of 10,000 samples; with one error in 1,000, ten here are 1 in 10^7.
    assert (named == labels.numpy()).mean() > 0.99


def test_the_number_of_spikes_does_not_tell_the_period():
    """By analysis of variance, which fails in 1 of 10,000 seeds where there is no difference."""
    spikes, labels = task.draw(6000, np.random.default_rng(3))
    counts = spikes.sum(dim=(0, 2, 3)).numpy()
    groups = [counts[labels.numpy() == place] for place in range(len(task.PERIODS))]
    assert stats.f_oneway(*groups).pvalue > 1e-4


def test_samples_of_another_purpose_are_others():
    train, again, test = (
        task.fresh(5, 0, part)[0] for part in (Purpose.TRAINING, Purpose.TRAINING, Purpose.TEST)
    )
    assert torch.equal(train, again)
    assert not torch.equal(train, test)
