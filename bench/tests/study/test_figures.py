"""The pictures of a study show every model where its row says."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text
from numpy.testing import assert_allclose

from sqsnn_bench.study.figures import (
    accuracies,
    accuracy_against_operations,
    accuracy_against_size,
    save_all,
)
from sqsnn_bench.study.tables import summarise


def row(model, parameters, values, dataset="digits"):
    return {
        "dataset": dataset,
        "model": model,
        "label": model.upper(),
        "parameters": parameters,
        "seeds": list(range(len(values))),
        "test_accuracy": summarise(values),
        "synaptic_operations": None,
        "neuron_updates": None,
        "measurements": None,
    }


def costing(label, operations, updates, measurements, values):
    counts = {"synaptic_operations": operations, "neuron_updates": updates}
    return row(label, 830, values) | counts | {"label": label, "measurements": measurements}


ROWS = [row("crx", 834, [0.90, 0.94]), row("lif", 830, [0.80])]


def test_each_model_has_a_line_with_seeds_mean_and_interval():
    (axes,) = accuracies(ROWS, "digits").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["CRX", "LIF"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row on top
    assert_allclose(axes.lines[0].get_data(), [[90, 94], [0, 0]])
    first, second = axes.containers
    assert_allclose(np.array(first[0].get_data(), float).ravel(), [92, 0])
    half = 100 * ROWS[0]["test_accuracy"]["interval"]
    assert_allclose(first[2][0].get_segments()[0][:, 0], [92 - half, 92 + half])
    assert_allclose(np.array(second[0].get_data(), float).ravel(), [80, 1])
    assert "830 to 834 parameters" in axes.get_title("left")


def test_the_title_stays_on_the_picture():
    labelled = [{**one, "label": "SQS with a label as long as labels get"} for one in ROWS]
    figure = accuracies(labelled, "fashion-mnist")
    (axes,) = figure.axes
    titles = [one for one in axes.findobj(Text) if one.get_text() == axes.get_title("left")]
    assert titles[0].get_window_extent().x1 <= figure.bbox.x1


def predicting(label, values):
    row = costing(label, 900.0, 100, 100, values)
    return row | {"test_nmse": row.pop("test_accuracy"), "validation_nmse": summarise(values)}


def test_errors_are_drawn_as_they_are_and_said_to_be_better_below():
    rows = [predicting("crx", [0.25, 0.75]), predicting("lif", [150.0])]
    for figure, at in ((accuracies(rows, "narma5"), 0), (_operations(rows), 1)):
        (axes,) = figure.axes
        means = [float(one[0].get_data()[at][0]) for one in axes.containers]
        assert_allclose(means, [0.5, 150.0])
        assert (axes.get_xlim(), axes.get_ylim())[at][1] > 150.0
        said = axes.get_xlabel() + axes.get_ylabel()
        assert "test error (NMSE), lower is better" in said


def _operations(rows):
    return accuracy_against_operations(rows, "narma5")


def test_accuracy_rises_along_the_sizes_of_a_model():
    rows = [*ROWS, row("crx", 420, [0.7, 0.7], "small"), row("lif", 420, [0.6], "small")]
    (axes,) = accuracy_against_size(rows, "digits").axes
    crx, lif = axes.containers
    assert_allclose(np.array(crx[0].get_ydata(), float), [70, 92])
    assert_allclose(np.array(lif[0].get_ydata(), float), [60, 80])
    # Moved aside by less than sizes within 1 % differ.
    assert_allclose(np.array(crx[0].get_xdata(), float), [420, 834], rtol=0.011)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["CRX", "LIF"]


def test_accuracy_stands_over_operations_and_updates():
    crx, lif = (
        costing("crx", 900.0, 100, 100, [0.90, 0.94]),
        costing("lif", 80.0, 20, 0, [0.8]),
    )
    (axes,) = accuracy_against_operations([crx, lif], "digits").axes
    assert axes.get_xscale() == "log"
    first, second = axes.containers  # in the order of accuracy
    assert_allclose(np.array(first[0].get_data(), float).ravel(), [100, 80])
    assert_allclose(np.array(second[0].get_data(), float).ravel(), [1000, 92])
    assert (first[0].get_marker(), second[0].get_marker()) == ("s", "o")
    half = 100 * crx["test_accuracy"]["interval"]
    bounds = [92 - half, 92 + half]
    assert_allclose(second[2][0].get_segments()[0][:, 1], bounds)
    # One is ten times the other: the ticks are numbers one can read.
    assert "500" in [text.get_text() for text in axes.get_xticklabels()]


@pytest.mark.parametrize("number", [1, 2, 7, 18])
@pytest.mark.parametrize("spread", [0.0, 0.001, 0.4])
def test_labels_neither_overlap_nor_leave_the_picture(number, spread):
    rows = [
        costing(f"model {n} with a label as long as they get", 100.0 + n, 10, n % 2, [value, value])
        for n, value in enumerate(np.linspace(0.5, 0.5 + spread, number))
    ]
    figure = accuracy_against_operations(rows, "digits")
    (axes,) = figure.axes
    # Of the words alone: an annotation has its line, too.
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == number
    boxes.sort(key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))
    # Rows in the order of their labels, from the lowest accuracy up.
    assert [text.get_text().split()[1] for text in axes.texts] == [str(n) for n in range(number)]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
    low, high = axes.get_xlim()
    assert high / low >= 1.19


def test_pictures_are_drawn_of_groups_with_results(study, tmp_path):
    def two_sizes(content):
        small = {**content["datasets"]["digits"], "dataset": "digits", "search_from": "digits"}
        content["datasets"]["small"] = small | {"parameters": 420}
        content["datasets"]["other"] = small | {"encoding": {"steps": 3}}

    read, out = study(two_sizes), tmp_path / "out"
    out.mkdir()
    save_all(read, out, [row("crx", 834, [0.9]), {**row("crx", 420, [], "small"), "seeds": []}])
    assert [path.name for path in out.iterdir()] == ["accuracy-digits.png"]
    save_all(read, out, [row("crx", 834, [0.9]), row("crx", 420, [0.7], "small")])
    assert {path.name for path in out.glob("*.png")} == {
        "accuracy-digits.png",
        "accuracy-small.png",
        "size-digits.png",
    }
    save_all(read, out, [costing("crx", 900.0, 100, 100, [0.9])])
    assert {path.name for path in out.iterdir()} == {
        "accuracy-digits.png",
        "operations-digits.png",
    }
    save_all(read, out, [{**row("crx", 834, []), "seeds": []}])
    assert not list(out.iterdir())
