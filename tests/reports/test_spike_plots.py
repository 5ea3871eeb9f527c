"""The plots of a model of spike trains show the numbers that they are given."""

import io

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.stats import kstest

from sqsnn.reports import spike_plots, style


def test_each_unit_has_a_panel_with_recording_model_and_poisson_process():
    edges = np.arange(0.5, 7)
    k = np.arange(6)
    units = {f"unit {n}": (k / 10 + n, k**2 / 100, np.full(6, 0.2)) for n in (0, 3, 4)}
    figure = spike_plots.after_spike(units, edges, "ms", "Intervals", "share")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["unit 0", "unit 3", "unit 4"]
    for axes, given in zip(shown, units.values(), strict=True):
        recorded, at, _ = axes.patches[0].get_data()
        model, poisson = axes.lines
        np.testing.assert_array_equal(recorded, given[0])
        np.testing.assert_array_equal(at, edges)
        np.testing.assert_array_equal(model.get_xydata()[:, 0], [1, 2, 3, 4, 5, 6])
        np.testing.assert_array_equal(model.get_ydata(), given[1])
        np.testing.assert_array_equal(poisson.get_ydata(), given[2])
        # Not by colour alone.
        assert {model.get_linestyle(), poisson.get_linestyle()} == {"-", "--"}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["recorded", "model", "Poisson process"]


def test_the_staircase_leaves_the_diagonal_by_the_distance_of_the_test():
    z = np.sort(np.random.default_rng(0).random(20) ** 2)
    line = spike_plots.time_rescaling({"all": (z, 0.3)}).axes[0].lines[1]
    at, share = line.get_xydata().T
    farthest = max(abs(share[1:] - at[1:]).max(), abs(share[:-1] - at[1:]).max())  # both of a step
    assert farthest == pytest.approx(kstest(z, "uniform").statistic, abs=1e-12)


def test_rescaled_intervals_are_a_distribution_function_with_its_band():
    z = np.array([0.1, 0.4, 0.8, 0.9])
    figure = spike_plots.time_rescaling({"training": (z, 0.3), "held out": (z[:2], 0.3)})
    first, second = figure.axes
    assert first.get_title(loc="left") == "training: 4 intervals"
    assert second.get_title(loc="left") == "held out: 2 intervals"
    # Steps: from each corner to the next, first along, then up.
    assert first.lines[1].get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(first.lines[1].get_xdata(), [0, *z, 1])
    np.testing.assert_allclose(first.lines[1].get_ydata(), [0, 0.25, 0.5, 0.75, 1, 1])
    labels = [text.get_text() for text in first.get_legend().get_texts()]
    assert labels == ["95 % band", "recording"]
    band = first.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(abs(band[:, 0] - band[:, 1]), 0.3)
    pixels = imread(io.BytesIO(style.png(figure)), format="png")
    assert min(pixels.shape[:2]) > 500
