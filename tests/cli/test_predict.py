"""Own data on the command line: train, predict, write answers, go on, fine-tune."""

import csv
import json
import shlex

import numpy as np
import pytest

from sqsnn.runs.folder import RunFolder
from sqsnn.runs.model import read_model
from sqsnn.settings.command import train_command

TINY = ["--hidden", 4, "--steps", 3, "--batch-size", 16]
COLOURS = np.array(["red", "green, dark"])


def write(path, labels=None, samples: int = 30, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["left", "up", *([] if labels is None else ["target"])])
        for number in range(samples):
            place = generator.normal(5 * (number % 2), 1, 2).round(3)
            writer.writerow([*place, *([] if labels is None else [labels(number, place)])])


def colour(number, place):
    return COLOURS[number % 2]


def height(number, place):
    return 100 + place[0] - 2 * place[1] + 0.5


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture
def colours(sqsnn, here):
    """A run on a table of two classes, and the same table without labels."""
    write(here / "my.csv", colour)
    write(here / "new.csv", samples=5)
    done = sqsnn("train", "my.csv", "--label", "target", "--epochs", 2, *TINY, "--out", "a")
    assert (done.code, done.err) == (0, "")
    return RunFolder(here / "a")


@pytest.fixture
def heights(sqsnn, here):
    """A run on a table of real values."""
    write(here / "my.csv", height)
    given = ["--label", "target", "--value-loss", "gaussian", "--epochs", 1]
    done = sqsnn("train", "my.csv", *given, *TINY, "--out", "a")
    assert (done.code, done.err) == (0, "")
    assert "ridge on all values" in done.out and "NMSE" in done.out
    return RunFolder(here / "a")


def test_predictions_are_printed_as_a_table_or_written(sqsnn, here, colours):
    done = sqsnn("predict", "a", "new.csv")
    assert (done.code, done.err) == (0, "")
    rows = rows_of(done.out)
    assert list(rows[0]) == ["sample", "prediction", "p(green, dark)", "p(red)"]
    assert len(rows) == 5 and {row["prediction"] for row in rows} <= set(COLOURS)
    for row in rows:
        assert float(row["p(red)"]) + float(row["p(green, dark)"]) == pytest.approx(1)
        assert (row["prediction"] == "red") == (float(row["p(red)"]) > 0.5)
    said = sqsnn("predict", "a", "new.csv", "--out", "there/answers.csv")
    assert said.out.splitlines() == ["there/answers.csv: 5 rows"]
    assert rows_of((here / "there/answers.csv").read_text("utf-8")) == rows
    # The labels that a file may hold change nothing.
    write(here / "known.csv", colour, samples=5)
    assert sqsnn("predict", "a", "known.csv").out == done.out


def test_more_shots_average_more(sqsnn, colours):
    one, again, ten = (
        sqsnn("predict", "a", "new.csv", "--shots", shots).out for shots in (1, 1, 10)
    )
    assert one == again != ten


def test_values_are_predicted_with_their_deviation(sqsnn, here, heights):
    write(here / "new.csv", samples=5)
    rows = rows_of(sqsnn("predict", "a", "new.csv").out)
    assert list(rows[0]) == ["sample", "target", "target (standard deviation)"]
    assert all(float(row["target (standard deviation)"]) > 0 for row in rows)
    assert all(50 < float(row["target"]) < 150 for row in rows)


def test_a_file_that_does_not_fit_is_refused_in_one_line(refused, here, colours):
    (here / "bad.csv").write_text("left,up\n1,2\n1,high\n")
    assert "high" in refused("predict", "a", "bad.csv")
    (here / "other.csv").write_text("left,down\n1,2\n")
    assert "'up'" in refused("predict", "a", "other.csv")
    np.savez(here / "wide.npz", X=np.zeros((2, 3)))
    assert "2 features, as in the training" in refused("predict", "a", "wide.npz")
    assert "nowhere" in refused("predict", "nowhere", "my.csv")
    assert "no.csv" in refused("predict", "a", "no.csv")


def test_the_answers_of_a_test_stand_beside_the_truth(sqsnn, here, colours):
    done = sqsnn("evaluate", "a", "--predictions", "answers.csv")
    assert (done.code, done.err) == (0, "")
    rows = rows_of((here / "answers.csv").read_text("utf-8"))
    assert list(rows[0])[:3] == ["sample", "label", "prediction"]
    result = colours.read_result()
    assert len(rows) == result["test_samples"]
    right = sum(row["label"] == row["prediction"] for row in rows) / len(rows)
    assert right == pytest.approx(result["test_accuracy_ties_by_probability"])
    # Summed over shots, the probabilities still are those of one.
    sqsnn("evaluate", "a", "--shots", 8, "--predictions", "answers.csv")
    chances = [float(row["p(red)"]) for row in rows_of((here / "answers.csv").read_text("utf-8"))]
    single = [float(row["p(red)"]) for row in rows]
    assert np.std(chances) < 2 * np.std(single) + 0.05


def test_the_values_of_a_test_stand_beside_the_truth(sqsnn, here, heights):
    sqsnn("evaluate", "a", "--predictions", "answers.csv")
    rows = rows_of((here / "answers.csv").read_text("utf-8"))
    errors = [float(row["target"]) - float(row["target (true)"]) for row in rows]
    # Values of about 100 in float32.
    assert np.abs(errors).mean() == pytest.approx(heights.read_result()["test_mae"], abs=1e-4)


def test_a_training_goes_on_in_a_new_folder(sqsnn, here, colours):
    before = {path.name: path.read_bytes() for path in colours.path.iterdir()}
    done = sqsnn("train", "--continue", "a", "--epochs", 1, "--out", "b")
    assert (done.code, done.err) == (0, "")
    assert "Beginning with the weights of a, which stays as it is" in done.out
    assert {path.name: path.read_bytes() for path in colours.path.iterdir()} == before
    assert "epoch   1/1" in done.out
    settings = read_model(here / "b").settings
    assert settings.begins_with == here / "a"
    # The command of its report trains it again.
    assert sqsnn(*shlex.split(train_command(settings))[1:], "--out", "c").code == 0
    metrics = [(here / name / "metrics.jsonl").read_bytes() for name in "bc"]
    assert metrics[0] == metrics[1]


def test_a_network_is_fine_tuned_on_other_data(sqsnn, here, colours):
    write(here / "other.csv", colour, seed=1)
    given = ["--label", "target", "--epochs", 1, "--out", "b"]
    assert sqsnn("train", "--from", "a", "other.csv", *given).code == 0
    found = RunFolder(here / "b")
    assert json.loads((here / "b" / "metrics.json").read_text())["dataset"] == "other.csv"
    assert found.read_preparation().to_json() == colours.read_preparation().to_json()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("--continue a my.csv", "--continue takes no dataset"),
        ("--continue a --hidden 9", "hidden cannot change"),
        ("--from a", "name a dataset"),
        ("--continue nowhere", "nowhere holds no run"),
        ("--from a narma5", "readout must be 'traces'"),
    ],
)
def test_starts_that_do_not_fit_are_refused(refused, here, colours, call, message):
    assert message in refused("train", *call.split(), "--out", "b")
    assert not (here / "b").exists()


@pytest.mark.parametrize("command", [["hardware"], ["inspect", "noise"]])
def test_what_needs_classes_is_refused_for_real_values(refused, heights, command):
    line = refused(*command, "a")
    assert line.startswith(f"this network predicts real values; `sqsnn {' '.join(command)}` is")


def test_no_backend_measures_a_network_of_real_values(refused, here):
    write(here / "my.csv", height)
    measured = ["--rule", "local", "--score", "measured", "--backend", "aer"]
    line = refused("train", "my.csv", "--label", "target", *TINY, *measured, "--out", "a")
    assert line.startswith("this network predicts real values; training on a backend (aer) is")
    assert not (here / "a").exists()


def test_the_layers_of_a_network_of_real_values_are_hidden(sqsnn, heights):
    said = sqsnn("inspect", "costs", "a").out
    assert "hidden" in said and "output" not in said
    assert "readout of the last layer is not counted" in " ".join(said.split())
    assert sqsnn("export", "a").code == 0
