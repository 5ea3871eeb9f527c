"""What a group is judged by: it follows from its figures, and says which way is better."""

import pytest

from sqsnn_bench.study import headline
from sqsnn_bench.study.headline import ACCURACY, ERROR
from sqsnn_bench.study.records import Key

OF_CLASSES = {"validation_accuracy": 0.75, "validation_loss": 1.0}
OF_VALUES = {"validation_nmse": 0.25, "validation_mae": 0.1}


def two_kinds(content):
    values = {"parameters": 300, "training": {"epochs": 1}}
    content["datasets"]["narma5"] = values
    content["datasets"]["renamed"] = {**values, "dataset": "narma10"}


def test_figures_say_what_they_are_judged_by():
    assert headline.of(OF_VALUES) is ERROR
    assert headline.of(OF_CLASSES) is ACCURACY


@pytest.mark.parametrize(
    ("group", "found"), [("digits", ACCURACY), ("narma5", ERROR), ("renamed", ERROR)]
)
def test_a_group_without_figures_is_judged_by_its_dataset(study, group, found):
    failed = {Key(group, "lif", "seed", 0): {"error": "the loss is nan"}}
    assert headline.of_group(study(two_kinds), group, {}) is found
    assert headline.of_group(study(two_kinds), group, failed) is found


def test_a_group_of_a_file_of_ones_own_is_judged_by_its_records(study):
    read = study(lambda content: content["datasets"]["digits"].update(dataset="gone.csv"))
    assert headline.of_group(read, "digits", {Key("digits", "x", "seed", 0): OF_VALUES}) is ERROR


def test_a_higher_accuracy_and_a_lower_error_are_better():
    assert ACCURACY.score(OF_CLASSES) > ACCURACY.score({"validation_accuracy": 0.7})
    assert ERROR.score(OF_VALUES) > ERROR.score({"validation_nmse": 0.3})


def test_pictures_say_which_way_is_better_where_it_is_down():
    assert ACCURACY.axis == "test accuracy (%)"
    assert ERROR.axis == "test error (NMSE), lower is better"
