"""The model of spike trains: likelihood, fit, scores, samples, its exact laws, its refusals."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sqsnn import Leaky, Saturating, SpikeTrainModel, SpikeTrains, TrainingError, circuits


def gamma_law(mean: float, cv: float, longest: int = 200) -> np.ndarray:
    """Intervals of 1..longest bins: a gamma density at whole numbers."""
    k, shape = np.arange(1, longest + 1), cv**-2
    log = (shape - 1) * np.log(k) - shape * k / mean
    law = np.exp(log - log.max())
    return law / law.sum()


def renewal(law: np.ndarray, trains: int, bins: int, seed: int) -> np.ndarray:
    """Trains (n, T) that have just fired before their first bin."""
    rng = np.random.default_rng(seed)
    spikes = np.zeros((trains, bins), np.uint8)
    for train in spikes:
        at = rng.choice(len(law), bins, p=law).cumsum() + np.arange(bins)
        train[at[at < bins]] = 1
    return spikes


def gap(model: SpikeTrainModel, law: np.ndarray) -> float:
    """Kullback-Leibler distance of the model's interval law per bin, in millinats."""
    found = model.intervals(len(law))
    distance = (law * np.log(law / found))[law > 0].sum()
    return 1000 * distance / (law * np.arange(1, len(law) + 1)).sum()


LAW = gamma_law(8, 0.3)


@pytest.fixture(scope="module")
def regular() -> np.ndarray:
    return renewal(LAW, 20, 500, seed=0)


@pytest.fixture(scope="module")
def fitted(regular) -> SpikeTrainModel:
    return SpikeTrainModel(starts=6, random_state=0).fit(regular)


def stimulus(trains: int, bins: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, (trains, bins)).clip(-2, 2)


@pytest.fixture(scope="module")
def driven() -> SpikeTrainModel:
    x = stimulus(6, 200, 0)
    spikes = (x[:, :, None] > [0.6, 0.9]).astype(np.uint8)
    model = SpikeTrainModel(stimulus_lags=2, starts=2, max_iterations=30, random_state=0)
    return model.fit(spikes, x)


# The fit


def test_one_qubit_reaches_the_one_qubit_limit_of_regular_trains(fitted):
    # DESIGN 2: 8.7 millinats per step at best; 10,000 bins cost about parameters / 2 / bins more,
    # 4 / 2 / 10,000 = 0.2 millinats.
    assert 8.6 < gap(fitted, LAW) < 8.7 + 0.8
    assert fitted.parameters_ == 4
    assert fitted.converged_


def test_two_qubits_beat_what_one_can_reach():
    model = SpikeTrainModel(memory_qubits=2, starts=3, max_iterations=60, random_state=0)
    assert gap(model.fit(renewal(LAW, 20, 500, seed=0)), LAW) < 2


def test_universal_reaches_the_same_limit(regular):
    model = SpikeTrainModel(circuit="universal", starts=2, random_state=0).fit(regular)
    assert gap(model, LAW) < 8.7 + 1.5  # 15 parameters
    assert model.parameters_ == 15


def test_the_same_seed_gives_the_same_fit_and_another_seed_other_starts(regular):
    one, same, other = (
        SpikeTrainModel(starts=2, max_iterations=5, random_state=seed).fit(regular)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one.starts_, same.starts_)
    assert one.score(regular) == same.score(regular)
    assert not np.array_equal(one.starts_, other.starts_)


def test_the_gradient_of_the_fit_ends_at_zero(fitted, regular):
    process = fitted.process_
    parameters = list(process.trained().values())
    from sqsnn.spike_trains.process import observe
    from sqsnn.spike_trains.recording import Recording

    (data,) = observe(Recording(SpikeTrains.from_bins(regular)), 0)
    loss = -process.log_likelihood(data).sum() / regular.sum()
    gradients = torch.autograd.grad(loss, parameters)
    # The stopping rule of L-BFGS is 1e-5, or a relative change of 2e-9 in the loss.
    assert max(it.abs().max().item() for it in gradients) < 1e-3


# Probabilities and scores


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("drive", [None, Leaky(bias=0.2)])
@pytest.mark.filterwarnings("ignore:the fit gains")
def test_probabilities_of_all_trains_sum_to_one(units, drive):
    spikes = np.random.default_rng(0).integers(0, 2, (3, 40, units), dtype=np.uint8)
    given = {} if drive is None else {"drive": drive}
    model = SpikeTrainModel(starts=1, max_iterations=3, random_state=0, **given).fit(spikes)
    every = np.array(list(itertools.product((0, 1), repeat=4 * units)), np.uint8)
    total = np.exp(model.log_likelihood(every.reshape(-1, 4, units))).sum()
    assert abs(total - 1) < 1e-12


def test_the_likelihood_is_the_product_of_the_predicted_probabilities(fitted):
    trains = [[0, 0, 1, 0, 0, 0, 0, 1], [1, 0, 0]]
    chance = fitted.predict_proba(trains)
    for spikes, p, found in zip(trains, chance, fitted.log_likelihood(trains), strict=True):
        assert p.shape == (len(spikes), 1)
        expected = sum(math.log(q if s else 1 - q) for s, q in zip(spikes, p[:, 0], strict=True))
        assert abs(found - expected) < 1e-12


def test_predictions_have_the_shape_of_the_array_and_of_no_later_bin(fitted, regular):
    chance = fitted.predict_proba(regular)
    assert chance.shape == regular.shape
    changed = regular.copy()
    changed[:, 300:] = 1 - changed[:, 300:]
    assert np.array_equal(fitted.predict_proba(changed)[:, :301], chance[:, :301])


def test_trains_of_unequal_lengths_are_scored_as_each_alone(fitted, regular):
    # Lengths in three groups of padding, out of order.
    lengths = [500, 3, 40, 400, 5, 39, 1]
    trains = [regular[n, :length] for n, length in enumerate(lengths)]
    alone = [fitted.log_likelihood([train])[0] for train in trains]
    np.testing.assert_allclose(fitted.log_likelihood(trains), alone, rtol=1e-12)
    each = fitted.predict_proba(trains)
    assert [len(it) for it in each] == lengths
    np.testing.assert_allclose(each[3], fitted.predict_proba([trains[3]])[0], rtol=1e-12)


def test_the_warm_up_prepares_the_memory_and_is_not_scored(fitted, regular):
    late = clone(fitted).set_params(warm_up=100, max_iterations=1, starts=1).fit(regular)
    late.process_ = fitted.process_
    p = fitted.predict_proba(regular)[:, 100:]
    expected = np.log(np.where(regular[:, 100:] == 1, p, 1 - p)).sum(1)
    np.testing.assert_allclose(late.log_likelihood(regular), expected, rtol=1e-10)


def test_a_model_without_memory_gains_nothing_whatever_the_warm_up():
    # Busy in the warm-up alone: the rate of the Poisson process is that of the scored bins.
    busy = np.random.default_rng(0).random((5, 1000)) < np.where(np.arange(1000) < 100, 0.5, 0.05)
    model = SpikeTrainModel(0, circuit="crx", warm_up=100, starts=2, random_state=0)
    with pytest.warns(UserWarning, match="which is nothing"):
        model.fit(busy)
    assert abs(model.score(busy)) < 1e-4
    assert model.rate_ == busy[:, 100:].mean()


def test_starts_are_compared_on_pieces_of_all_trains():
    # The stimulus changes only late, the spikes with it; and 60,000 silent bins come first.
    x = np.repeat([[0.0]] * 5 + [[1.0]] * 5, 1000, axis=1)
    spikes = np.random.default_rng(0).random((10, 1000)) < 0.1 * x + 0.001
    model = SpikeTrainModel(circuit="crx", starts=4, random_state=0).fit(spikes, x)
    assert model.score(spikes, x) > 0.3  # the true law gains 0.42
    late = np.concatenate([np.zeros(60_000, int), np.tile([0, 0, 0, 1], 200)])
    model = SpikeTrainModel(starts=3, max_iterations=2, random_state=0).fit([late])
    assert len(set(model.starts_)) == 3


def test_agreeing_starts_are_counted(fitted):
    best = fitted.starts_.max()
    assert fitted.agreeing_ == sum(best - it < 0.01 for it in fitted.starts_) > 1


def test_the_score_is_in_bits_per_spike_above_a_coin_of_the_trained_rate(fitted, regular):
    other = renewal(LAW, 5, 400, seed=5)
    q, spikes = regular.mean(), other.sum()
    coin = spikes * math.log(q) + (other.size - spikes) * math.log(1 - q)
    expected = (fitted.log_likelihood(other).sum() - coin) / spikes / math.log(2)
    assert abs(fitted.score(other) - expected) < 1e-12
    assert fitted.score(other) > 0.8


def test_the_right_model_passes_the_test_of_rescaled_time_and_a_wrong_one_does_not(fitted):
    drawn = fitted.sample(20, 500, random_state=3)
    assert fitted.time_rescaling(drawn, random_state=0).p_value > 0.01
    bursts = np.tile([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], (4, 50))
    assert fitted.time_rescaling(bursts, random_state=0).p_value < 1e-6


# Samples and laws


def test_samples_have_the_intervals_of_the_exact_law(fitted):
    sample = fitted.sample(200, 2000, random_state=1)
    assert (len(sample), sample.bins, sample.units) == (200, 400_000, 1)
    gaps = np.concatenate([np.diff(np.flatnonzero(train[:, 0])) for train in sample])
    counts = np.bincount(gaps, minlength=41)[1:41]
    expected = fitted.intervals(40) * len(gaps)
    kept = expected > 20
    # Nearly independent counts; the variance of each is below its mean: 5 deviations in 40 bins
    # are a false alarm once in 1e5, and the seed is fixed.
    assert (np.abs(counts - expected)[kept] < 5 * np.sqrt(expected[kept])).all()
    first = fitted.sample(3, 50, random_state=np.random.default_rng(4))
    again = fitted.sample(3, 50, random_state=np.random.default_rng(4))
    assert all(map(np.array_equal, first, again))


@pytest.mark.filterwarnings("ignore:the fit gains")
def test_autocorrelation_of_a_renewal_process_follows_from_its_intervals():
    # c(k) = P(k) + sum_j P(j) c(k - j), for a memory that a spike sets back: here a coin.
    model = SpikeTrainModel(0, circuit="crx", starts=1, random_state=0)
    model.fit(np.random.default_rng(0).integers(0, 2, (4, 100)))
    P, c = model.intervals(30), model.autocorrelation(30)
    renewed = [P[k] + sum(P[j] * c[k - j - 1] for j in range(k)) for k in range(30)]
    np.testing.assert_allclose(c, renewed, rtol=1e-10)


# A stimulus and several units


def test_a_stimulus_that_makes_the_spikes_is_found(driven):
    x = stimulus(6, 200, 1)
    spikes = (x[:, :, None] > [0.6, 0.9]).astype(np.uint8)
    assert driven.rate_.shape == (2,)
    assert driven.score(spikes, x) > 0.5
    shuffled = x[::-1]
    assert driven.score(spikes, shuffled) < driven.score(spikes, x) - 0.5
    assert driven.predict_proba(spikes, x).shape == spikes.shape
    assert driven.sample(2, 50, stimulus(2, 50, 2), random_state=0).units == 2


def test_only_the_last_bins_of_a_stimulus_count(driven):
    x = stimulus(1, 30, 3)
    silent = np.zeros((1, 30, 2), np.uint8)
    moved = x.copy()
    moved[0, 10] += 1
    # With the spikes given, the memory alone carries the stimulus on; a spike or none is given, so
    # that later bins may change, but no earlier one.
    before, after = driven.predict_proba(silent, x), driven.predict_proba(silent, moved)
    assert np.array_equal(before[0, :10], after[0, :10])
    assert not np.array_equal(before[0, 10], after[0, 10])


def test_a_model_with_a_stimulus_or_a_membrane_has_no_law_for_all_times(driven):
    with pytest.raises(ValueError, match="has no law for all times"):
        driven.intervals()
    spikes = np.random.default_rng(0).integers(0, 2, (2, 50))
    leaky = SpikeTrainModel(drive=Leaky(), starts=1, max_iterations=2, random_state=0).fit(spikes)
    with pytest.raises(ValueError, match="has no law for all times"):
        leaky.autocorrelation()


def test_a_leaky_drive_fits_regular_trains_by_its_membrane_alone(regular):
    model = SpikeTrainModel(
        0, circuit="bidirectional", drive=Leaky(), starts=4, random_state=0
    ).fit(regular)
    assert model.score(regular) > 0.9
    assert 0 <= model.process_.neurons.beta.item() <= 1


# Saved models


def test_a_saved_model_scores_and_samples_as_before(driven, fitted, regular, tmp_path):
    fitted.save(tmp_path / "a.sqsnn")
    again = SpikeTrainModel.load(tmp_path / "a.sqsnn")
    assert again.score(regular) == fitted.score(regular)
    assert np.array_equal(again.intervals(), fitted.intervals())
    assert (again.n_iter_, again.converged_, again.parameters_, again.bin_width_) == (
        fitted.n_iter_,
        True,
        4,
        None,
    )
    x = stimulus(2, 50, 2)
    spikes = driven.sample(2, 50, x, random_state=0)
    driven.save(tmp_path / "b.sqsnn")
    loaded = SpikeTrainModel.load(tmp_path / "b.sqsnn")
    assert np.array_equal(loaded.log_likelihood(spikes, x), driven.log_likelihood(spikes, x))


# Refusals


@pytest.mark.parametrize(
    ("trains", "given", "message"),
    [
        ([[0, 2]], {}, "2"),
        ([[0, 0], [0, 0]], {}, "unit 0 of trains never fires"),
        (np.array([[[0, 1], [0, 1]]]), {}, "unit 0 of trains never fires"),
        ([[0, 1]], {"warm_up": 2}, "warm_up is 2, but the longest train has 2 bins"),
        ([[0, 1]], {"warm_up": -1}, "warm_up"),
        ([[0, 1]], {"starts": 0}, "starts"),
        ([[0, 1]], {"max_iterations": 0}, "max_iterations"),
        ([[0, 1]], {"stimulus_lags": 0}, "stimulus_lags"),
        ([[0, 1]], {"circuit": "tick"}, "circuit is 'tick'"),
        ([[1, 0, 0]], {"warm_up": 1}, "unit 0 of trains never fires in a bin that is scored"),
        ([[0, 1]], {"memory_qubits": 0}, "memory_qubits is 0; circuit 'clock'"),
        ([[0, 1]], {"threads": 0}, "threads"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(trains, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SpikeTrainModel(**given).fit(trains)


def test_trains_that_no_start_allows_are_refused():
    # A circuit without gates never fires without a current.
    still = circuits.Circuit.build(1, 1, [("RX", (1,), circuits.Normal(0.0, 0.1))])
    with pytest.raises(TrainingError, match="probability 0 for each of 2 starts"):
        SpikeTrainModel(circuit=still, starts=2, random_state=0).fit([[0, 1, 0, 1]])


def test_a_circuit_without_angles_is_refused():
    still = circuits.Circuit.build(1, 1, [("H", (0,)), ("CX", (0, 1))])
    with pytest.raises(ValueError, match="circuit has no angles"):
        SpikeTrainModel(circuit=still).fit([[0, 1, 0, 1]])


def test_trains_that_end_within_the_warm_up_cost_nothing(regular):
    # Starts are compared on later trains, which have bins to score.
    short = [[0, 1, 0]] * 3
    model = SpikeTrainModel(warm_up=10, starts=1, max_iterations=5, random_state=0)
    mixed = model.fit([*short, *regular]).log_likelihood([*short, *regular])
    assert (mixed[:3] == 0).all()
    assert (mixed[3:] < 0).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (None, "fitted with a stimulus: give stimulus, too"),
        (3.0, "stimulus must be an array"),
        ([[0.0, [1.0]], [0.0]], "stimulus 0 is no array"),
        (np.full((2, 50), 1e6), r"stimulus 0 holds 1e\+06; scale it"),
        (stimulus(3, 50, 0), "stimulus has 3 trains, but trains has 2"),
        (stimulus(2, 49, 0), r"stimulus 0 has shape \(49,\), but its train has 50 bins"),
        (np.zeros((2, 50, 2)), r"must have 1 feature in all trains, but has \[2\]"),
        (np.full((2, 50), np.nan), "stimulus 0 holds nan in bin 0"),
        (np.full((2, 50), "a"), "stimulus 0 must hold numbers"),
    ],
)
def test_a_stimulus_that_does_not_fit_is_refused(driven, x, message):
    with pytest.raises((ValueError, TypeError), match=message):
        driven.score(np.ones((2, 50, 2), np.uint8), x)


def test_what_does_not_fit_a_fitted_model_is_refused(fitted):
    with pytest.raises(NotFittedError):
        SpikeTrainModel().score([[0, 1]])
    with pytest.raises(ValueError, match="trains has 2 units, but the model was fitted to 1"):
        fitted.score(np.ones((1, 3, 2), np.uint8))
    with pytest.raises(ValueError, match="fitted without a stimulus: leave stimulus out"):
        fitted.score([[0, 1]], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="no spike"):
        fitted.score([[0, 0]])
    timed = clone(fitted).set_params(starts=1, max_iterations=1)
    timed.fit(SpikeTrains.from_bins([[0, 1, 0, 1]], bin_width=0.001))
    with pytest.raises(ValueError, match=r"bins of 0.002 s, but the model was fitted .* 0.001 s"):
        timed.score(SpikeTrains.from_bins([[0, 1]], bin_width=0.002))


def test_samples_that_no_memory_holds_are_refused_at_once(fitted):
    with pytest.raises(ValueError, match="trains is 1000000 and bins is 1000000, which take about"):
        fitted.sample(1_000_000, 1_000_000)
    with pytest.raises(ValueError, match=r"unit must be an integer in 0\.\.0, but is 1"):
        fitted.intervals(10, unit=1)


def test_tensors_and_tables_are_taken_and_gradient_mode_does_not_matter():
    pandas = pytest.importorskip("pandas")
    x, spikes = stimulus(3, 40, 0), (stimulus(3, 40, 0) > 0.5).astype(int)
    models = []
    for give in (np.asarray, torch.tensor, pandas.DataFrame):
        shown = give(x)
        if isinstance(shown, torch.Tensor):
            shown.requires_grad_()
        with torch.no_grad():
            model = SpikeTrainModel(circuit="crx", starts=1, max_iterations=5, random_state=0)
            models.append(model.fit(spikes, shown).score(spikes, shown))
    assert models[0] == models[1] == models[2]


def test_saturating_is_a_drive_too(regular):
    model = SpikeTrainModel(drive=Saturating(), starts=1, max_iterations=2, random_state=0)
    assert math.isfinite(model.fit(regular).score(regular))
