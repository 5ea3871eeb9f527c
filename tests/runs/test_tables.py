"""Answers as a table that every reader of CSV reads back."""

import csv
import io

import numpy as np
import pytest
import torch

from sqsnn.data.dataset import Samples
from sqsnn.data.preparation import Preparation
from sqsnn.runs import loading, tables
from sqsnn.runs.tables import Table
from sqsnn.training.evaluate import Scores
from sqsnn.training.values import Predictions

AWKWARD = ("a,b", 'say "no"', "two\nlines", " blank ", "Ärger", "")


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def named(labels) -> Preparation:
    return Preparation(labels=labels, target_names=(), features=2)


def valued(*names: str) -> Preparation:
    return Preparation(labels=(), target_names=names, features=2)


def test_class_names_with_commas_quotes_and_line_breaks_are_read_back(tmp_path):
    chances = np.full((6, 6), 1 / 6)
    table = tables.of_classes(np.array(AWKWARD), chances, named(AWKWARD))
    tables.write(tmp_path / "deep" / "a.csv", table)
    written = (tmp_path / "deep" / "a.csv").read_bytes().decode("utf-8")
    for text in (written, tables.text_of(table)):
        heading, *rows = read(text)
        assert heading == ["sample", "prediction", *(f"p({name})" for name in AWKWARD)]
        assert [row[0] for row in rows] == list("012345")
        assert tuple(row[1] for row in rows) == AWKWARD
        assert all(float(one) == 1 / 6 for row in rows for one in row[2:])


@pytest.mark.parametrize("labels", [("x", "y"), (3, 7), (0.5, 1.5), (False, True)])
def test_labels_are_those_of_the_file(labels):
    shares = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    scores = Scores(shares, shares, torch.tensor([0, 1]), (0.0,))
    tested = loading.Tested(scores, Samples(torch.zeros(2, 2), torch.tensor([1, 1])), {}, (0.0,))
    table = tables.of_test(tested, named(labels))
    assert table.columns[:3] == ("sample", "label", "prediction")
    expected = [str(labels[1]), str(labels[0])], [str(labels[1])] * 2
    assert [row[1:3] for row in read(tables.text_of(table))[1:]] == list(expected)


def test_the_probabilities_of_a_test_are_those_of_one_shot():
    summed = torch.tensor([[4.0, 2.0]])
    samples = Samples(torch.zeros(1, 2), torch.tensor([0]))
    for shots in (1, 2):
        scores = Scores(summed, summed, torch.tensor([0]), (0.0,), shots=shots)
        row = tables.of_test(loading.Tested(scores, samples, {}, (0.0,)), named(("x", "y"))).rows[0]
        assert row[3] == pytest.approx(1 / (1 + np.exp(-2 / shots)))


def test_one_value_per_sample_stands_beside_its_deviation_and_the_truth():
    values = torch.tensor([[0.1, 2.0], [1e-30, 4e20]])
    found = Predictions(values, values / 2, None, (0.0,))
    table = tables.of_values(found, valued("heat", "cold"), truth=values + 1)
    assert table.columns == (
        *("sample", "heat", "cold"),
        *("heat (standard deviation)", "cold (standard deviation)", "heat (true)", "cold (true)"),
    )
    rows = read(tables.text_of(table))[1:]
    assert rows[0] == ["0", "0.1", "2.0", "0.05", "1.0", "1.1", "3.0"]
    # What is written is what was computed, to the last bit.
    assert [np.float32(one) for one in rows[1][1:3]] == values[1].tolist()


def test_values_at_every_step_have_a_row_for_each_step_that_counts():
    values = torch.arange(12.0).reshape(2, 3, 2)
    counts = torch.tensor([[True, True, False], [False, True, True]])
    found = Predictions(values, None, counts, (0.0,))
    rows = tables.of_values(found, valued("a", "b")).rows
    assert [tuple(map(float, row)) for row in rows] == [
        *((0, 0, 0, 1), (0, 1, 2, 3)),
        *((1, 1, 8, 9), (1, 2, 10, 11)),
    ]
    whole = tables.of_values(found._replace(counts=None), valued("a", "b"))
    assert whole.columns == ("sample", "step", "a", "b")
    assert len(whole.rows) == 6


def test_a_table_that_is_there_is_replaced_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("older and longer than the new one")
    tables.write(path, Table(("x",), [(1,)]))
    assert path.read_bytes() == b"x\r\n1\r\n"
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]
