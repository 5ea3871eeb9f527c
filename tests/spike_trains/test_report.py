"""The page and the pictures of a fitted model: its own figures, exact laws, in plain words."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from page_parser import Page

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.reports import spike_plots
from sqsnn.spike_trains import figures, folder
from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn.spike_trains.recording import Recording, hold_out

PICTURES = ("intervals.png", "autocorrelation.png", "time-rescaling.png", "circuit.png")


def regular(trains: int = 6, units: int = 1) -> Recording:
    """Trains whose intervals are 5 to 8 bins, all as probable."""
    rng = np.random.default_rng(0)
    times = [[np.cumsum(rng.integers(5, 9, 20)) for _ in range(units)] for _ in range(trains)]
    return Recording(SpikeTrains.from_times(times, 1.0, stop=170.0))


def fitted(recording: Recording, **chosen) -> SpikeTrainModel:
    model = SpikeTrainModel(**{"starts": 2, "max_iterations": 20, "random_state": 0} | chosen)
    return model.fit(recording.trains, recording.stimulus)


class Reported:
    """A folder that was written, and the figures that were drawn for it."""

    def __init__(self, path: Path, model: SpikeTrainModel, parts: dict[str, Recording]) -> None:
        self.drawn: list[Figure] = []
        self.path = path

        with pytest.MonkeyPatch.context() as patch:
            draw = spike_plots.after_spike
            patch.setattr(
                spike_plots,
                "after_spike",
                lambda *given: self.drawn.append(draw(*given)) or self.drawn[-1],
            )
            self.figures = folder.write(
                path, figures.Fitted("a.csv", model, parts, 0), {"time_unit": "ms"}
            )
        self.page = Page((path / "report.html").read_text("utf-8"))
        self.metrics = json.loads((path / "metrics.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def model() -> SpikeTrainModel:
    return fitted(hold_out(regular(), 0.3)[0])


@pytest.fixture(scope="module")
def reported(tmp_path_factory, model) -> Reported:
    training, test = hold_out(regular(), 0.3)
    assert test is not None
    parts = {"training": training, "held out": test}
    return Reported(tmp_path_factory.mktemp("reported"), model, parts)


def test_the_page_shows_the_four_pictures_that_lie_beside_it_and_says_what_they_show(reported):
    assert reported.page.images == [(reported.path / name).read_bytes() for name in PICTURES]
    assert all(len(alt) > 20 for alt in reported.page.alts)
    assert "the model's exact law" in reported.page.text
    assert "Trust the held-out figures" in reported.page.text
    assert "Kaplan-Meier" in reported.page.text
    assert re.search(
        r"The model (fails|passes) the test of rescaled time \(p = ", reported.page.text
    )


def test_the_figures_are_those_of_the_model_on_each_part(reported, model):
    training, test = hold_out(regular(), 0.3)
    for part, recording in (("training", training), ("held out", test)):
        found, bits = reported.metrics[part.replace(" ", "_")], model.score(recording.trains)
        assert found["bits_per_spike"] == bits
        assert f"bits per spike, {part} {bits:+.3f}" in reported.page.text
        assert found["spikes"] == recording.trains.count
        test_of_part = model.time_rescaling(recording.trains, random_state=0)
        told = (found["ks_distance"], found["ks_p_value"])
        assert told == (test_of_part.statistic, test_of_part.p_value)
    assert folder.load(reported.path).score(training.trains) == pytest.approx(
        reported.metrics["training"]["bits_per_spike"], abs=1e-12
    )


def test_the_pictures_show_the_recorded_intervals_and_the_exact_laws(reported, model):
    training, _ = hold_out(regular(), 0.3)
    intervals, following = (figure.axes[0] for figure in reported.drawn)
    recorded, edges, _ = intervals.patches[0].get_data()
    at_risk, ended = np.zeros(len(recorded)), np.zeros(len(recorded))
    for train in training.trains:
        spikes = np.flatnonzero(train).tolist()
        for first, second in zip(spikes, [*spikes[1:], None], strict=True):
            at_risk[: (second or len(train) - 1) - first] += 1
            if second is not None:
                ended[second - first - 1] += 1
    hazard = ended / at_risk
    survival = np.cumprod(np.concatenate([[1], 1 - hazard[:-1]]))
    # Bins of 1 s, so that an interval of k bins is drawn from k - 0.5 to k + 0.5 seconds.
    np.testing.assert_allclose(edges, np.arange(len(edges)) + 0.5)
    assert intervals.get_xlabel() == "time since a spike (s; bar width 1)"
    np.testing.assert_allclose(recorded, survival * hazard, atol=1e-12)
    law, poisson = (line.get_ydata() for line in intervals.lines)
    np.testing.assert_array_equal(law, model.intervals(len(law)))
    # Within the intervals shown, the Poisson process of the same rate has 1 - (1 - rate)^k.
    rate = model.rate_[0]
    assert poisson.sum() == pytest.approx(1 - (1 - rate) ** len(poisson), abs=1e-12)
    np.testing.assert_array_equal(
        following.lines[0].get_ydata(), model.autocorrelation(2 * len(law))
    )
    np.testing.assert_array_equal(following.lines[1].get_ydata(), rate)


def test_short_trains_show_the_law_of_their_process_without_bias(tmp_path):
    # Of intervals of 2 or 12 bins, each half the time, trains of 20 bins show the short ones more
    # often whole: they are 74 % of what a plain count finds.
    rng = np.random.default_rng(0)
    times = [np.cumsum(rng.choice([2, 12], 12)) for _ in range(400)]
    trains = SpikeTrains.from_times([it[it < 20] for it in times], 1.0, stop=20.0)
    recording = Recording(trains)
    reported = Reported(
        tmp_path, fitted(recording, starts=1, max_iterations=2), {"training": recording}
    )
    recorded, _, _ = reported.drawn[0].axes[0].patches[0].get_data()
    # About 800 spikes are seen for 2 bins: one in 16,000 such samples is 4 errors off.
    assert recorded[[1, 11]] == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(800))


def test_long_intervals_are_drawn_in_groups_of_bins_with_the_same_shares(tmp_path):
    rng = np.random.default_rng(0)
    times = [np.cumsum(rng.integers(50, 200, 10)) for _ in range(4)]
    recording = Recording(SpikeTrains.from_times([it / 1000 for it in times], 0.001))
    reported = Reported(tmp_path, fitted(recording, starts=1), {"training": recording})
    recorded, edges, _ = reported.drawn[0].axes[0].patches[0].get_data()
    widths = np.diff(edges)  # in bins, which are milliseconds
    assert len(recorded) <= 60
    assert (widths == widths[0]).all() and widths[0] > 1
    assert f"(ms; bar width {widths[0]:g})" in reported.drawn[0].axes[0].get_xlabel()
    assert (recorded * widths).sum() == pytest.approx(1, abs=0.03)  # all but the longest intervals


@pytest.mark.parametrize("stimulated", [False, True])
def test_a_model_without_one_law_for_all_times_is_drawn_from_a_sample(tmp_path, stimulated):
    recording = regular(2)
    if stimulated:
        rng = np.random.default_rng(1)
        stimulus = [rng.random(len(train)) for train in recording.trains]
        recording = Recording(recording.trains, stimulus)
    model = fitted(
        recording, starts=1, max_iterations=5, drive=Rectified() if stimulated else Leaky()
    )
    reported = Reported(tmp_path, model, {"training": recording})
    assert "a long sample of the model" in reported.page.text
    assert "the figures flatter the model" in reported.page.text
    drawn = reported.drawn[0].axes[0].lines[0].get_ydata()
    assert 0 < drawn.sum() <= 1
    # With a current that is always there, a memory of real numbers is named as such.
    assert ("1 real number, the membrane" in reported.page.text) == (not stimulated)


def test_every_unit_has_its_own_panel(tmp_path):
    recording = regular(3, units=2)
    model = fitted(recording, starts=1, max_iterations=5)
    reported = Reported(tmp_path, model, {"training": recording})
    for unit, axes in enumerate(reported.drawn[0].axes):
        law = axes.lines[0].get_ydata()
        np.testing.assert_array_equal(law, model.intervals(len(law), unit))
    # Alone, each unit is tested as by `time_rescaling`, which tells of the worst of the two.
    tests = [reported.metrics["training"]["units"][unit]["ks_p_value"] for unit in ("0", "1")]
    worst = model.time_rescaling(recording.trains, random_state=0).unit
    assert np.argmin(tests) == worst
    assert "bits per spike" in figures.in_words(model, reported.figures)["unit 1, training"]


def test_units_that_fire_alone_gain_together_what_each_gains():
    # Without a memory two units are coins, each of its own in one bin; `crx` has nothing to tie
    # them, so that the joint likelihood is the product of the marginal ones.
    recording = regular(3, units=2)
    model = fitted(recording, memory_qubits=0, circuit="crx", starts=1, max_iterations=5)
    found = figures.measure(model, recording, 0)
    alone = [unit.bits_per_spike * unit.trains.count for unit in found.units.values()]
    together = found.bits_per_spike * found.trains.count
    assert sum(alone) == pytest.approx(together, abs=1e-9 * found.trains.bins)


def test_the_held_out_end_of_a_train_is_scored_with_what_went_before(model):
    whole = regular(2)
    training, test = hold_out(whole, 0.3)
    assert test is not None
    found = figures.measure(model, test, 0)
    # Chain rule, bin by bin: of the whole train, the probabilities of its last bins.
    nats = 0.0
    for train, chance, early in zip(
        whole.trains, model.predict_proba(whole.trains), training.trains, strict=True
    ):
        late = slice(len(early), None)
        nats += np.log(np.where(train == 1, chance, 1 - chance)[late]).sum()
    rate = model.rate_[0]
    spikes, bins = test.trains.count, test.trains.bins
    poisson = spikes * np.log(rate) + (bins - spikes) * np.log(1 - rate)
    assert found.bits_per_spike == pytest.approx((nats - poisson) / spikes / np.log(2), abs=1e-9)
    assert (found.trains.bins, found.trains.count) == (bins, spikes)


def test_the_verdict_tells_what_to_try_next(model):
    found = figures.measure(model, regular(), 0)
    assert found.rescaling is not None
    for p, said in (
        (0.2, "The model passes the test of rescaled time (p = 0.2) on held-out trains."),
        (
            0.01,
            "fails the test of rescaled time (p = 0.01) on held-out trains. Try --memory-qubits",
        ),
    ):
        tested = found._replace(rescaling=found.rescaling._replace(p_value=p))
        assert said in figures.verdict(model, {"training": found, "held out": tested})
    nothing = found._replace(bits_per_spike=-0.1)
    assert "nothing better than a constant rate" in figures.verdict(model, {"training": nothing})
    impossible = found._replace(rescaling=None)
    assert "impossible" in figures.verdict(model, {"training": found, "held out": impossible})


def test_an_impossible_recording_is_said_to_be_one(model):
    found = figures.measure(model, regular(), 0)._replace(bits_per_spike=-np.inf, rescaling=None)
    assert found.as_json()["bits_per_spike"] is None
    rows = figures.in_words(model, {"held out": found})
    assert rows["bits per spike, held out"] == "impossible spikes"
    assert "KS test, held out" not in rows
