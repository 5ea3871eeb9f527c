"""A run folder becomes a page: its own figures and pictures, drawn anew where they are missing."""

import json
import shutil

import pytest
from page_parser import Page

from sqsnn.errors import ConfigError, DataError
from sqsnn.training import report, run, run_folder
from sqsnn.training.report import write_report
from sqsnn.training.run_folder import RunFolder

PICTURES = ("learning-curve.png", "raster.png", "confusion-matrix.png", "circuit.png")


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """A small run on digits, with its pictures."""
    return run.begin(config(epochs=2), tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def folder(finished, tmp_path):
    """The same, to do with as one likes."""
    return RunFolder(shutil.copytree(finished.path, tmp_path / "run"))


def stopped(config, path) -> RunFolder:
    """A run that was stopped after its first epoch."""

    class Stop(run.Watcher):
        def epoch(self, epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.begin(config(epochs=3), path, Stop())
    return run_folder.find(path)


def test_the_page_says_the_figures_and_holds_the_pictures(folder):
    written = write_report(folder.path)
    assert written == (folder.path / "report.html", ())
    page = Page(written.path.read_text("utf-8"))
    result = folder.read_result()
    for name in ("test_accuracy", "test_accuracy_spikes", "test_accuracy_probability"):
        assert f"{100 * result[name]:.2f} %" in page.text
    assert f"{result['parameters']:,}" in page.text
    operations = result["costs"]["total"]["synaptic_operations"]
    assert f"add {operations:,.0f} weights" in page.text
    assert page.images == [(folder.path / name).read_bytes() for name in PICTURES]
    command = "sqsnn train digits --hidden 12 --steps 4 --epochs 2 --batch-size 40 --classes 0,1,2"
    assert f"{command} --train-samples 80 --test-samples 40" in page.text


def test_the_same_run_has_the_same_bytes_wherever_it_lies(folder, tmp_path):
    first = write_report(folder.path).path.read_bytes()
    assert write_report(folder.path).path.read_bytes() == first
    moved = shutil.copytree(folder.path, tmp_path / "elsewhere" / "renamed")
    assert write_report(moved, tmp_path / "page.html").path.read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_missing_and_broken_pictures_are_drawn_anew_as_they_were(folder):
    before = write_report(folder.path).path.read_bytes()
    (folder.path / "raster.png").write_bytes(b"torn")
    for name in ("learning-curve.png", "confusion-matrix.png", "circuit.png", "report.html"):
        (folder.path / name).unlink()
    there = {path.name for path in folder.path.iterdir()}
    assert write_report(folder.path).path.read_bytes() == before
    assert {path.name for path in folder.path.iterdir()} == there | {"report.html"}


def test_the_network_is_not_asked_for_what_the_files_tell(folder, monkeypatch):
    def refuse(*args):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(run, "load", refuse)
    before = write_report(folder.path).path.read_bytes()
    for name in ("learning-curve.png", "circuit.png"):
        (folder.path / name).unlink()
    assert write_report(folder.path).path.read_bytes() == before


def test_pictures_that_cannot_be_drawn_are_left_out_and_said(folder, monkeypatch):
    def absent(*args):
        raise DataError("somewhere lies no digits.gz")

    monkeypatch.setattr(run, "load", absent)
    (folder.path / "raster.png").unlink()
    written = write_report(folder.path)
    (why,) = written.left_out
    assert "somewhere lies no digits.gz" in why
    page = Page(written.path.read_text("utf-8"))
    assert len(page.images) == 3
    assert "raster.png is not in the folder" in page.text
    assert "somewhere" not in page.text  # a folder of this machine is nothing to the reader


def test_an_unfinished_run_shows_what_there_is_and_tests_nothing(config, tmp_path, monkeypatch):
    folder = stopped(config, tmp_path / "run")
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 2, "train_lo')  # torn
    monkeypatch.setattr(run, "score_test", None)
    page = Page(write_report(folder.path).path.read_text("utf-8"))
    assert "This run is not finished: 1 of 3 epochs" in page.text
    assert len(page.images) == 2  # learning curve and circuit
    assert "test accuracy" not in page.text


def test_a_run_that_has_just_begun_has_a_page(config, tmp_path):
    folder = run_folder.create(tmp_path / "run", config())
    page = Page(write_report(folder.path).path.read_text("utf-8"))
    assert "0 of 3 epochs" in page.text
    assert len(page.images) == 1  # the circuit


def test_costs_may_be_counted_later(folder):
    result = folder.read_result()
    costs = result.pop("costs")
    folder.result.write_text(json.dumps(result))  # as a run of before wrote it
    target = write_report(folder.path).path
    assert "were not counted" in Page(target.read_text("utf-8")).text
    (folder.path / "costs.json").write_text(json.dumps({"best_epoch": 1, **costs}))
    counted = f"add {costs['total']['synaptic_operations']:,.0f} weights"
    assert counted in Page(write_report(folder.path).path.read_text("utf-8")).text


def test_what_is_in_the_files_runs_nothing(folder):
    timing = json.loads(folder.timing.read_text())
    timing["machine"]["device"] = "<script>alert(1)</script>"
    folder.timing.write_text(json.dumps(timing))
    html = write_report(folder.path).path.read_text("utf-8")
    assert "<script>" not in html
    assert "<script>alert(1)</script>" in Page(html).text


def test_a_run_of_other_neurons_has_no_circuit_on_its_page(config, tmp_path):
    settings = config(epochs=1)
    model = settings.model.model_copy(update={"neurons": "lif"})
    folder = run.begin(
        settings.model_copy(update={"model": model}), tmp_path / "run", pictures=False
    )
    written = write_report(folder.path)
    page = Page(written.path.read_text("utf-8"))
    assert written.left_out == ()
    assert len(page.images) == 3
    assert "12 hidden LIF neurons" in page.text


def test_measured_spikes_are_not_simulated_for_a_picture(folder, monkeypatch):
    settings = folder.read_config()
    rule = {"rule": "local", "score": "shift", "backend": "aer"}
    rule = type(settings.rule)(**rule)
    measured = settings.model_copy(update={"rule": rule})
    monkeypatch.setattr(RunFolder, "read_config", lambda self: measured)
    monkeypatch.setattr(run, "load", None)
    (folder.path / "confusion-matrix.png").unlink()
    (why,) = write_report(folder.path).left_out
    assert "aer measured its spikes" in why


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"must be the folder of a run .* or of a study"):
        write_report(tmp_path)
    with pytest.raises(ConfigError, match="must be the folder of a run"):
        write_report(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_told_by_its_results(tmp_path):
    results = {"name": "small", "complete": True, "rows": []}
    (tmp_path / "results.json").write_text(json.dumps(results))
    written = write_report(tmp_path)
    assert written == report.Written(tmp_path / "report.html", ())
    assert "Study: small" in Page(written.path.read_text("utf-8")).text
