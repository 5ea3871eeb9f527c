"""The picture of a diagnosis: every estimator and limit is drawn; matplotlib's settings stay."""

import matplotlib
import pytest
from matplotlib.image import imread

from sqsnn.reports import style
from sqsnn_bench.gradients import plots
from sqsnn_bench.gradients.diagnosis import Diagnosis, Estimate, Limit, Quality


def estimate(derivative: str, estimator: str, window: int, size: int, cosine: float | None):
    geometric = estimator == "geometric"
    return Estimate(
        derivative=derivative,
        estimator=estimator,
        window=window,
        repeats=size if geometric else None,
        shots=None if geometric else size,
        shots_per_step=10.0 * size * window,
        circuits_per_step=15.0,
        given_up=0.01 if geometric else None,
        quality={"all": Quality(cosine, 0.5, 0.1, 2.0, cosine)},
    )


def found(cosine: float | None = -0.2) -> Diagnosis:
    return Diagnosis(
        neuron_steps=100,
        draws=20,
        parameters={"all": 10},
        norm={"all": 1.0},
        limits=tuple(
            Limit(window, trials, 0.0, {"all": 0.9}, {"all": 0.4})
            for window in (1, 4)
            for trials in (None, 50)
        ),
        estimates=(
            estimate("shift", "geometric", 1, 1, 0.5),
            estimate("shift", "geometric", 1, 20, 0.8),
            estimate("shift", "geometric", 4, 1, cosine),
            estimate("shift", "laplace", 4, 100, 0.7),
            estimate("spsa", "geometric", 1, 1, 0.3),
        ),
    )


def test_every_estimator_and_limit_is_drawn():
    left, right = plots.gradients(found()).axes
    heights = [line.get_ydata()[0] for line in left.lines]
    assert heights.count(0.9) == 4
    assert sorted(heights)[:3] == [-0.2, 0, 0.3]
    assert [label.get_text() for label in left.get_xticklabels()] == ["1", "4"]
    assert {text.get_text() for text in left.texts} == {"1", "20", "100"}
    points = {point for line in right.lines for point in zip(*line.get_data(), strict=True)}
    assert {(10, 0.5), (200, 0.8), (40, -0.2), (4000, 0.7), (10, 0.3)} <= points
    assert left.get_ylim()[0] < -0.2


def test_the_legend_names_what_is_there():
    (legend,) = plots.gradients(found()).legends
    assert {text.get_text() for text in legend.texts} == {
        "infinitely many shots",
        "50 trials per event (geometric)",
        *("geometric", "laplace", "spsa"),
        *("W = 1", "W = 4"),
    }


def test_a_picture_is_saved_and_settings_stay(tmp_path):
    before = dict(dict.items(matplotlib.rcParams))
    style.save(plots.gradients(found()), tmp_path / "gradients.png")
    assert imread(tmp_path / "gradients.png").shape[1] > 1500
    assert dict(dict.items(matplotlib.rcParams)) == before


def test_a_cosine_that_is_none_is_refused():
    with pytest.raises(ValueError, match="the exact gradient vanishes"):
        plots.gradients(found(cosine=None))
