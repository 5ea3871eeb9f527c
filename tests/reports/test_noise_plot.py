"""The picture of accuracy against noise: every strength is there, and no setting of the user's."""

import matplotlib
import numpy as np
from matplotlib.image import imread
from numpy.testing import assert_allclose

from sqsnn.reports import style
from sqsnn.reports.noise_plot import NoisePoint, accuracy_against_noise


def point(strength: float, mean: float) -> NoisePoint:
    return NoisePoint(strength, (mean - 0.1, mean + 0.1), mean, 0.14, (3.0, 1.0))


POINTS = [point(1.0, 0.7), point(0.0, 0.8), point(4.0, 0.4)]  # in the order that was asked for


def test_every_strength_is_drawn_in_order_with_its_deviation():
    (axes,) = accuracy_against_noise(POINTS, "fake_boston", 10).axes
    (drawn,) = axes.containers
    line, _, (bars,) = drawn
    assert_allclose(np.array(line.get_data(), float), [[0, 1, 4], [0.8, 0.7, 0.4]])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()], float)
    assert_allclose(ends, [[0.66, 0.94], [0.56, 0.84], [0.26, 0.54]])


def test_chance_and_the_device_are_marked():
    (axes,) = accuracy_against_noise(POINTS, "fake_boston", 10).axes
    assert [0.1, 0.1] in [list(line.get_ydata()) for line in axes.lines]
    assert [1, 1] in [list(line.get_xdata()) for line in axes.lines]
    assert "fake_boston" in axes.get_title("left")
    assert "2 runs" in axes.get_title("left")


def test_a_picture_is_saved_and_settings_stay(tmp_path):
    before = dict(dict.items(matplotlib.rcParams))
    style.save(accuracy_against_noise(POINTS, "fake_boston", 10), tmp_path / "noise.png")
    assert imread(tmp_path / "noise.png").shape[1] > 1200
    assert dict(dict.items(matplotlib.rcParams)) == before
