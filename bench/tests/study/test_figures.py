"""The pictures of a study show every model where its row says."""

import numpy as np
from matplotlib.text import Text
from numpy.testing import assert_allclose

from sqsnn_bench.study.figures import accuracies, accuracy_against_size, save_all
from sqsnn_bench.study.tables import summarise


def row(model, parameters, values, dataset="digits"):
    return {
        "dataset": dataset,
        "model": model,
        "label": model.upper(),
        "parameters": parameters,
        "seeds": list(range(len(values))),
        "test_accuracy": summarise(values),
    }


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


def test_accuracy_rises_along_the_sizes_of_a_model():
    rows = [*ROWS, row("crx", 420, [0.7, 0.7], "small"), row("lif", 420, [0.6], "small")]
    (axes,) = accuracy_against_size(rows, "digits").axes
    crx, lif = axes.containers
    assert_allclose(np.array(crx[0].get_ydata(), float), [70, 92])
    assert_allclose(np.array(lif[0].get_ydata(), float), [60, 80])
    # Moved aside by less than sizes within 1 % differ.
    assert_allclose(np.array(crx[0].get_xdata(), float), [420, 834], rtol=0.011)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["CRX", "LIF"]


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
    save_all(read, out, [{**row("crx", 834, []), "seeds": []}])
    assert not list(out.iterdir())
