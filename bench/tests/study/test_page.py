"""The page of a study: a table a dataset, every seed, the settings, and what is missing."""

import json
import shutil

import pytest
from page_parser import Page as Parsed

from sqsnn.errors import ConfigError
from sqsnn.reports import style
from sqsnn.reports.noise_plot import NoisePoint, accuracy_against_noise
from sqsnn.reports.page import Page, Table, render
from sqsnn.reports.study_report import study_page

TOML = 'name = "small"\nseeds = [0, 1, 2]\n\n[models.lif]\nmodel.neurons = "lif"\n'


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
        "test_accuracy_spikes": accuracy(0.93314, 0.00123, 0.93, 0.9325, 0.937),
        "test_accuracy": accuracy(0.94, 0.002, 0.93, 0.94, 0.95),
        "test_accuracy_probability": accuracy(0.951, 0.003, 0.94, 0.95, 0.963),
        "spikes_per_inference": 171.6,
        "synaptic_operations": 13862.7,
        "gates": 3346.2,
        "measurements": 740.0,
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
        test_accuracy_spikes=accuracy(0.91, 0.01, 0.905, 0.915),
        test_accuracy_probability=None,
        gates=None,
        measurements=None,
        found={},
    ),
    row(
        "digits",
        "crx",
        seeds=[],
        test_accuracy_spikes=NONE,
        test_accuracy=NONE,
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
    results = {"name": "small", "complete": False, "rows": ROWS}
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "study.toml").write_text(TOML)
    point = NoisePoint(1.0, (0.5, 0.6), 0.55, 0.05, (1.0,))
    style.save(accuracy_against_noise([point], "x", 10), tmp_path / "accuracy-mnist.png")
    shutil.copyfile(tmp_path / "accuracy-mnist.png", tmp_path / "size-mnist.png")
    return tmp_path


def tables(page: Page, title: str) -> list[Table]:
    (section,) = [section for section in page.sections if section.title == title]
    return [block for block in section.blocks if isinstance(block, Table)]


def test_every_dataset_has_its_table_in_the_order_of_the_study(folder):
    page = study_page(folder)
    accuracies, costs = tables(page, "mnist")
    assert accuracies.headings[4:] == ("spikes", "ties by probability", "probability")
    assert accuracies.rows == (
        ("crx neurons", "25,502", "32", "3", "93.31 ± 0.12", "94.00 ± 0.20", "95.10 ± 0.30"),
        ("lif neurons", "25,502", "32", "2", "91.00 ± 1.00", "94.00 ± 0.20", "\u2013"),
    )
    assert costs.rows == (
        ("crx neurons", "172", "13,863", "3,346", "740", "90.0 s"),
        ("lif neurons", "172", "13,863", "\u2013", "\u2013", "90.0 s"),
    )
    assert [section.title for section in page.sections if not section.folded] == [
        "How to read it",
        "mnist",
        "digits",
        "Accuracy against size",
        "To repeat it",
    ]


def test_a_reference_and_failed_trainings_are_shown(folder):
    compared = ROWS[0] | {"difference": {"mean": 0.0231, "interval": 0.001}, "failed": 2}
    results = {"name": "small", "reference": "lif neurons", "complete": True, "rows": [compared]}
    (folder / "results.json").write_text(json.dumps(results))
    accuracies, _ = tables(study_page(folder), "mnist")
    assert accuracies.headings[-1] == "above lif neurons"
    assert accuracies.rows[0][-1] == "+2.31 ± 0.10"
    assert accuracies.rows[0][3] == "3, 2 failed"


def test_every_seed_and_what_was_found_are_there(folder):
    page = study_page(folder)
    (seeds,) = tables(page, "mnist: every seed")
    assert seeds.headings == ("by spikes", "seed 0", "seed 1", "seed 2")
    assert seeds.rows == (
        ("crx neurons", "93.00 %", "93.25 %", "93.70 %"),
        ("lif neurons", "90.50 %", "\u2013", "91.50 %"),
    )
    (found,) = tables(page, "mnist: settings found")
    assert found.rows[0] == ("crx neurons", "training.learning_rate = 0.03")


def test_what_is_missing_is_said_and_shown_as_a_dash(folder):
    page = study_page(folder)
    assert "not complete" in page.warning
    (accuracies,) = tables(page, "digits")
    assert accuracies.headings == ("model", "parameters", "hidden", "seeds")
    assert accuracies.rows == (("crx neurons", "25,502", "32", "0"),)
    assert "digits: every seed" not in [section.title for section in page.sections]
    results = {"name": "small", "complete": True, "rows": ROWS[:1]}
    (folder / "results.json").write_text(json.dumps(results))
    assert study_page(folder).warning == ""


def test_the_page_holds_pictures_and_settings(folder):
    parsed = Parsed(render(study_page(folder)))
    assert parsed.images == [(folder / "accuracy-mnist.png").read_bytes()] * 2
    assert "sqsnn compare study.toml" in parsed.text
    assert " ".join(TOML.split()) in parsed.text


def test_a_label_cannot_run_a_script(folder):
    evil = "<script>alert(1)</script>"
    rows = [row("<b>mnist", "crx", label=evil, found={evil: evil})]
    content = {"name": evil, "complete": True, "rows": rows}
    (folder / "results.json").write_text(json.dumps(content))
    (folder / "study.toml").write_text(f"# {evil}")
    html = render(study_page(folder))
    assert evil not in html
    # Title and heading, its row in four tables, the setting and its value, the settings file.
    assert Parsed(html).text.count(evil) == 2 + 4 + 2 + 1


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "x", "complete": true}', '"x"'])
def test_broken_results_are_refused(folder, content):
    (folder / "results.json").write_text(content)
    with pytest.raises(ConfigError, match=r"results\.json must hold the results of a study"):
        study_page(folder)


def test_one_seed_has_no_interval(folder):
    rows = [row("mnist", "crx", seeds=[0], test_accuracy_spikes=accuracy(0.9, None, 0.9))]
    content = {"name": "x", "complete": True, "rows": rows}
    (folder / "results.json").write_text(json.dumps(content))
    accuracies, _ = tables(study_page(folder), "mnist")
    assert accuracies.rows[0][4] == "90.00"
