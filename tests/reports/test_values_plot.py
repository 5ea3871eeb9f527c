"""The pictures of a run that predicts real values show its errors and its first test series."""

import numpy as np
import pytest
from matplotlib.image import imread

from sqsnn.reports import style, values_plot


def make_metrics(errors):
    return [
        {
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "validation_nmse": error,
            "validation_mse": 4.0 if error is None else 4 * error,
        }
        for epoch, error in enumerate(errors, start=1)
    ]


def lines_of(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


@pytest.mark.parametrize("errors", [[0.7], [1.4, 0.4, 0.6], np.linspace(1, 0.2, 40).tolist()])
def test_the_error_curve_shows_every_epoch_and_circles_the_best(errors):
    metrics = make_metrics(errors)
    loss, error = values_plot.error_curve(metrics).axes
    assert loss.lines[0].get_xydata().tolist() == [[m["epoch"], m["train_loss"]] for m in metrics]
    assert error.lines[0].get_ydata().tolist() == errors
    best = errors.index(min(errors))
    assert error.lines[-1].get_xydata().tolist() == [[best + 1, errors[best]]]
    assert f"{min(errors):.3f} in the best epoch, {best + 1}" in error.get_title(loc="left")
    low, high = error.get_ylim()
    assert low == 0 and high > max(1, *errors)  # the error of the mean is always seen


def test_targets_that_do_not_vary_have_a_loss_and_no_error():
    loss, error = values_plot.error_curve(make_metrics([None, None])).axes
    assert len(loss.lines[0].get_xydata()) == 2
    assert np.isnan(error.lines[0].get_ydata()).all()
    assert "not defined" in error.get_title(loc="left")


def test_no_epochs_are_refused(own_checks):
    with pytest.raises(ValueError, match="metrics must hold at least one epoch"):
        values_plot.error_curve([])


def test_a_series_is_drawn_beside_its_truth_where_its_steps_count():
    generator = np.random.default_rng(0)
    found, truth = generator.random((3, 8, 2)), generator.random((3, 8, 2))
    found[0, 6:] = np.nan  # behind its end
    for place, axes in enumerate(values_plot.predictions(found, truth, ("heat", "cold")).axes):
        lines = lines_of(axes)
        steps = np.arange(1, 9)
        expected = np.column_stack([steps, found[0, :, place]])
        np.testing.assert_array_equal(lines["prediction"], expected)
        np.testing.assert_array_equal(lines["truth"][:6, 1], truth[0, :6, place])
        assert np.isnan(lines["truth"][6:, 1]).all()
        assert axes.get_ylabel() == ("heat", "cold")[place]


def test_single_values_are_dots_beside_the_line_of_equal_values():
    generator = np.random.default_rng(0)
    found, truth = generator.random((20, 1)), 3 + generator.random((20, 1))
    (axes,) = values_plot.predictions(found, truth, ["price"]).axes
    line, dots = (drawn.get_xydata() for drawn in axes.lines)
    np.testing.assert_array_equal(dots, np.hstack([truth, found]))
    assert (line[:, 0] == line[:, 1]).all()
    assert line.min() == found.min() and line.max() == truth.max()
    assert axes.get_xlabel() == "price, true"


@pytest.mark.parametrize("shape", [(5, 9), (5, 12, 9)])
def test_of_many_values_the_first_are_drawn(shape):
    values = np.random.default_rng(0).random(shape)
    names = [f"y{place}" for place in range(9)]
    assert len(values_plot.predictions(values, values, names).axes) == values_plot.MOST_PANELS


def test_the_pictures_are_readable_files(tmp_path):
    values = np.random.default_rng(0).random((5, 12, 2))
    for number, figure in enumerate(
        (
            values_plot.error_curve(make_metrics([0.7, 0.5])),
            values_plot.predictions(values, values, ("a", "b")),
            values_plot.predictions(values[:, 0], values[:, 1], ("a", "b")),
        )
    ):
        style.save(figure, tmp_path / f"{number}.png")
        pixels = imread(tmp_path / f"{number}.png")
        assert 600 <= pixels.shape[1] <= 2400
        assert 0.01 < (pixels[..., :3] < 0.95).any(axis=-1).mean() < 0.9
