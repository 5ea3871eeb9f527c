"""The stored results: the tables come from the trials, and no figure has two names."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from sqsnn_bench.study import figures, records, tables, tested
from sqsnn_bench.study.config import read_study

BENCH = Path(__file__).parents[1]


def _name(folder):
    return str(folder.relative_to(BENCH / "results"))


STUDIES = sorted(path.parent for path in (BENCH / "results").rglob("study.toml"))


@pytest.mark.parametrize("folder", STUDIES, ids=_name)
def test_the_stored_trials_give_the_stored_tables(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "save_all", lambda study, out, rows: None)
    copied = {"study.toml", records.PACKED, tested.NAME} & set(_names(folder))
    for name in copied:
        shutil.copy(folder / name, tmp_path)
    tables.write(read_study(tmp_path / "study.toml"), tmp_path, records.read(tmp_path))
    written = {path.name for path in tmp_path.iterdir()} - copied
    assert written == {"results.json", "results.md"} | ({"search.md"} & set(_names(folder)))
    for name in written:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("folder", STUDIES, ids=_name)
def test_the_stored_trials_are_packed_as_compare_packs_them(folder):
    known = records.read(folder)
    packed = records.packed(known[key] for key in sorted(known))
    assert packed == (folder / records.PACKED).read_bytes()


def test_all_stored_trials_are_there():
    assert sum(len(records.read(folder)) for folder in STUDIES) == 3259


@pytest.mark.parametrize("folder", STUDIES, ids=_name)
def test_the_results_are_those_of_the_studies(folder):
    study = BENCH / "studies" / folder.relative_to(BENCH / "results").with_suffix(".toml")
    now, then = (
        _without_later_settings(tomllib.loads(file.read_text("utf-8")))
        for file in (study, folder / "study.toml")
    )
    assert now == then


def _without_later_settings(study):
    """A study without what says the same in another version: the drive, and the outputs' memory."""
    later = {"drive", "saturate", "output_memory_qubits"}
    for model in study["models"].values():
        neurons = model.pop("neurons", {})
        model["neurons"] = {name: it for name, it in neurons.items() if name not in later}
        search = model.get("search", {})
        for name in {"neurons.drive.kind", "neurons.saturate"} & search.keys():
            model["search"] = {**search, "drive": len(search[name])}
            del model["search"][name]
    return study


def test_no_result_holds_the_name_of_an_earlier_metric():
    for path in (BENCH / "results").rglob("*.json"):
        assert "_accuracy_spikes" not in path.read_text("utf-8"), path


def test_the_loose_results_are_readable():
    accuracies = json.loads((BENCH / "results" / "accuracy.json").read_text("utf-8"))
    assert len(accuracies) == 37
    assert all(one["command"].startswith("sqsnn train ") for one in accuracies.values())


def _names(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("study", ["tasks", "memory-alone"])
def test_the_page_shows_the_study(study):
    content = json.loads((BENCH / "results" / study / "results.json").read_text("utf-8"))
    cells = {}
    for row in content["rows"]:
        found = row["test_accuracy"]
        text = f"{100 * found['mean']:.1f} ± {100 * found['interval']:.1f}"
        cells.setdefault(row["label"], []).append(text)
    page = (BENCH.parent / "docs" / "results.md").read_text("utf-8")
    for label, texts in cells.items():
        assert f"| {label} | {' | '.join(texts)} |" in page


@pytest.mark.parametrize(
    ("model", "shown"),
    [("lif-reset", "42.6 ± 0.8"), ("lif-floor", "39.6 ± 0.9"), ("lif-both", "41.2 ± 0.7")],
)
def test_the_page_says_what_the_tricks_of_the_drive_do_for_lif(model, shown):
    content = json.loads((BENCH / "results" / "tricks" / "results.json").read_text("utf-8"))
    (row,) = (row for row in content["rows"] if row["model"] == model)
    found = row["test_accuracy"]
    assert f"{100 * found['mean']:.1f} ± {100 * found['interval']:.1f}" == shown
    assert shown in (BENCH.parent / "docs" / "results.md").read_text("utf-8")


@pytest.mark.parametrize("group", ["mnist-256", "mnist-1000"])
def test_the_page_shows_mnist_at_the_sizes_of_the_literature(group):
    content = json.loads((BENCH / "results" / "sizes" / "results.json").read_text("utf-8"))
    page = (BENCH.parent / "docs" / "results.md").read_text("utf-8")
    section = page[page.index("## MNIST at the sizes") : page.index("## How accurate is it?")]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]
    column = 1 + ("mnist-256", "mnist-1000").index(group)
    shown = {cells[0].strip("| "): cells[column].strip(" |") for cells in lines[1:]}
    for row in (row for row in content["rows"] if row["dataset"] == group):
        found, text = row["test_accuracy"], ""
        if row["seeds"]:
            text = f"{100 * found['mean']:.2f} ± {100 * found['interval']:.2f}"
        assert shown[row["label"]] == text


def test_the_page_shows_the_study_of_values():
    content = json.loads((BENCH / "results" / "values" / "results.json").read_text("utf-8"))
    page = (BENCH.parent / "docs" / "results.md").read_text("utf-8")
    rows = [row for row in content["rows"] if row["dataset"] == "narma10"]
    assert len(rows) == 8
    for row in rows:
        found = row["test_nmse"]
        assert f"| {row['label']} | {found['mean']:.3f} ± {found['interval']:.3f} |" in page
