"""The page of a study: a table per dataset, every seed, the settings, and what is missing."""

import re
import shutil

import pytest
from page_parser import Page as Parsed

from sqsnn.errors import ConfigError
from sqsnn.readfile import write_sealed
from sqsnn.reports import style
from sqsnn.reports.noise_plot import NoisePoint, accuracy_against_noise
from sqsnn_bench.study.page import study_page

TOML = 'name = "small"\nseeds = [0, 1, 2]\n\n[models.lif]\nneurons.kind = "lif"\n'


def accuracy(mean: float, interval: float | None, *values: float) -> dict:
    return {"mean": mean, "interval": interval, "values": list(values)}


def row(dataset: str, model: str, **changes) -> dict:
    return {
        "dataset": dataset,
        "model": model,
        "label": f"{model} neurons",
        "parameters": 25502,
        "hidden": [32],
        "seeds": [0, 1, 2],
        "test_accuracy": accuracy(0.93314, 0.00123, 0.93, 0.9325, 0.937),
        "test_accuracy_ties_by_probability": accuracy(0.94, 0.002, 0.93, 0.94, 0.95),
        "test_accuracy_probability": accuracy(0.951, 0.003, 0.94, 0.95, 0.963),
        "spikes_per_inference": 171.6,
        "synaptic_operations": 13862.7,
        "neuron_updates": 740.0,
        "membrane_operations": 1480.0,
        "gates": 3346.2,
        "measurements": 740.0,
        "device_seconds": 0.0204,
        "seconds": 90.0,
        "found": {"training.learning_rate": 0.03},
    } | changes


NONE = {"mean": None, "interval": None, "values": []}
ROWS = [
    row("mnist", "crx"),
    row(
        "mnist",
        "lif",
        seeds=[0, 2],
        test_accuracy=accuracy(0.91, 0.01, 0.905, 0.915),
        test_accuracy_probability=None,
        gates=None,
        measurements=None,
        device_seconds=None,
        found={},
    ),
    row(
        "digits",
        "crx",
        seeds=[],
        test_accuracy=NONE,
        test_accuracy_ties_by_probability=NONE,
        test_accuracy_probability=NONE,
        spikes_per_inference=None,
        synaptic_operations=None,
        gates=None,
        measurements=None,
        seconds=None,
    ),
]


@pytest.fixture
def folder(tmp_path):
    results = {
        "name": "small",
        "complete": False,
        "rows": ROWS,
        "comparisons": [],
        "irregular_tests": [],
    }
    write_sealed(tmp_path / "results.json", results)
    (tmp_path / "study.toml").write_text(TOML)
    point = NoisePoint(1.0, (0.5, 0.6), 0.55, 0.05, (1.0,))
    style.save(accuracy_against_noise([point], "x", 10), tmp_path / "accuracy-mnist.png")
    for kind in ("operations", "size"):
        shutil.copyfile(tmp_path / "accuracy-mnist.png", tmp_path / f"{kind}-mnist.png")
    return tmp_path


def cells(html):
    """All tables of a page by the section that they stand in, as rows of texts."""
    found = {}
    for section in re.split(r"<h2>|<details><summary>", html)[1:]:
        title = re.split(r"</h2>|</summary>", section)[0]
        for table in re.findall(r"<table>.*?</table>", section, re.S):
            rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
            texts = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
            found.setdefault(title, []).append(texts)
    return found


def test_every_dataset_has_its_tables_in_the_order_of_the_study(folder):
    html = study_page(folder)
    accuracies, costs = cells(html)["mnist"]
    heads = ["model", "parameters", "hidden", "seeds", "test accuracy", "ties by probability"]
    assert accuracies == [
        [*heads, "by probability"],
        ["crx neurons", "25,502", "32", "3", "93.31 ± 0.12", "94.00 ± 0.20", "95.10 ± 0.30"],
        ["lif neurons", "25,502", "32", "2", "91.00 ± 1.00", "94.00 ± 0.20", "\u2013"],
    ]
    crx = ["172", "13,863", "740", "1,480", "3,346", "740", "20.4 ms", "90.0 s"]
    lif = [*crx[:4], "\u2013", "\u2013", "\u2013", "90.0 s"]
    assert costs[1:] == [
        ["crx neurons", "93.31 ± 0.12", *crx],
        ["lif neurons", "91.00 ± 1.00", *lif],
    ]
    assert re.findall("<h2>(.*?)</h2>", html) == [
        "How to read it",
        "mnist",
        "digits",
        "Results against size",
        "To repeat it",
    ]


def test_a_reference_and_failed_trainings_are_shown(folder):
    compared = {
        "dataset": "mnist",
        "labels": ["crx neurons", "lif neurons"],
        "pairs": [0, 2],
        "mean": 0.0231,
        "interval": 0.001,
        "p": 0.0002,
        "p_holm": 0.0101,
        "effect": 3.4567,
    }
    results = {
        "name": "small",
        "reference": "lif neurons",
        "complete": True,
        "rows": [ROWS[0] | {"failed": 2}],
        "comparisons": [compared],
        "irregular_tests": [],
    }
    write_sealed(folder / "results.json", results)
    tables = cells(study_page(folder))
    heads, row = tables["mnist"][0]
    assert (heads[-1], row[-1]) == ("above lif neurons", "+2.31 ± 0.10")
    assert row[3] == "3, 2 failed"
    assert tables["Comparisons"][0][1] == [
        *("mnist", "crx neurons", "lif neurons", "2"),
        *("+2.31 ± 0.10", "&lt; 0.001", "0.010", "+3.46"),
    ]


def test_a_group_of_values_shows_errors_and_a_linear_model(folder):
    errors = {"test_nmse": accuracy(0.25, 0.01, 0.24, 0.26), "validation_nmse": NONE}
    values = {name: it for name, it in row("narma5", "crx").items() if "accuracy" not in name}
    linear = {"model": "ridge", **accuracy(0.34, None, 0.34)}
    compared = {"dataset": "narma5", "labels": ["crx neurons", "lif neurons"], "pairs": [0, 1]}
    compared |= {"mean": -0.125, "interval": None, "p": None, "p_holm": None, "effect": None}
    rows = [ROWS[0], values | errors | {"seeds": [0, 1], "baseline": linear}]
    content = {"name": "x", "complete": True, "rows": rows, "comparisons": [compared]}
    content |= {"reference": "lif neurons", "irregular_tests": []}
    write_sealed(folder / "results.json", content)
    html = study_page(folder)
    found = cells(html)
    heads, crx, ridge = found["narma5"][0]
    assert heads[4:] == ["test error (NMSE)", "error above lif neurons"]
    assert crx[4:] == ["0.2500 ± 0.0100", "-0.1250"]
    assert ridge == ["ridge", "\u2013", "\u2013", "1", "0.3400", "\u2013"]
    assert found["narma5: every seed"][0][1] == ["crx neurons", "0.2400", "0.2600"]
    assert found["mnist: every seed"][0][1][1] == "93.00 %"
    assert found["Comparisons"][0][1][4] == "-0.1250"
    assert "Accuracies are in per cent" in html
    assert "Lower is better" in html


def test_a_second_read_of_the_test_part_is_shown_with_its_reason(folder):
    read = {"dataset": "mnist", "model": "crx", "seed": 3, "time": "2026-12-01", "why": "a slip"}
    results = {"name": "small", "complete": True, "rows": ROWS[:1], "comparisons": []}
    write_sealed(folder / "results.json", results | {"irregular_tests": [read]})
    (shown,) = cells(study_page(folder))["Reads of the test part"]
    assert shown[1] == ["mnist", "crx", "3", "2026-12-01", "a slip"]


def test_every_seed_and_what_was_found_are_there(folder):
    tables = cells(study_page(folder))
    assert tables["mnist: every seed"] == [
        [
            ["test accuracy", "seed 0", "seed 1", "seed 2"],
            ["crx neurons", "93.00 %", "93.25 %", "93.70 %"],
            ["lif neurons", "90.50 %", "\u2013", "91.50 %"],
        ]
    ]
    assert tables["mnist: settings found"][0][1] == ["crx neurons", "training.learning_rate = 0.03"]


def test_what_is_missing_is_said_and_shown_as_a_dash(folder):
    html = study_page(folder)
    assert "not complete" in html
    (digits,) = cells(html)["digits"]
    assert digits == [
        ["model", "parameters", "hidden", "seeds"],
        ["crx neurons", "25,502", "32", "0"],
    ]
    assert "digits: every seed" not in html
    results = {
        "name": "small",
        "complete": True,
        "rows": ROWS[:1],
        "comparisons": [],
        "irregular_tests": [],
    }
    write_sealed(folder / "results.json", results)
    assert "not complete" not in study_page(folder)


def test_the_page_holds_pictures_and_settings(folder):
    parsed = Parsed(study_page(folder))
    assert parsed.images == [(folder / "accuracy-mnist.png").read_bytes()] * 3
    assert "sqsnn-bench compare study.toml" in parsed.text
    assert " ".join(TOML.split()) in parsed.text


def test_a_label_cannot_run_a_script(folder):
    evil = "<script>alert(1)</script>"
    rows = [row("<b>mnist", "crx", label=evil, found={evil: evil})]
    content = {
        "name": evil,
        "complete": True,
        "rows": rows,
        "comparisons": [],
        "irregular_tests": [],
    }
    write_sealed(folder / "results.json", content)
    (folder / "study.toml").write_text(f"# {evil}")
    html = study_page(folder)
    assert evil not in html
    # Title and heading, its row in four tables, the setting and its value, the settings file.
    assert Parsed(html).text.count(evil) == 2 + 4 + 2 + 1


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "x", "complete": true}', '"x"'])
def test_broken_results_are_refused(folder, content):
    (folder / "results.json").write_text(content)
    with pytest.raises(ConfigError, match=r"results\.json must hold the results of a study"):
        study_page(folder)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"results\.json must hold the results of a study"):
        study_page(tmp_path)


def test_one_seed_has_no_interval(folder):
    rows = [row("mnist", "crx", seeds=[0], test_accuracy=accuracy(0.9, None, 0.9))]
    content = {
        "name": "x",
        "complete": True,
        "rows": rows,
        "comparisons": [],
        "irregular_tests": [],
    }
    write_sealed(folder / "results.json", content)
    assert cells(study_page(folder))["mnist"][0][1][4] == "90.00"
