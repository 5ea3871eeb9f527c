"""A trained network in use: predict, save, load, fine-tune, continue; on own data."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch

import sqsnn
from sqsnn.errors import CheckpointError, ConfigError, DataError
from sqsnn.runs import loading, run
from sqsnn.runs.model import read_model
from sqsnn.runs.prediction import evaluate_file, predict_file
from sqsnn.settings.run import continued

SMALL = {"hidden": (8,), "epochs": 3, "batch_size": 16}


def clusters(samples: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clusters in the plane, far apart, in units of hundreds."""
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % 3
    centres = np.array([[100.0, 100.0], [900.0, 100.0], [500.0, 900.0]])
    return centres[labels] + 40 * generator.standard_normal((samples, 2)), labels


def write(path, X, labels=None):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["left", "up", *([] if labels is None else ["colour"])])
        for number, row in enumerate(X):
            writer.writerow([*row, *([] if labels is None else [labels[number]])])
    return path


NAMES = np.array(["red", "green", "blue"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("own")
    X, labels = clusters()
    path = write(place / "my.csv", X, NAMES[labels])
    settings = {**SMALL, "epochs": 20, "learning_rate": 0.03}
    return sqsnn.train(path, out=place / "run", label="colour", **settings)


def test_a_network_of_own_data_names_new_samples_in_the_labels_of_the_file(trained):
    X, labels = clusters(30, seed=1)
    found = trained.predict(X)
    assert found.dtype.kind == "U"
    assert (found == NAMES[labels]).mean() > 0.9
    chances = trained.predict_proba(X)
    assert chances.shape == (30, 3)
    assert np.allclose(chances.sum(1), 1)
    assert trained.encode(X).shape == (10, 30, 2, 1)
    assert trained.metrics["chance"] == pytest.approx(1 / 3, abs=0.05)
    assert trained.metrics["baseline"]["figures"]["accuracy"] > 0.6
    assert [row["class"] for row in trained.metrics["classes"]] == ["blue", "green", "red"]
    assert 0.5 < trained.metrics["test_roc_auc"] <= 1


def test_a_prediction_depends_on_no_other_sample(trained):
    X, _ = clusters(30, seed=1)
    whole = trained.predict_proba(X)
    assert np.array_equal(trained.predict_proba(X[7:9]), whole[7:9])
    assert np.array_equal(trained.predict_proba(X[::-1]), whole[::-1])


def test_the_test_is_repeated_from_the_file_of_the_data(trained):
    again = trained.evaluate()
    assert again["test_accuracy"] == trained.metrics["test_accuracy"]


def test_loading_and_predicting_need_neither_the_data_nor_the_folder(
    trained, tmp_path, monkeypatch
):
    place = trained.save(tmp_path / "colours.sqsnn")
    monkeypatch.setattr(loading.catalog, "load", None)
    X, _ = clusters(30, seed=1)
    expected = trained.predict_proba(X)
    for path in (trained.folder.path, place):
        again = sqsnn.load(path)
        assert np.array_equal(again.predict_proba(X), expected)
        assert again.metrics == trained.metrics
        assert again.settings == trained.settings
    card = (tmp_path / "colours.md").read_text("utf-8")
    assert f"| {trained.metrics['test_accuracy']:.4g} |" in card
    assert "blue, green, red" in card


@pytest.mark.parametrize("cut", [0, 10, 200, -1])
def test_a_cut_file_is_refused_by_name(trained, tmp_path, cut):
    whole = trained.save(tmp_path / "a.sqsnn").read_bytes()
    (tmp_path / "cut.sqsnn").write_bytes(whole[:cut])
    with pytest.raises(CheckpointError, match=r"cut\.sqsnn"):
        sqsnn.load(tmp_path / "cut.sqsnn")


def test_the_card_does_not_overwrite_the_network(trained, tmp_path):
    with pytest.raises(ConfigError, match=r"path is .*a\.md"):
        trained.save(tmp_path / "a.md")


def test_a_file_is_predicted_by_the_names_of_its_columns(trained, tmp_path):
    X, _ = clusters(6, seed=1)
    path = tmp_path / "new.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "up", "left"])
        writer.writerows([["x", up, left] for left, up in X])
    table = predict_file(trained, path)
    assert table.columns == ("sample", "prediction", "p(blue)", "p(green)", "p(red)")
    assert [row[1] for row in table.rows] == trained.predict(X).tolist()


def test_a_file_without_a_feature_is_refused_by_name(trained, tmp_path):
    (tmp_path / "new.csv").write_text("left,down\n1,2\n", "utf-8")
    with pytest.raises((DataError, ConfigError), match=r"'up'.*new\.csv has no such column"):
        predict_file(trained, tmp_path / "new.csv")


def test_fine_tuning_gives_another_network_and_leaves_this_one(trained):
    X, labels = clusters(60, seed=2)
    turned = NAMES[(labels + 1) % 3]  # the colours have changed places
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    tuned = trained.fine_tune(X, turned, epochs=40)
    assert all(torch.equal(v, before[n]) for n, v in trained.network.state_dict().items())
    assert (tuned.predict(X) == turned).mean() > 0.8 > (trained.predict(X) == turned).mean()
    with pytest.raises(ValueError, match=r"y holds pink, but the classes .* blue, green, red"):
        trained.fine_tune(X, ["pink"] * 60, epochs=1)
    with pytest.raises(ValueError, match="y must have 60 entries, one per sample, but has 2"):
        trained.fine_tune(X, ["red"] * 2, epochs=1)


def test_a_training_goes_on_from_the_best_weights_in_a_new_folder(trained, tmp_path):
    start = trained.folder.path
    kept = {path.name: path.read_bytes() for path in start.iterdir()}
    settings = continued(trained.settings, start, None, {"epochs": 1, "learning_rate": 1e-6})
    further = run.begin(settings, tmp_path / "further", pictures=False)
    weights = read_model(further.path).weights
    for name, value in trained.network.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-5)
    assert {path.name: path.read_bytes() for path in start.iterdir()} == kept


def test_other_data_are_scaled_as_those_of_the_training(trained, tmp_path):
    X, labels = clusters(60, seed=3)
    path = write(tmp_path / "other.csv", X[labels < 2] / 2, NAMES[labels[labels < 2]])
    given = {"epochs": 1, "label": "colour"}
    settings = continued(trained.settings, trained.folder.path, str(path), given)
    folder = run.begin(settings, tmp_path / "tuned", pictures=False)
    assert folder.read_preparation().to_json() == trained.preparation.to_json()
    assert json.loads(folder.result.read_text("utf-8"))["test_samples"] == 8


@pytest.mark.parametrize("given", [{"hidden": (9,)}, {"memory_qubits": 2}, {"steps": 5}])
def test_the_network_of_a_start_stays_as_it_is(trained, given):
    with pytest.raises(ConfigError, match="cannot change"):
        continued(trained.settings, trained.folder.path, None, given)


def test_data_of_another_size_do_not_fit_a_start(trained, tmp_path):
    settings = continued(trained.settings, trained.folder.path, "digits", {"epochs": 1})
    with pytest.raises(ConfigError, match=r"digits has 64 features, but the network .* on 2"):
        run.begin(settings, tmp_path / "run", pictures=False)


def test_arrays_are_kept_in_the_folder_so_that_the_run_repeats(tmp_path):
    X, labels = clusters(45)
    made = sqsnn.train(X, labels, out=tmp_path / "run", **SMALL)
    assert made.settings.data.dataset == str(tmp_path / "run" / "data.npz")
    assert made.evaluate()["test_accuracy"] == made.metrics["test_accuracy"]
    assert made.predict(X[:2]).dtype.kind == "i"
    with pytest.raises(ConfigError, match="y is missing"):
        sqsnn.train(X, out=tmp_path / "other", **SMALL)


def test_a_network_of_real_values_predicts_in_their_units(tmp_path):
    generator = np.random.default_rng(0)
    X = generator.random((200, 3))
    y = 1000 + 50 * X[:, 0] - 30 * X[:, 1]
    settings = {**SMALL, "epochs": 30, "value_loss": "gaussian", "readout": "traces"}
    made = sqsnn.train(X, y, out=tmp_path / "run", **settings)
    found, deviation = made.predict(X, return_std=True)
    assert found.shape == deviation.shape == (200,)
    assert (deviation > 0).all()
    assert np.square(found - y).mean() < 0.5 * y.var()
    assert made.metrics["test_nmse"] == pytest.approx(1 - made.metrics["test_r2"])
    assert made.metrics["baseline"]["figures"]["nmse"] < 1e-3
    assert (made.folder.path / "predictions.png").is_file()
    with pytest.raises(ConfigError, match="real values, which have no classes"):
        made.predict_proba(X)


def test_series_of_unequal_lengths_are_masked_from_training_to_prediction(tmp_path):
    """What stands behind the end of a series changes no prediction."""
    generator = np.random.default_rng(0)
    X, lengths = generator.random((60, 8, 2)), generator.integers(3, 9, 60)
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(60) % 2, lengths=lengths)
    made = sqsnn.train(tmp_path / "a.npz", out=tmp_path / "run", **SMALL)
    assert made.settings.encoding.kind == "current"
    assert made.settings.encoding.steps == 8
    noisy = X.copy()
    for place, end in zip(noisy, lengths, strict=True):
        place[end:] = 9.0
    one = made.predict_proba(X, lengths=lengths)
    assert np.array_equal(one, made.predict_proba(noisy, lengths=lengths))
    ragged = [series[:end] for series, end in zip(X, lengths, strict=True)]
    assert np.array_equal(one, made.predict_proba(ragged))


def test_series_of_unequal_lengths_and_tables_are_taken_from_memory(tmp_path):
    generator = np.random.default_rng(0)
    ragged = [generator.random((steps, 2)) for steps in generator.integers(3, 9, 40)]
    made = sqsnn.train(ragged, np.arange(40) % 2, out=tmp_path / "series", **SMALL)
    assert made.preparation.length == max(map(len, ragged))
    assert made.predict(ragged[:3]).shape == (3,)
    table = pd.DataFrame({"left": generator.random(40), "up": generator.random(40)})
    made = sqsnn.train(table, pd.Series(["a", "b"] * 20), out=tmp_path / "table", **SMALL)
    assert made.preparation.feature_names == ("left", "up")
    assert made.preparation.labels == ("a", "b")
    with pytest.raises(ConfigError, match="y must hold numbers, or text for labels, but has dtype"):
        sqsnn.train(table, [b"a"] * 40, out=tmp_path / "other", **SMALL)


def test_values_at_every_step_are_as_many_as_the_steps_of_the_longest_series(tmp_path):
    X = np.random.default_rng(0).random((40, 8, 2))
    made = sqsnn.train(X, X.cumsum(1), out=tmp_path / "run", **SMALL)
    assert made.predict(X[:3]).shape == (3, 8, 2)
    assert made.predict(X[:3, :5]).shape == (3, 5, 2)
    assert made.predict([X[0, :2], X[1, :6]]).shape == (2, 6, 2)
    # The steps before the end do not depend on what comes after them.
    assert np.allclose(made.predict(X[:3, :5]), made.predict(X[:3])[:, :5], rtol=1e-5)


def test_a_network_is_tested_on_labelled_samples_of_memory_and_of_a_file(trained, tmp_path):
    X, labels = clusters(60, seed=4)
    by_hand = (trained.predict(X) == NAMES[labels]).mean()
    figures = trained.evaluate(X, NAMES[labels], shots=10)
    assert figures["test_accuracy_probability"] == pytest.approx(by_hand, abs=0.1)
    assert figures["test_samples"] == 60
    path = write(tmp_path / "labelled.csv", X, NAMES[labels])
    from_file = evaluate_file(trained, path, shots=10)
    assert from_file == {"dataset": str(path), **figures}
    with pytest.raises(ValueError, match="y must have 60 entries, one per sample, but has none"):
        trained.evaluate(X)


def test_a_data_frame_may_hold_its_labels(tmp_path):
    X, labels = clusters(45)
    table = pd.DataFrame(X, columns=["left", "up"]).assign(colour=NAMES[labels])
    made = sqsnn.train(table, label="colour", out=tmp_path / "run", **SMALL)
    assert made.preparation.feature_names == ("left", "up")
    assert made.preparation.class_names == ("blue", "green", "red")
    assert repr(made).startswith(
        f"<Run of {tmp_path / 'run'}: 2 features -> blue, green, red; test_"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": None}, "y must hold labels of one kind, text or numbers, but sample 0 has"),
        ({"name": "x"}, "X must hold numbers, but the column 'name' does not: leave it out"),
    ],
)
def test_what_was_refused_leaves_nothing_behind(tmp_path, change, message):
    X, labels = clusters(45)
    table = pd.DataFrame(X, columns=["left", "up"]).assign(colour=NAMES[labels])
    for name, value in change.items():
        table.loc[:0, name] = value
    with pytest.raises(ConfigError, match=message):
        sqsnn.train(table, label="colour", out=tmp_path / "run", **SMALL)
    with pytest.raises(DataError, match="sample 5"):
        sqsnn.train(np.where(X[5] == X, np.nan, X), labels, out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_python_begins_with_a_network_as_the_shell_does(trained, tmp_path):
    X, labels = clusters(60, seed=2)
    path = write(tmp_path / "other.csv", X, NAMES[labels])
    made = sqsnn.train(path, begins_with=trained.folder.path, epochs=1, out=tmp_path / "run")
    assert made.settings.hidden == trained.settings.hidden
    assert made.settings.data.label == "colour"  # as in the training


def test_a_file_that_has_changed_is_not_tested_again(tmp_path):
    X, labels = clusters(45)
    path = write(tmp_path / "my.csv", X, NAMES[labels])
    made = sqsnn.train(path, label="colour", out=tmp_path / "run", **SMALL)
    write(path, X[::-1], NAMES[labels[::-1]])
    with pytest.raises(ConfigError, match="holds other samples now than when the run began"):
        made.evaluate()
    write(path, X, NAMES[labels])
    assert made.evaluate()["test_accuracy"] == made.metrics["test_accuracy"]
