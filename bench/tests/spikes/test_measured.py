"""Fits from measured bits: their gradient is that of the likelihood, and what they reached."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.estimators import Geometric
from sqsnn_bench.hardware_laws import seeded
from sqsnn_bench.spikes import measured, measured_study
from sqsnn_bench.spikes.measured import Windows, draw, exact_law, fit, neuron, pull
from sqsnn_bench.spikes.processes import Renewal, equal

RESULTS = Path(__file__).parents[2] / "results"
STORED = json.loads((RESULTS / "spikes.json").read_text("utf-8"))["measured"]
SOME = Windows(np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1]], np.uint8), np.array([5, 3, 2]))


def likelihood(neurons, windows):
    """The mean log-likelihood of a window by the neuron's own score, differentiable."""
    count, bins = windows.spikes.shape
    spikes = torch.from_numpy(windows.spikes.T.astype(float)).reshape(bins, count, 1, 1)
    record, _ = neurons(torch.zeros_like(spikes), observed=spikes)
    return torch.from_numpy(windows.share) @ record.log_likelihood[:, :, 0].sum(0)


def test_windows_begin_just_after_a_spike_and_equal_ones_are_merged():
    count, process = 10_000, Renewal("2 or 5", equal(2, 5))
    windows = draw(process, count, 6, np.random.default_rng(0))
    expected = {"010100": 1 / 8, "010101": 1 / 8, "010000": 1 / 4, "000010": 1 / 2}
    found = {"".join(map(str, row)): n for row, n in zip(*windows, strict=True)}
    assert found.keys() == expected.keys()
    assert sum(found.values()) == count
    for name, chance in expected.items():
        # 4.5 standard errors: outside, for one of four, in 1 of 37,000 seeds.
        error = np.sqrt(count * chance * (1 - chance))
        assert abs(found[name] - count * chance) < 4.5 * error


def test_a_law_scores_windows_as_the_neuron_does():
    neurons = neuron(seeded(1))
    expected = likelihood(neurons, SOME).item() / 3
    assert SOME.score(exact_law(neurons, 3)) == pytest.approx(expected, abs=1e-12)


def test_the_gradient_from_bits_is_on_average_that_of_the_likelihood():
    neurons, generator = neuron(seeded(1)), seeded(2)
    with torch.no_grad():
        neurons.angles.fill_(1.2)
    assert exact_law(neurons, 3)[[1, 3, 5]].min() > 0.09  # of the windows
    expected = likelihood(neurons, SOME)
    (gradient,) = torch.autograd.grad(expected, [neurons.angles])
    estimator = Geometric(repeats=50, max_trials=200)  # missed in 1 of 1e8 series
    pulled = [pull(SimulatedBits(), neurons, SOME, estimator, generator) for _ in range(40)]
    found = torch.stack(
        [torch.cat([it.gradient[0], it.gradient.new_tensor([it.log_likelihood])]) for it in pulled]
    )
    truth = torch.cat([gradient[0], expected.detach()[None]])
    error = found.std(0) / len(found) ** 0.5
    # Five means of 40 draws, each beyond 5 errors by chance once in 80,000 (Student's t): one seed
    # in 16,000 would fail.
    assert ((found.mean(0) - truth).abs() < 5 * error).all(), (found.mean(0) - truth) / error
    assert (error < 0.06 * truth.abs().max()).all()  # precise enough to tell
    assert all(it.given_up == 0 for it in pulled)


def test_a_window_that_never_comes_is_counted_as_given_up():
    neurons = neuron(seeded(0))
    with torch.no_grad():
        neurons.angles.zero_()  # it never fires
    pulled = pull(SimulatedBits(), neurons, SOME, Geometric(repeats=2, max_trials=3), seeded(0))
    assert pulled.given_up == 1


def test_a_fit_from_bits_learns_to_remember(monkeypatch):
    for name, value in (("STEPS", 40), ("RATE", 0.2), ("ESTIMATOR", Geometric(5, 50))):
        monkeypatch.setattr(measured, name, value)
    windows = Windows(np.array([[0, 1]], np.uint8), np.array([1]))
    begun = windows.score(exact_law(neuron(seeded(0)), 2))
    found = fit(SimulatedBits(), windows, seeded(0))
    # Without memory no neuron explains an alternation better than a fair coin.
    assert begun < -np.log(2) < -0.5 < windows.score(exact_law(found.neurons, 2))
    assert len(found.steps) == 40


def test_intervals_and_rate_of_a_coin_are_known():
    bins, chance = 4, 0.3
    spikes = np.array([number.bit_count() for number in range(2**bins)])
    law = chance**spikes * (1 - chance) ** (bins - spikes)
    expected = [*(chance * (1 - chance) ** np.arange(bins)), (1 - chance) ** bins]
    np.testing.assert_allclose(measured_study.intervals(law), expected, atol=1e-15)
    assert measured_study.spikes_per_bin(law) == pytest.approx(chance)


@pytest.mark.parametrize("backend", [measured_study.AER, measured_study.SNAPSHOT])
def test_stored_fits_from_bits_are_within_2_hundredths_of_a_nat_of_exact_ones(backend):
    rows = STORED[backend].values()
    assert len(rows) >= 3
    for row in rows:
        assert row["exact"] - 0.02 < row["measured"] <= row["exact"] + 1e-6
        assert row["measured_fresh"] > row["exact_fresh"] - 0.02


def test_stored_samples_follow_the_law_of_their_source():
    runs = STORED["free runs"][f"{len(STORED['aer'])} neurons"]
    for name in ("Aer against simulator", "snapshot against density matrices"):
        for of in ("intervals", "records"):
            row = runs["distances"][name][of]
            assert abs(row["mean_ratio"] - 1) < 4.5 * row["standard_error"]


def test_the_page_shows_the_stored_figures():
    page = (RESULTS / "spikes.md").read_text("utf-8")
    for table in measured_study.tables(STORED).split("\n\n"):
        assert table.strip() in page
    for row in (*STORED["aer"].values(), *STORED["fake_boston"].values()):
        assert f"{row['circuits']:,} circuits" in page
        assert f"{row['shots']:,} shots" in page


@pytest.mark.slow
def test_fits_and_samples_are_made_and_kept_from_the_command_line(bench, here, monkeypatch):
    monkeypatch.setattr(measured, "STEPS", 2)
    monkeypatch.setattr(measured, "ESTIMATOR", Geometric(repeats=2, max_trials=20))
    for name, value in (("BINS", 3), ("RUN_BINS", 3), ("RUN_SHOTS", 50), ("EXACT_STARTS", 2)):
        monkeypatch.setattr(measured_study, name, value)
    done = bench("spikes", "measured", "--seeds", "1", "--out", "a.json")
    assert (done.code, done.err) == (0, "")
    found = json.loads((here / "a.json").read_text("utf-8"))["measured"]
    assert found["command"] == "sqsnn-bench spikes measured --seeds 1"
    assert found["aer"]["seed 0"]["circuits"] == 2 * (1 + 3 * 12)
    assert found["aer"]["seed 0"]["shots"] == 2 * (40 + 3 * 12 * 2)
    assert measured_study.tables(found).strip() in done.out
