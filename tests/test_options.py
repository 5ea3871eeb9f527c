"""Options objects never change, refuse in plain words, and are what settings are made from."""

from dataclasses import FrozenInstanceError, field, replace
from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from sqsnn.encoding import Current, Delta, Latency, Phase, PopulationCode, Rate, Spikes
from sqsnn.learning.backprop import Backprop
from sqsnn.learning.bit_source import Backend
from sqsnn.learning.estimators import Geometric, Laplace
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.scores import Exact, Measured
from sqsnn.learning.signals import Both, Feedback, NoSignal, Reinforce
from sqsnn.options import explain, options
from sqsnn.quantum.noise import Noise

CHOICES = {
    "encoding": (Rate, Latency, Delta, Current, PopulationCode, Phase, Spikes),
    "rule": (Backprop, Local),
    "signal": (Feedback, Reinforce, Both, NoSignal),
    "score": (Exact, Online, Measured),
    "estimator": (Geometric, Laplace),
}
PLAIN = (Backend, Noise)
ALL = [cls for members in CHOICES.values() for cls in members] + list(PLAIN)


@options
class Inner:
    """An object inside another."""

    size: PositiveInt = 1
    """How large
    it is."""
    kind: Literal["inner"] = field(default="inner", kw_only=True, repr=False)


@options
class Other:
    """Another member of the choice."""

    kind: Literal["other"] = field(default="other", kw_only=True, repr=False)


@options
class Outer:
    """An object for the tests."""

    name: str
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    inner: Annotated[Inner | Other, Field(discriminator="kind")] = Inner()

    def __post_init__(self) -> None:
        if self.name == "wrong":
            raise ValueError("name is 'wrong', but must be right")


def test_objects_are_made_compared_and_shown_like_dataclasses():
    outer = Outer("x", inner=Inner(3))
    assert outer == Outer(name="x", share=0.5, inner=Inner(size=3))
    assert hash(outer) == hash(replace(outer))
    assert repr(outer) == "Outer(name='x', share=0.5, inner=Inner(size=3))"
    assert Inner.__pydantic_fields__["size"].description == "How large\nit is."
    with pytest.raises(FrozenInstanceError):
        outer.share = 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Inner(0), "Inner: size: Input should be greater than 0, but is 0"),
        (lambda: Inner(size="many"), "Inner: size: .*valid integer.*, but is 'many'"),
        (lambda: Inner(width=3), "Inner: width: Unexpected keyword argument, but is 3"),
        (lambda: Outer(), "Outer: name: Field required"),
        (lambda: Outer("x", 1.5), "Outer: share: .*less than or equal to 1, but is 1.5"),
        (lambda: Outer("x", float("nan")), "Outer: share: .*, but is nan"),
        (lambda: Outer("wrong"), "Outer: name is 'wrong', but must be right"),
        (lambda: Outer(3), "Outer: name: .*string, but is 3"),
        (lambda: Outer("x", inner={"kind": "inner", "size": 0}), "Outer: size: .*but is 0"),
        (
            lambda: Outer("x", inner={"kind": "none"}),
            r"Outer: inner: kind may be one of 'inner', 'other', but is \{'kind': 'none'\}",
        ),
        (lambda: Outer("x", inner={"size": 2}), "Outer: inner: kind is missing, but is"),
        (lambda: replace(Inner(), size=-1), "Inner: size: .*greater than 0, but is -1"),
    ],
)
def test_a_wrong_value_is_refused_in_one_plain_line(make, message):
    with pytest.raises(ValueError, match=f"^{message}") as refused:
        make()
    assert type(refused.value) is ValueError
    assert "\n" not in str(refused.value)
    assert "pydantic" not in str(refused.value)


def test_several_faults_are_all_named():
    with pytest.raises(ValueError, match=r"^Outer: name: .*; share: "):
        Outer(3, 2.0)


def test_flags_are_named_as_they_are_typed():
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Noise).validate_python({"depolarising_1q": 2})
    assert explain(error.value, flags=True).startswith("--depolarising-1q: ")
    assert explain(error.value).startswith("depolarising_1q: ")


@pytest.mark.parametrize("choice", CHOICES)
def test_the_members_of_a_choice_differ_in_kind(choice):
    kinds = [cls.__pydantic_fields__["kind"].default for cls in CHOICES[choice]]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("cls", ALL)
def test_every_option_has_a_help_text_and_a_default(cls):
    for name, declared in cls.__pydantic_fields__.items():
        if name not in ("kind", "source"):
            assert (declared.description or "").rstrip().endswith("."), name
        assert not declared.is_required(), name


@pytest.mark.parametrize("cls", ALL)
def test_an_object_comes_back_from_its_table(cls):
    adapter = TypeAdapter(cls)
    table = adapter.dump_python(cls(), mode="json")
    assert adapter.validate_python(table) == cls()
    assert "kind" not in repr(cls())
