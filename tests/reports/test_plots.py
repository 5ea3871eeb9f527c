"""Promises of the pictures: all is drawn, files are readable, no setting of the user's changes."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from sqsnn.quantum import circuits
from sqsnn.reports import circuit_drawing, plots, raster, style

DIGITS = tuple("0123456789")


def make_metrics(epochs):
    return [
        {
            "epoch": epoch,
            "train_loss": 2.0 / epoch,
            "train_accuracy": 1 - 0.6 / epoch,
            "validation_loss": 1.0 / epoch,
            "validation_accuracy": 0.9 - 0.5 / epoch,
            "validation_accuracy_ties_by_probability": 0.91 - 0.5 / epoch,
            "validation_accuracy_probability": 0.95 - 0.5 / epoch,
            "spikes_per_sample": [3.0, 4.0],
        }
        for epoch in range(1, epochs + 1)
    ]


def save_pictures(folder, make_run):
    input_spikes, run = make_run([64, 32, 10])
    samples = [
        raster.Shown("Right", input_spikes, run, place=0, label=3, prediction=3),
        raster.Shown("Wrong", input_spikes, run, place=1, label=3, prediction=8),
    ]
    figures = {
        "learning-curve.png": plots.learning_curve(make_metrics(4)),
        "raster.png": raster.raster(samples, DIGITS),
        "confusion-matrix.png": plots.confusion_matrix(np.diag(np.arange(1, 11)), DIGITS),
        "circuit.png": circuit_drawing.draw(circuits.get("bidirectional", 1, 1)),
    }
    for name, figure in figures.items():
        style.save(figure, folder / name)
    return [folder / name for name in figures]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, make_run):
    return save_pictures(tmp_path_factory.mktemp("run"), make_run)


# The pictures of a run


def test_the_four_pictures_of_a_run_are_readable_files(pictures):
    for path in pictures:
        pixels = imread(path)
        height, width = pixels.shape[:2]
        assert 800 <= width <= 2400, path.name
        assert 300 <= height <= 3000, path.name
        # Something is drawn, and the ground is white.
        assert np.all(pixels[0, 0, :3] == 1)
        assert 0.01 < (pixels[..., :3] < 0.95).any(axis=-1).mean() < 0.9, path.name


def test_drawing_never_loads_pyplot():
    code = """
import sys
from sqsnn.quantum import circuits
from sqsnn.reports import circuit_drawing, plots
circuit_drawing.draw(circuits.get('crx', 1, 1))
assert 'matplotlib.pyplot' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_do_not_depend_on_the_settings_of_the_user(pictures, make_run, tmp_path):
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "lines.linewidth": 9}):
        again = save_pictures(tmp_path, make_run)
    for first, second in zip(pictures, again, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


# Learning curve


@pytest.mark.parametrize("epochs", [1, 3, 40])
def test_learning_curve_shows_every_epoch_and_names_the_best(epochs):
    metrics = make_metrics(epochs)
    # The best weights are chosen by spikes alone.
    metrics[-1]["validation_accuracy_ties_by_probability"] = 0.999
    metrics[epochs // 2]["validation_accuracy"] = 0.987
    loss, accuracy = plots.learning_curve(metrics).axes
    assert loss.lines[0].get_xydata().tolist() == [[m["epoch"], m["train_loss"]] for m in metrics]
    labels = {line.get_label(): line for line in accuracy.lines}
    shown = labels["validation, by spikes"].get_ydata()
    assert shown == pytest.approx([100 * m["validation_accuracy"] for m in metrics])
    assert f"98.7 % in the best epoch, {epochs // 2 + 1}" in accuracy.get_title(loc="left")
    assert "(%)" in accuracy.get_ylabel()
    assert "(nats)" in loss.get_ylabel()


def test_learning_curve_refuses_no_epochs(own_checks):
    with pytest.raises(ValueError, match="metrics must hold at least one epoch"):
        plots.learning_curve([])


# Confusion matrix


def test_confusion_matrix_prints_every_count_in_its_cell():
    counts = np.array([[8, 2, 0], [0, 9, 0], [1, 0, 7]])
    figure = plots.confusion_matrix(counts, ("ant", "bee", "cat"))
    (axes,) = figure.axes
    printed = {text.get_position()[::-1]: int(text.get_text()) for text in axes.texts}
    assert printed == {(0, 0): 8, (0, 1): 2, (1, 1): 9, (2, 0): 1, (2, 2): 7}
    assert "24 of 27 correct (88.9 %)" in axes.get_title(loc="left")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["ant", "bee", "cat"]


def test_mistakes_have_another_hue_than_hits():
    counts = np.array([[90, 10], [0, 0]])  # a class without samples is no trouble
    figure = plots.confusion_matrix(counts, ("a", "b"))
    figure.draw_without_rendering()  # gives each cell its colour
    (axes,) = figure.axes
    hit, mistake, empty, _ = axes.collections[0].get_facecolor()[:, :3]
    assert hit[2] > hit[0] + 0.2, "hits are blue"
    assert mistake[0] > mistake[2] + 0.2, "mistakes are orange"
    assert np.ptp(empty) < 0.05, "empty cells are grey"


@pytest.mark.parametrize(
    ("counts", "names", "message"),
    [
        (np.zeros((2, 3), int), "ab", "counts must be a square matrix"),
        (np.zeros((2, 2), int), "ab", "at least one in all"),
        (np.array([[3, -1], [0, 3]]), "ab", "none negative"),
        (np.eye(3, dtype=int), "ab", "class_names must have 3 names"),
    ],
)
def test_confusion_matrix_refuses(own_checks, counts, names, message):
    with pytest.raises(ValueError, match=message):
        plots.confusion_matrix(counts, names)
