"""Which neurons a network has: the arguments of each population, as settings.

A population declares its arguments once, in its signature and docstring; the settings are read from
there, and the population itself refuses wrong values. Arguments that have no place in a file
(callables, circuits, generators) are left to Python.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import torch
from docstring_parser import DocstringStyle, parse
from pydantic import Field, create_model, model_validator

from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.quantum.noise import Noise
from sqsnn.settings.section import Section, Words

# What the network decides, or what no training can use.
_DECIDED = {"self", "size", "generator", "dtype", "device", "noise_simulation"}


class NeuronSettings(Section):
    """The arguments of a population; subclasses are made from the populations."""

    kind: str

    def factory(self) -> Callable[..., Population]:
        """What makes the populations of a network, called as `SpikingNetwork` does."""
        arguments = {
            name: getattr(self, name) for name in type(self).model_fields if name != "kind"
        }
        if arguments.get("noise") == Noise():  # no rates: a perfect device, which is faster
            arguments["noise"] = None
        return partial(POPULATIONS[self.kind], **arguments)

    @model_validator(mode="after")
    def _can_be_built(self) -> "NeuronSettings":
        try:
            self.factory()(1, generator=torch.Generator().manual_seed(0))
        except TypeError as error:
            raise ValueError(f"neurons {self.kind!r} cannot be built: {error}") from None
        return self


def _settings_of(kind: str, population: type[Population]) -> type[NeuronSettings]:
    """Read the settings of a kind of neurons from the signature and docstring of its population."""
    # A population that inherits its constructor inherits what is written about it.
    documented = [
        parameter
        for cls in reversed(population.__mro__)
        for parameter in parse(cls.__doc__ or "", DocstringStyle.GOOGLE).params
    ]
    meanings = {parameter.arg_name: parameter.description for parameter in documented}
    fields: dict[str, Any] = {"kind": (Literal[kind], kind)}
    for name, parameter in inspect.signature(population, eval_str=True).parameters.items():
        if name not in _DECIDED:
            meaning = " ".join((meanings.get(name) or "").split())
            is_table = parameter.default is None and _is_mapping(parameter.annotation)
            field = (
                Field(default_factory=dict, description=meaning)
                if is_table
                else Field(parameter.default, description=meaning)
            )
            fields[name] = (Words if is_table else _in_a_file(parameter.annotation), field)
    name = f"{population.__name__}Settings"
    doc = f"The arguments of {population.__name__}."
    return create_model(name, __base__=NeuronSettings, __module__=__name__, __doc__=doc, **fields)


def _is_mapping(annotation: Any) -> bool:
    return any(get_origin(part) is Mapping or part is Mapping for part in _parts(annotation))


def _parts(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _in_a_file(annotation: Any) -> Any:
    """The part of an annotation that a file can hold: no callables, no circuits."""
    if get_origin(annotation) is Annotated:  # a choice among options objects
        return annotation
    plain = (str, int, float, bool, type(None))
    kept = [
        part
        for part in _parts(annotation)
        if part in plain or get_origin(part) is Literal or hasattr(part, "__pydantic_fields__")
    ]
    return Union[tuple(kept)]  # noqa: UP007 (made at run time)


POPULATIONS: Mapping[str, type[Population]] = {
    "sqs": SQSNeurons,
    "lif": LIF,
    "stochastic_lif": StochasticLIF,
    "qlif": QLIF,
    "published_sqs": PublishedSQS,
}

SQSNeuronsSettings = _settings_of("sqs", SQSNeurons)
LIFSettings = _settings_of("lif", LIF)
StochasticLIFSettings = _settings_of("stochastic_lif", StochasticLIF)
QLIFSettings = _settings_of("qlif", QLIF)
PublishedSQSSettings = _settings_of("published_sqs", PublishedSQS)

Neurons = Annotated[
    SQSNeuronsSettings  # pyright: ignore[reportInvalidTypeForm]
    | LIFSettings
    | StochasticLIFSettings
    | QLIFSettings
    | PublishedSQSSettings,
    Field(discriminator="kind"),
]
