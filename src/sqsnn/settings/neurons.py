"""Which neurons a network has: the arguments of each population, as settings.

A population declares its arguments once, in its signature and docstring; the settings are read from
there, and the population itself refuses wrong values. Arguments that have no place in a file
(callables, generators) are left to Python; the estimators, which write none, take circuits too. A
class of one's own goes by its place, "module:Class", and its arguments stand in a table.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import torch
from docstring_parser import DocstringStyle, parse
from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WrapValidator,
    create_model,
    model_validator,
)

from sqsnn.checks import from_module
from sqsnn.network import PopulationFactory
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.options import Count, as_text, explain
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit_text import gate_list
from sqsnn.quantum.circuits import Circuit, CircuitFactory
from sqsnn.quantum.noise import Noise
from sqsnn.settings.flat import OWN, is_kind, kind_of
from sqsnn.settings.section import MADE, Section, Word, Words

_NO_ARGUMENTS = {"kind", "output_memory_qubits"}
# Arguments whose names mean something else among the settings, and back.
_RENAMED = {"backend": "neurons_backend"}
_ARGUMENTS = {setting: argument for argument, setting in _RENAMED.items()}
# What the network decides, or what no training can use.
_DECIDED = {"size", "share", "generator", "dtype", "device", "noise_simulation"}


class NeuronSettings(Section):
    """The arguments of a population; subclasses are made from the populations."""

    kind: str

    def factories(self, layers: int) -> list[PopulationFactory]:
        """What makes the populations of a network, one per layer, the output last."""
        return [self._factory()] * layers

    def _factory(self, **own: Any) -> PopulationFactory:
        """What makes the populations of layers that have some arguments of their own."""
        names = [name for name in type(self).model_fields if name not in _NO_ARGUMENTS]
        arguments = {_ARGUMENTS.get(name, name): getattr(self, name) for name in names} | own
        if arguments.get("noise") == Noise():  # no rates: a perfect device, which is faster
            arguments["noise"] = None
        return partial(POPULATIONS[self.kind], **arguments)

    @model_validator(mode="after")
    def _can_be_built(self) -> "NeuronSettings":
        try:
            _try_to_build(self.factories(2)[0])
        except TypeError as error:
            raise ValueError(f"neurons {self.kind!r} cannot be built: {error}") from None
        return self


class CircuitSettings(NeuronSettings):
    """The arguments of circuits, and the memory of the outputs, which need less of it."""

    if TYPE_CHECKING:
        channels: int
        memory_qubits: int
        circuit: str | Circuit | CircuitFactory
        circuit_options: dict[str, Any]

    output_memory_qubits: int | None = None
    """Memory qubits of the output layer; the hidden layers have memory_qubits [default: 0, or 1
    where the circuit needs a memory]."""

    def own_gates(self) -> tuple[str, str] | None:
        """List the gates of hidden layers and outputs; None for a circuit of the package."""
        if isinstance(self.circuit, str) and circuits.is_of_the_package(self.circuit):
            return None
        hidden, outputs = (
            circuits.get(self.circuit, self.channels, memory, **self.circuit_options)
            for memory in (self.memory_qubits, self._output_memory())
        )
        return gate_list(hidden), gate_list(outputs)

    def factories(self, layers: int) -> list[PopulationFactory]:
        """What makes the populations; memory gates are frozen in the layers that have memory."""
        memory = self.memory_qubits, self._output_memory()
        # A population refuses to freeze what it does not have.
        without: dict[str, Any] = {"memory_gates": "trained"} if any(memory) else {}
        hidden, outputs = (
            self._factory(memory_qubits=qubits, **({} if qubits else without)) for qubits in memory
        )
        return [hidden] * (layers - 1) + [outputs]

    def _output_memory(self) -> int:
        if self.output_memory_qubits is not None:
            return self.output_memory_qubits
        if isinstance(self.circuit, Circuit):
            return self.circuit.memory_qubits
        try:
            circuits.get(self.circuit, self.channels, 0, **self.circuit_options)
        except ValueError:
            return 1
        return 0

    @model_validator(mode="after")
    def _outputs_can_be_built(self) -> "CircuitSettings":
        try:
            _try_to_build(self.factories(2)[1])
        except ValueError as error:
            raise ValueError(
                f"output_memory_qubits is {as_text(self.output_memory_qubits)}: {error}"
            ) from None
        return self


class OwnNeuronsSettings(NeuronSettings):
    """Neurons of one's own: their place, and the arguments that their signature declares."""

    kind: str = OWN
    channels: Count = 1
    """Channels N."""
    neuron_options: Words = Field(default_factory=dict)
    """Arguments of neurons of your own, e.g. `--neuron-options.tau 0.5`."""

    def _factory(self, **own: Any) -> PopulationFactory:
        population = from_module("neurons", self.kind, "subclass of sqsnn.Population", _is_neuron)
        try:
            fields = _arguments_of(population)
        except NameError as error:
            raise ValueError(
                f"neurons {self.kind!r} has an annotation that cannot be read: {error}"
            ) from None
        has_channels = fields.pop("channels", None) is not None
        made = create_model("Options", __base__=Section, __cls_kwargs__=MADE, **fields)
        try:
            chosen = made.model_validate(self.neuron_options)
        except ValidationError as error:
            raise ValueError(
                f"neurons {self.kind!r} has the options: {', '.join(fields) or 'none'}; but "
                f"{explain(error)}"
            ) from None
        arguments = {name: getattr(chosen, name) for name in chosen.model_fields_set}
        if has_channels or self.channels != 1:
            arguments["channels"] = self.channels
        return partial(population, **arguments)


def _is_neuron(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Population)


def _try_to_build(factory: PopulationFactory) -> None:
    # As a network does.
    factory(1, generator=torch.Generator().manual_seed(0), dtype=torch.float32, device=None)


def _settings_of(kind: str, population: type[Population]) -> type[NeuronSettings]:
    """Make the settings of a kind of neurons from the arguments of its population."""
    found = _arguments_of(population)
    fields: dict[str, Any] = {"kind": (Literal[kind], kind)}
    fields |= {_RENAMED.get(name, name): field for name, field in found.items()}
    name = f"{population.__name__}Settings"
    doc = f"The arguments of {population.__name__}."
    base = CircuitSettings if population is SQSNeurons else NeuronSettings
    return create_model(
        name, __base__=base, __cls_kwargs__=MADE, __module__=__name__, __doc__=doc, **fields
    )


def _arguments_of(population: type[Population]) -> dict[str, Any]:
    """Read the arguments that a file can hold from a population's signature and docstring."""
    # A population that inherits its constructor inherits what is written about it.
    documented = [
        parameter
        for cls in reversed(population.__mro__)
        for parameter in parse(cls.__doc__ or "", DocstringStyle.GOOGLE).params
    ]
    meanings = {parameter.arg_name: parameter.description for parameter in documented}
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(population, eval_str=True).parameters.items():
        is_table = parameter.default is None and _is_mapping(parameter.annotation)
        held = Words if is_table else _in_a_file(parameter.annotation)
        if name in _DECIDED or parameter.kind is parameter.VAR_KEYWORD or held is None:
            continue
        meaning = " ".join((meanings.get(name) or "").split())
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (
            held,
            (
                Field(default_factory=dict, description=meaning)
                if is_table
                else Field(default, description=meaning)
            ),
        )
    return fields


def _is_mapping(annotation: Any) -> bool:
    return any(get_origin(part) is Mapping or part is Mapping for part in _parts(annotation))


def _parts(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _in_a_file(annotation: Any) -> Any:
    """The part of an annotation that a file can hold: no callables; Python may give a circuit.

    None where it can hold nothing of it; without an annotation, any number, truth value or word.
    """
    if get_origin(annotation) is Annotated:  # a choice among options objects
        return annotation
    if annotation is inspect.Parameter.empty:
        return Word
    plain = (str, int, float, bool, type(None))
    kept = [
        part
        for part in _parts(annotation)
        if part in plain or get_origin(part) is Literal or hasattr(part, "__pydantic_fields__")
    ]
    if not kept:
        return None
    held = Union[tuple(kept)]  # noqa: UP007 (made at run time)
    return Annotated[held, WrapValidator(_or_circuit)] if Circuit in _parts(annotation) else held


def _or_circuit(value: Any, validate: Callable[[Any], Any]) -> Any:
    """Let a circuit pass, and a function that makes circuits."""
    return value if isinstance(value, Circuit) or callable(value) else validate(value)


POPULATIONS: Mapping[str, type[Population]] = {
    "sqs": SQSNeurons,
    "lif": LIF,
    "stochastic_lif": StochasticLIF,
    "qlif": QLIF,
    "published_sqs": PublishedSQS,
}

SQSNeuronsSettings = _settings_of("sqs", SQSNeurons)
_SETTINGS = (
    SQSNeuronsSettings,
    *(_settings_of(kind, found) for kind, found in POPULATIONS.items() if kind != "sqs"),
    OwnNeuronsSettings,
)


def _kind(neurons: Any) -> Any:
    """The kind of neurons that a table or an object describes, all of one's own being OWN."""
    kind = neurons.get("kind") if isinstance(neurons, Mapping) else getattr(neurons, "kind", None)
    return OWN if is_kind(kind, OWN) else kind


if TYPE_CHECKING:
    Neurons = NeuronSettings
else:
    Neurons = Annotated[
        Union[tuple(Annotated[it, Tag(kind_of(it))] for it in _SETTINGS)],  # noqa: UP007
        Discriminator(_kind),
    ]
