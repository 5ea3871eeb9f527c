"""What stands between a user's samples and the network, and that JSON keeps it."""

import json

import numpy as np
import pandas
import pytest
import torch

from sqsnn.data.preparation import Preparation
from sqsnn.data.scaling import Scaling

SCALING = Scaling(np.array([0.0, -1.0]), np.array([2.0, 3.0]))


def prepared(**changes) -> Preparation:
    given = {"labels": ("a", "b"), "target_names": (), "features": 2, "scaling": SCALING}
    return Preparation(**given | changes)


def test_samples_are_scaled_as_those_of_the_training():
    values, lengths = prepared().inputs([[1.0, 0.0], [4.0, -1.0]], clip=True)
    assert lengths is None
    assert values.dtype == torch.float32
    assert values.tolist() == [[0.5, 0.25], [1.0, 0.0]]
    assert prepared().inputs([[4.0, -1.0]], clip=False)[0].tolist() == [[2.0, 0.0]]


def test_short_series_are_padded_to_the_length_of_the_training():
    series = prepared(length=4)
    values, lengths = series.inputs([[[1.0, 0.0], [2.0, 3.0]]], clip=True)
    assert values.tolist() == [[[0.5, 0.25], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]]
    assert lengths.tolist() == [2]
    ragged = [np.ones((3, 2)), np.ones((1, 2))]
    values, lengths = series.inputs(ragged, clip=True)
    assert values.shape == (2, 4, 2)
    assert lengths.tolist() == [3, 1]
    assert not values[1, 1:].any()


@pytest.mark.parametrize(
    ("X", "length", "message"),
    [
        ([[1.0]], None, r"shape \(n, features\) with 2 features.* \(1, 1\)"),
        ([1.0, 2.0], None, r"has the shape \(2,\)"),
        ([[1.0, 2.0]], 3, r"\(n, steps, features\)"),
        ([[1.0, np.nan]], None, r"finite, but is nan at index \(0, 1\)"),
        (np.ones((1, 5, 2)), 4, "5 steps, but the series of the training had 4"),
    ],
)
def test_samples_of_another_form_are_refused(X, length, message):
    with pytest.raises(ValueError, match=message):
        prepared(length=length).inputs(X, clip=True)


@pytest.mark.parametrize("labels", [("a", "b"), (1, 7), (True, False), (0.5, 1.5), ()])
def test_json_keeps_all_of_it(labels):
    names = () if labels else ("y",)
    scaling = Scaling(np.array([0.1, -1e-300]), np.array([1 / 3, 1e300]))
    made = prepared(
        labels=labels, target_names=names, feature_names=("x", "y"), scaling=scaling, grid=(1, 2)
    )
    again = Preparation.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False)))
    assert again.labels == made.labels
    assert [type(label) for label in again.labels] == [type(label) for label in labels]
    assert again.to_json() == made.to_json()
    assert again.outputs == max(len(labels), len(names))
    assert again.shape == (1, 2)
    assert prepared().shape == (2,)


def test_a_data_frame_is_read_by_the_names_of_its_columns():
    prepared = Preparation(("a", "b"), (), features=2, feature_names=("left", "up"))
    frame = pandas.DataFrame({"note": ["x", "y"], "up": [3.0, 4.0], "left": [1.0, 2.0]})
    values, _ = prepared.inputs(frame, clip=False)
    assert values.tolist() == [[1, 3], [2, 4]]
    with pytest.raises(ValueError, match=r"the columns left, up, as in .*, but lacks up"):
        prepared.inputs(frame.drop(columns="up"), clip=False)


def test_lengths_end_within_the_samples_that_are_given():
    prepared = Preparation(("a", "b"), (), features=1, length=8)
    values, lengths = prepared.inputs(np.ones((1, 4, 1)), [3], clip=False)
    assert (values.shape, lengths.tolist()) == ((1, 8, 1), [3])
    with pytest.raises(ValueError, match="lengths must be at most 4, the steps of X, but is 6"):
        prepared.inputs(np.ones((1, 4, 1)), [6], clip=False)
