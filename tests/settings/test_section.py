"""Sections never change, know their names, and read what the command line gives as text."""

import pytest
from pydantic import Field, ValidationError

from sqsnn.options import explain
from sqsnn.settings.section import Labels, Section, Sizes, Words


class Example(Section):
    """A section for the tests."""

    sizes: Sizes = ()
    labels: Labels = (0, 1)
    words: Words = Field(default_factory=dict)
    number: float = 0.0
    """What a number
    means."""


def refusal(**given) -> str:
    with pytest.raises(ValidationError) as refused:
        Example.model_validate(given)
    return explain(refused.value)


def test_sections_never_change():
    with pytest.raises(ValidationError):
        Example().number = 3.0


def test_a_docstring_below_a_field_is_its_help_text():
    assert Example.model_fields["number"].description == "What a number\nmeans."


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("64", (64,)),
        ("64,32", (64, 32)),
        ("64, 32", (64, 32)),
        ("", ()),
        (["64,32"], (64, 32)),
        (["64", "32"], (64, 32)),
        ([64, 32], (64, 32)),
        ((64,), (64,)),
    ],
)
def test_sizes_are_read_from_text(given, read):
    assert Example.model_validate({"sizes": given}).sizes == read


def test_words_are_read_as_what_they_are():
    given = {"layers": "2", "coupling": "0.5", "deep": "true", "kind": "ring", "number": 3}
    read = Example.model_validate({"words": given}).words
    assert read == {"layers": 2, "coupling": 0.5, "deep": True, "kind": "ring", "number": 3}
    assert [type(value) for value in read.values()] == [int, float, bool, str, int]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": "64,,64"}, "sizes.1: Input should be a valid integer, .* but is ''"),
        ({"sizes": (0,)}, "sizes.0: .*greater than or equal to 1, but is 0"),
        ({"labels": "3"}, "labels: .*at least 2"),
        ({"labels": (-1, 2)}, "labels.0: .*greater than or equal to 0, but is -1"),
        ({"words": 3}, "words: .*dictionary, but is 3"),
        ({"number": float("nan")}, "number: .*finite"),
        ({"unknown": 3}, "unknown: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_refused_by_name(given, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        raise ValueError(refusal(**given))
