"""A run folder becomes a page: its own figures and pictures, drawn anew where they are missing."""

import shutil
from typing import Any

import numpy as np
import pytest
from page_parser import Page

from sqsnn.errors import CheckpointError, DataError
from sqsnn.readfile import write_sealed
from sqsnn.runs import checkpoint, loading, run
from sqsnn.runs import folder as folders
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.report import write_report
from sqsnn.settings.run import RunSettings, from_flat

PICTURES = (
    "learning-curve.png",
    "raster.png",
    "confusion-matrix.png",
    "circuit.png",
    "circuit-output.png",
)


def settings(**chosen: Any) -> RunSettings:
    """Settings of a small run on digits."""
    small = {"hidden": "12", "steps": 4, "epochs": 2, "batch_size": 40, "classes": "0,1,2"}
    return from_flat("digits", small | {"train_samples": 80, "test_samples": 40} | chosen)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    """A small run on digits, with its pictures."""
    return run.begin(settings(), tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def folder(finished, tmp_path) -> RunFolder:
    """A copy of that run, to change at will."""
    return RunFolder(shutil.copytree(finished.path, tmp_path / "run"))


def stopped(path) -> RunFolder:
    """A run that was stopped after its first epoch."""

    class Stop(run.Watcher):
        def epoch(self, epoch, progress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.begin(settings(epochs=3), path, Stop())
    return folders.find(path)


def page_of(folder: RunFolder) -> Page:
    return Page(write_report(folder.path).path.read_text("utf-8"))


def change_result(folder: RunFolder, **changes: Any) -> None:
    folder.write_result(folder.read_result() | changes)


def change_epochs(folder: RunFolder, **changes: Any) -> None:
    result, lines = folder.read_result(), [line | changes for line in folder.read_metrics()]
    folder.metrics.unlink()
    for line in lines:
        folder.append_metrics(line)
    proof = {"metrics_sha256": checkpoint.chain(lines)}
    write_sealed(folder.result, result | proof, checkpoint.read_weights(folder.best).digest)


def change_times(folder: RunFolder, **changes: Any) -> None:
    write_sealed(folder.timing, folder.read_times() | changes)


def change_costs(folder: RunFolder, **totals: Any) -> None:
    costs = folder.read_result()["costs"]
    change_result(folder, costs=costs | {"total": costs["total"] | totals})


# The texts of the page


def test_the_headline_is_what_a_device_gives_and_the_other_readings_stand_beside_it(folder):
    change_result(
        folder,
        test_accuracy=0.8454,
        test_accuracy_ties_by_probability=0.8694,
        test_accuracy_probability=0.9167,
        parameters=5032,
        spikes_per_sample=[151.0, 20.6],
        best_epoch=2,
        baseline=None,
        chance=0.35,
    )
    change_times(folder, training_seconds=12.34)
    text = page_of(folder).text
    assert text.startswith("digits: 12 hidden SQS neurons, bidirectional, N=1, M=1")
    assert "40 samples with the weights of epoch 2 of 2" in text
    labels = "test accuracy always the most frequent class parameters spikes per inference"
    assert f"{labels} training time 84.54 % 35.00 % 5,032 172 12.3 s" in text
    readings = "ties broken by firing probability it is 86.94 %, by summed firing probabilities"
    assert f"With {readings} alone 91.67 %" in text
    assert "not finished" not in text


def test_the_page_shows_the_figures_and_pictures_of_the_run(folder):
    written = write_report(folder.path)
    assert written == (folder.path / "report.html", ())
    page = Page(written.path.read_text("utf-8"))
    result = folder.read_result()
    for how in ("", "_ties_by_probability", "_probability"):
        assert f"{100 * result[f'test_accuracy{how}']:.2f} %" in page.text
    operations = result["costs"]["total"]["synaptic_operations"]
    assert f"add {operations:,.0f} weights" in page.text
    assert page.images == [(folder.path / name).read_bytes() for name in PICTURES]
    (folder.path / "noise.png").write_bytes((folder.path / "raster.png").read_bytes())
    assert "Under the noise of a device" in page_of(folder).text


def test_every_epoch_and_setting_is_on_the_page(folder):
    changes = {
        "train_loss": 1.25,
        "train_accuracy": 0.5,
        "validation_accuracy": 0.802,
        "validation_accuracy_ties_by_probability": 0.8125,
        "validation_accuracy_probability": 0.822,
        "spikes_per_sample": [10.0, 2.5],
        "learning_rate": 0.01,
    }
    change_epochs(folder, **changes)
    page = page_of(folder)
    assert "2 1.2500 50.0 % 80.2 % 81.2 % 82.2 % 12.5 0.01" in page.text
    assert page.tags.count("details") == 3
    command = "sqsnn train digits --hidden 12 --steps 4 --epochs 2 --batch-size 40 --classes 0,1,2"
    assert f"{command} --train-samples 80 --test-samples 40" in page.text
    assert "hidden 12 64 Hidden neurons" in page.text
    assert "seed 0 Seed of all that is random" in page.text
    assert "epochs = 2" in page.text
    assert "This trains it again with sqsnn 0.1.0" in page.text


def test_costs_stand_beside_the_dense_network(folder):
    change_costs(
        folder,
        synaptic_operations=12000.0,
        dense_operations=4096,
        dense_operations_every_step=40960,
        gates=1620.0,
        measurements=640,
        encoding_rotations=340.0,
        skipped_rotations=300.0,
    )
    text = page_of(folder).text
    assert "add 12,000 weights" in text
    assert "4,096 in one pass, and 40,960 if it runs at every step, of which this is 29.3 %" in text
    assert "1,620 gates and 640 measurements" in text
    assert "Of 640 rotations of the encoding 340 are placed" in text
    assert "multiplied" not in text
    change_costs(folder, multiply_accumulates=12000.0)
    assert "12,000 of the weights added are multiplied first" in page_of(folder).text
    change_costs(folder, measurements=0)
    assert "The neurons take" not in page_of(folder).text


def test_measured_spikes_have_no_accuracy_by_probability_and_no_costs(folder):
    unknown = ("test_accuracy_ties_by_probability", "test_accuracy_probability", "costs")
    change_result(folder, **dict.fromkeys(unknown))
    text = page_of(folder).text
    assert "With ties broken" not in text
    assert "By spike counts, ties broken at random." in text
    assert "Costs were not counted" in text


def test_costs_may_be_counted_later(folder):
    costs = folder.read_result()["costs"]
    change_result(folder, costs=None)
    folder.write_costs({"best_epoch": 1, **costs})
    assert f"add {costs['total']['synaptic_operations']:,.0f} weights" in page_of(folder).text


def test_text_in_the_files_runs_nothing(folder):
    machine = {**folder.read_times()["machine"], "device": "<script>alert(1)</script>"}
    change_times(folder, machine=machine)
    html = write_report(folder.path).path.read_text("utf-8")
    assert "<script>" not in html
    assert "<script>alert(1)</script>" in Page(html).text


def test_a_run_of_other_neurons_has_no_circuit_on_its_page(tmp_path):
    folder = run.begin(settings(neurons="lif", epochs=1), tmp_path / "run", pictures=False)
    written = write_report(folder.path)
    page = Page(written.path.read_text("utf-8"))
    assert written.left_out == ()
    assert len(page.images) == 3
    assert "12 hidden LIF neurons" in page.text


# Pictures that are missing


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


def test_no_network_is_loaded_for_what_the_files_hold(folder, monkeypatch):
    def refuse(*args):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(loading, "load", refuse)
    before = write_report(folder.path).path.read_bytes()
    for name in ("learning-curve.png", "circuit.png"):
        (folder.path / name).unlink()
    assert write_report(folder.path).path.read_bytes() == before


def test_pictures_that_cannot_be_drawn_are_left_out_with_the_reason(folder, monkeypatch):
    def absent(*args):
        raise DataError("somewhere lies no digits.gz")

    monkeypatch.setattr(loading, "load", absent)
    (folder.path / "raster.png").unlink()
    written = write_report(folder.path)
    (why,) = written.left_out
    assert "somewhere lies no digits.gz" in why
    page = Page(written.path.read_text("utf-8"))
    assert len(page.images) == 4
    assert "raster.png is not in the folder of the run and could not be drawn anew" in page.text
    assert "somewhere" not in page.text  # a folder of this machine means nothing to the reader


def test_measured_spikes_are_not_simulated_for_a_picture(folder, monkeypatch):
    measured = settings(rule="local", score="measured", backend="aer")
    monkeypatch.setattr(RunFolder, "read_settings", lambda self: measured)
    monkeypatch.setattr(loading, "load", None)
    (folder.path / "confusion-matrix.png").unlink()
    (why,) = write_report(folder.path).left_out
    assert "aer measured its spikes" in why


# Runs that are not finished


def test_an_unfinished_run_shows_what_there_is_and_tests_nothing(tmp_path, monkeypatch):
    folder = stopped(tmp_path / "run")
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 2, "train_lo')  # torn
    monkeypatch.setattr(loading, "test", None)
    page = page_of(folder)
    assert "This run is not finished: 1 of 3 epochs" in page.text
    assert "validation accuracy, best epoch 1" in page.text
    assert len(page.images) == 3  # learning curve and circuits
    assert "raster.png is drawn when the run is finished" in page.text
    assert "test accuracy" not in page.text


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    folder = folders.create(tmp_path / "run", from_flat("digits", {}))
    page = page_of(folder)
    assert "0 of 30 epochs" in page.text
    assert "All settings are the defaults" in page.text
    assert len(page.images) == 2  # the circuits
    assert "64 hidden SQS neurons, bidirectional, N=1, M=1 and 0" in page.text


def test_one_circuit_is_drawn_once(tmp_path):
    chosen = from_flat("digits", {"memory_qubits": 2, "output_memory_qubits": 2})
    page = page_of(folders.create(tmp_path / "run", chosen))
    assert len(page.images) == 1
    assert "bidirectional, N=1, M=2" in page.text
    assert "The neuron of the output layer" not in page.text


def test_a_folder_without_a_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match="holds no run"):
            write_report(path)
    assert list(tmp_path.iterdir()) == []


# What the figures stand beside


def test_the_headline_stands_beside_chance_and_a_linear_model(folder):
    figures = {"accuracy": 0.8123}
    baseline = {"model": "ridge classifier on all values", "figures": figures}
    change_result(folder, test_accuracy=0.75, chance=0.325, baseline=baseline, test_roc_auc=0.9123)
    text = page_of(folder).text
    assert "test accuracy ridge classifier on all values always the most frequent class" in text
    assert "75.00 % 81.23 % 32.50 %" in text
    assert "The area under their ROC curve is 0.912; chance is 0.5" in text
    change_result(folder, baseline=None, test_roc_auc=None)
    text = page_of(folder).text
    assert "75.00 % 32.50 %" in text
    assert "No linear model was fitted" in text
    assert "ROC" not in text


def class_rows(number: int) -> list[dict[str, Any]]:
    return [
        {"class": f"c{k}", "precision": 0.5, "recall": 0.25, "f1": k / 100, "samples": 3}
        for k in range(number)
    ]


def test_each_class_has_its_row_and_of_many_the_worst_come_first(folder):
    change_result(folder, classes=[{**row, "class": "a|b <i>"} for row in class_rows(1)])
    text = page_of(folder).text
    assert "a|b <i> 50.0 % 25.0 % 0.0 % 3 mean of the classes 50.0 % 25.0 % 0.0 % 3" in text
    change_result(folder, classes=class_rows(27)[::-1])
    page = page_of(folder)
    assert "The 10 of 27 classes with the lowest F1" in page.text
    worst, every = page.text.split("All classes")
    rows = [f"c{k} 50.0 % 25.0 % {k}.0 % 3" for k in range(27)]
    assert " ".join(rows[:10]) in worst and rows[10] not in worst
    assert all(row in every for row in rows)
    assert page.tags.count("details") == 4


@pytest.fixture(scope="module")
def valued(tmp_path_factory) -> RunFolder:
    """A small run on a file of one's own with real values; the file is gone."""
    place = tmp_path_factory.mktemp("valued")
    X = np.random.default_rng(0).random((80, 2))
    np.savez(place / "my.npz", X=X, y=X @ [3.0, -1.0])
    chosen = {"hidden": "6,4", "steps": 3, "epochs": 2, "batch_size": 40}
    made = run.begin(from_flat(str(place / "my.npz"), chosen), place / "run")
    (place / "my.npz").unlink()
    return made


def test_a_network_of_real_values_has_errors_on_its_page(valued, tmp_path):
    folder = RunFolder(shutil.copytree(valued.path, tmp_path / "run"))
    baseline = {"model": "ridge on all values", "figures": {"nmse": 0.25, "mae": 1, "r2": 0.75}}
    errors = {"test_nmse": 0.51234, "test_mae": 0.4, "test_r2": 0.48766, "test_mse": 0.2}
    change_result(folder, **errors, chance=1.0071, baseline=baseline)
    change_epochs(folder, validation_nmse=0.5, validation_mae=0.25, validation_r2=0.5)
    page = page_of(folder)
    labels = "test NMSE ridge on all values, NMSE always the training mean, NMSE"
    assert f"{labels} mean absolute error R2 parameters" in page.text
    assert "0.5123 0.25 1.007 0.4 0.4877" in page.text
    assert "epoch training loss validation NMSE mean absolute error R2" in page.text
    assert "0.5 0.25 0.5" in page.text
    assert page.images == [
        (folder.path / name).read_bytes()
        for name in ("learning-curve.png", "predictions.png", "circuit.png")
    ]
    assert "hidden layer 1 hidden layer 2 all" in page.text
    for word in ("accuracy", "output layer", "Confusion", "class"):
        assert word not in page.text.split("Settings left")[0].replace("accuracy or error", "")


def test_a_page_of_own_data_needs_no_file_and_names_no_folder(valued, tmp_path):
    folder = RunFolder(shutil.copytree(valued.path, tmp_path / "elsewhere"))
    text = page_of(folder).text
    assert text.startswith("my.npz: 6-4 hidden SQS neurons")
    assert "sqsnn train my.npz --hidden 6,4 --steps 3" in text
    assert str(valued.path.parent) not in text
    (folder.path / "predictions.png").unlink()
    written = write_report(folder.path)
    assert "my.npz" in written.left_out[0]
    assert "predictions.png is not in the folder" in Page(written.path.read_text("utf-8")).text


def test_targets_that_do_not_vary_have_an_absolute_error_alone(valued, tmp_path):
    folder = RunFolder(shutil.copytree(valued.path, tmp_path / "run"))
    figures = {"nmse": None, "mae": 1.0, "r2": None}
    change_result(
        folder,
        **{"test_nmse": None, "test_r2": None, "test_mae": 0.5, "chance": None},
        baseline={"model": "ridge on all values", "figures": figures},
    )
    assert "mean absolute error parameters" in page_of(folder).text


def test_an_unfinished_run_of_real_values_shows_its_error(valued, tmp_path):
    folder = RunFolder(shutil.copytree(valued.path, tmp_path / "run"))
    folder.result.unlink()
    (folder.path / "predictions.png").unlink()
    text = page_of(folder).text
    assert "validation NMSE, best epoch" in text
    assert "predictions.png is drawn when the run is finished" in text


def test_a_run_that_began_with_a_network_says_so_in_its_command(tmp_path):
    earlier = settings().model_copy(update={"begins_with": tmp_path / "earlier"})
    text = page_of(folders.create(tmp_path / "run", earlier)).text
    assert "sqsnn train digits --from earlier --rule backprop" in text
    assert str(tmp_path) not in text
