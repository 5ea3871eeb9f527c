"""Promises of the spike raster: every spike where it fell, right and wrong side by side."""

import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from sqsnn.network import NetworkRecord
from sqsnn.neurons.population import Record
from sqsnn.reports.raster import Shown, raster
from sqsnn.reports.style import BLUE, VERMILION


def bars(axes):
    return [
        path
        for collection in axes.collections
        if isinstance(collection, PolyCollection)
        for path in collection.get_paths()
    ]


@pytest.mark.parametrize(
    ("sizes", "channels"), [([6, 4], 1), ([64, 32, 10], 1), ([24, 40, 30, 27], 2)]
)
def test_it_draws_every_spike_of_both_samples_and_counts_them(make_run, sizes, channels):
    input_spikes, run = make_run(sizes, channels=channels)
    names = [f"class {number}" for number in range(sizes[-1])]
    shown = [
        Shown("Right: one", input_spikes, run, place=1, label=1, prediction=1),
        Shown("Wrong: two", input_spikes, run, place=0, label=1, prediction=2),
    ]
    figure = raster(shown, names)
    layers = [input_spikes, *(record.spikes for record in run.layers)]
    grid = np.reshape(figure.axes, (len(layers), 4))
    for column, sample in ((0, shown[0]), (2, shown[1])):
        for axes, spikes in zip(grid[:, column], layers, strict=True):
            total = int(spikes[:, sample.place].sum())
            assert len(bars(axes)) == total > 0
            assert f"{total} spikes" in axes.get_title(loc="left")
        assert sample.title in [text.get_text() for text in grid[0, column].texts]
    assert [tick.get_text() for tick in grid[-1, 0].get_yticklabels()] == names
    # The mark at the true class, and the bar of the named one, in the colour of the outcome.
    for column, named, color in ((0, 1, BLUE), (2, 2, VERMILION)):
        (mark,) = grid[-1, column].texts
        assert mark.xy[1] == 1
        colors = [to_hex(bar.get_facecolor()) for bar in grid[-1, column + 1].patches]
        assert [number for number, one in enumerate(colors) if one == color.lower()] == [named]
    # Both count on the same scale.
    assert grid[-1, 1].get_xlim() == grid[-1, 3].get_xlim()
    # Nothing of a title is cut off.
    figure.draw_without_rendering()
    inside = figure.bbox.padded(1)
    for text in (text for axes in figure.axes for text in axes.texts):
        assert inside.containsx(text.get_window_extent().x1)
        assert inside.containsy(text.get_window_extent().y1)


def test_one_sample_fills_the_width(make_run):
    input_spikes, run = make_run([6, 4])
    figure = raster([Shown("Right", input_spikes, run, 0, label=0, prediction=0)], "abcd")
    assert len(figure.axes) == 4


def test_populations_are_drawn_under_their_names(make_run):
    input_spikes, run = make_run([6, 3, 5, 4])

    def titles(*names):
        shown = Shown("Right", input_spikes, run._replace(names=names), 0, label=0, prediction=0)
        return [axes.get_title(loc="left") for axes in raster([shown], "abcd").axes[::2]]

    for names, shown in (
        (("hidden_1", "hidden_2", "output"), ("Hidden layer 1", "Hidden layer 2", "Output")),
        (("conv", "hidden", "output"), ("conv", "Hidden layer", "Output")),
        (("hidden_state", "Output", "class"), ("hidden_state", "Output", "Output")),
    ):
        found = [title.partition(":")[0] for title in titles(*names)]
        assert found == ["Input", *shown]


def test_a_spike_is_where_it_fell():
    steps, neurons, channels = 4, 3, 2
    spikes = torch.zeros(steps, 1, neurons, channels)
    spikes[2, 0, 1, 0] = 1.0
    run = NetworkRecord(
        (Record(spikes, spikes, torch.zeros(steps, 1, neurons), None),), None, ("a",)
    )
    silent = torch.zeros(steps, 1, 5, 1)
    figure = raster([Shown("Wrong", silent, run, 0, label=0, prediction=1)], "abc")
    (bar,) = bars(figure.axes[2])
    (left, top), (right, bottom) = bar.vertices.min(axis=0), bar.vertices.max(axis=0)
    # Steps count from 1; the first of two channels lies in the upper half of its neuron's row.
    assert 2.5 < left < 3 < right < 3.5
    assert 0.5 < top < bottom < 1.0


def test_analogue_input_is_called_so(make_run):
    _, run = make_run([6, 4])
    values = torch.full((5, 2, 6, 1), 0.3)
    figure = raster([Shown("Right", values, run, 0, label=0, prediction=0)], "abcd")
    assert "analogue values" in figure.axes[0].get_title(loc="left")


def test_currents_beyond_the_range_of_the_training_are_drawn_in_full(make_run):
    _, run = make_run([6, 4])
    values = torch.zeros(5, 2, 6, 1)
    values[:3, 0, 0, 0] = torch.tensor([-0.5, 1.5, -7.0])
    figure = raster([Shown("Right", values, run, 0, label=0, prediction=0)], "abcd")
    drawn = [one for one in figure.axes[0].collections if isinstance(one, PolyCollection)]
    assert drawn[0].get_alpha().tolist() == [0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "class_names", "message"),
    [
        ({"place": 2}, "abcd", r"place must lie in 0\.\.1, but is 2"),
        ({}, "abc", "class_names must have 4 names, .* but has 3"),
        (
            {"input_spikes": torch.zeros(3, 2, 6, 1)},
            "abcd",
            r"input_spikes must have shape \(5, 2, P, C\)",
        ),
    ],
)
def test_wrong_arguments_are_refused(make_run, own_checks, change, class_names, message):
    input_spikes, run = make_run([6, 4])
    shown = Shown("Right", input_spikes, run, 0, label=0, prediction=0)._replace(**change)
    with pytest.raises(ValueError, match=message):
        raster([shown], class_names)


def test_no_sample_is_refused(own_checks):
    with pytest.raises(ValueError, match="samples must hold at least one sample"):
        raster([], "abcd")
