"""The settings of a run: checked when made, saved as TOML, read back exactly; no torch here.

A `Recipe` says how to build and train a network, a `RunConfig` adds the data. The command line
makes its flags from these same models: a setting is named, described and checked in one place.
"""

import json
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import tomli_w
from cyclopts import Parameter
from pydantic import (
    BeforeValidator,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from sqsnn.data.presets import DELAYS, find_events
from sqsnn.errors import ConfigError
from sqsnn.training.data_config import (
    DataConfig,
    DataOptions,
    for_data,
    require_preset,
    split_commas,
)
from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.rule_config import RuleConfig, Section


def _read_options(value: object) -> object:
    """Read the values of options, which the command line gives as text: 2, 0.5, true or a word."""
    if not isinstance(value, Mapping):
        return value
    return {name: _read_option(option) for name, option in value.items()}


def _read_option(option: object) -> object:
    if not isinstance(option, str):
        return option
    try:
        return json.loads(option)
    except json.JSONDecodeError:
        return option


Sizes = Annotated[tuple[PositiveInt, ...], BeforeValidator(split_commas)]
Options = Annotated[dict[str, bool | int | float | str], BeforeValidator(_read_options)]
# The help names the default of these in words: it comes from elsewhere.
_PRESET = Parameter(show_default=False)
_SectionT = TypeVar("_SectionT", bound=Section)


class ModelConfig(Section):
    """The network: its sizes, its neurons and their circuit."""

    hidden: Annotated[Sizes, _PRESET] = (64,)
    """Neurons of each hidden layer, e.g. 64 or 64,64 [default: the dataset's preset]."""
    neurons: Literal["sqs", "lif", "stochastic_lif", "qlif", "published_sqs"] = "sqs"
    """Stochastic quantum spiking neurons, or those that they are compared with."""
    neuron_options: Annotated[Options, _PRESET] = Field(default_factory=dict)
    """Options of neurons other than sqs, e.g. --neuron-options.beta 0.5."""
    memory_qubits: Annotated[int, Field(ge=0)] = 1
    """Memory qubits of a neuron (sqs)."""
    channels: PositiveInt = 1
    """Input-output qubits of a neuron: what it receives and emits at every step."""
    memory_gates: Literal["trained", "frozen"] = "trained"
    """Whether gates and gains on memory qubits learn, or stay as they were drawn (sqs)."""
    saturate: bool = False
    """Turn no further than a full flip: phi = pi min(max(z, 0), 1) (sqs)."""
    circuit: str = "bidirectional"
    """Circuit of a neuron (sqs): crx, bidirectional, integrate_and_fire or hardware_efficient."""
    circuit_options: Annotated[Options, _PRESET] = Field(default_factory=dict)
    """Options of the circuit, e.g. --circuit-options.layers 2."""

    @model_validator(mode="after")
    def _consistent(self) -> "ModelConfig":
        quantum = ("memory_qubits", "memory_gates", "saturate", "circuit", "circuit_options")
        for name in ("neuron_options",) if self.neurons == "sqs" else quantum:
            value = getattr(self, name)
            if value != type(self).model_fields[name].get_default(call_default_factory=True):
                wanted = "other than 'sqs'" if self.neurons == "sqs" else "'sqs'"
                raise ValueError(f"{name} is {value!r}, but goes with neurons {wanted} only")
        if self.memory_gates == "frozen" and self.memory_qubits == 0:
            raise ValueError("memory_gates is 'frozen', but memory_qubits is 0: there are none")
        return self


class EncodingConfig(Section):
    """How values become spikes."""

    encoding: Annotated[Literal["rate", "latency", "direct", "spikes"], _PRESET] = "rate"
    """Rate: random spikes; latency: one spike, bright first; direct: the value at every step;
    spikes: the samples are spike trains already [default: the dataset's preset]."""
    steps: Annotated[PositiveInt, _PRESET] = 10
    """Time steps of a sample [default: the dataset's preset, which --delay changes]."""
    max_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Spike probability a step at a value of 1 (rate encoding)."""


class ReadoutConfig(Section):
    """Which spikes of the output layer are the answer."""

    report_steps: PositiveInt | None = None
    """Only the spikes of so many last steps count [default: all; 1 in tasks with a delay]."""


class TrainingConfig(Section):
    """The training loop and the machine it runs on."""

    epochs: Annotated[PositiveInt, _PRESET] = 30
    """Passes over the training data [default: the dataset's preset]."""
    batch_size: Annotated[PositiveInt, _PRESET] = 64
    """Samples in a batch [default: the dataset's preset]."""
    learning_rate: Annotated[float, Field(gt=0), _PRESET] = 0.01
    """Highest learning rate of the one-cycle schedule (Adam) [default: the dataset's preset]."""
    final_learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    """Learning rate that the one-cycle schedule ends at."""
    patience: PositiveInt | None = None
    """Stop after so many epochs without a better validation accuracy [default: never]."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random: weights, order of the data, spikes."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to compute."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision."""
    compile: bool = False
    """Run the neurons through torch.compile (needs a C++ compiler; drops ragged batches)."""
    threads: PositiveInt = 1
    """CPU threads; more pay off for large networks alone, and on an idle machine."""

    @model_validator(mode="after")
    def _falling(self) -> "TrainingConfig":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate must be at most learning_rate, {self.learning_rate}, "
                f"but is {self.final_learning_rate}"
            )
        return self


class Recipe(Section):
    """How to build a network and train it, whatever the data."""

    model: ModelConfig = ModelConfig()
    noise: NoiseConfig = NoiseConfig()
    encoding: EncodingConfig = EncodingConfig()
    readout: ReadoutConfig = ReadoutConfig()
    rule: RuleConfig = RuleConfig()
    training: TrainingConfig = TrainingConfig()


class RunConfig(Recipe):
    """All settings of a run."""

    data: DataConfig


def for_dataset(dataset: str, options: DataOptions, recipe: Recipe) -> RunConfig:
    """Join a dataset and a recipe; what the recipe leaves open comes from the dataset's preset.

    Args:
        dataset: name of the dataset.
        options: which part of it.
        recipe: the settings; `hidden`, `encoding`, `steps`, `report_steps`, `epochs`, `batch_size`
            and `learning_rate` count as open where they were not given.

    Returns:
        the settings of the run; what depends on the machine is left to `settle`.

    Raises:
        ConfigError: if there is no such dataset, or a setting does not fit it.
    """
    data = for_data(dataset, options, recipe.model.channels)
    preset = require_preset(dataset)
    steps = preset.steps
    if data.delay is not None:
        steps += data.delay - DELAYS[dataset]
    encoding = _fill(recipe.encoding, encoding=preset.encoding, steps=steps)
    readout = _fill(recipe.readout, report_steps=preset.report_steps)
    _refuse_misfits(dataset, steps, encoding, readout)
    return RunConfig(
        data=data,
        model=_fill(recipe.model, hidden=preset.hidden),
        noise=recipe.noise,
        encoding=encoding,
        readout=readout,
        rule=recipe.rule,
        training=_fill(
            recipe.training,
            epochs=preset.epochs,
            batch_size=preset.batch,
            learning_rate=preset.learning_rate,
        ),
    )


def _refuse_misfits(
    dataset: str, steps: int, encoding: EncodingConfig, readout: ReadoutConfig
) -> None:
    """Refuse encoding and readout that do not fit samples of so many steps."""
    is_spikes = require_preset(dataset).encoding == "spikes"
    if is_spikes != (encoding.encoding == "spikes"):
        raise ConfigError(
            f"encoding must be 'spikes', because the samples of {dataset} are spike trains, "
            f"but is {encoding.encoding!r}"
            if is_spikes
            else "encoding must be 'rate', 'latency' or 'direct', because the samples of "
            f"{dataset} are no spike trains, but is 'spikes'"
        )
    if is_spikes and find_events(dataset) is None and encoding.steps != steps:
        raise ConfigError(
            f"steps must be the {steps} of the samples of {dataset}, but is {encoding.steps}: "
            "leave it out, and choose the delay instead"
        )
    if readout.report_steps is not None and readout.report_steps > encoding.steps:
        raise ConfigError(
            f"report_steps must be at most steps, {encoding.steps}, but is {readout.report_steps}"
        )


def settle(config: RunConfig, *, source: str) -> RunConfig:
    """Write down what only the machine knows, so that a resumed run reads the same data.

    Args:
        config: the settings of a run.
        source: the files that the dataset was read from.
    """
    data_dir = config.data.data_dir and config.data.data_dir.expanduser().absolute()
    data = config.data.model_copy(update={"source": source, "data_dir": data_dir})
    return config.model_copy(update={"data": data})


def _fill(section: _SectionT, **preset: Any) -> _SectionT:
    # pydantic remembers what was given: a value that equals the default was still asked for.
    return section.model_copy(
        update={
            name: value for name, value in preset.items() if name not in section.model_fields_set
        }
    )


def to_toml(config: RunConfig) -> str:
    """Write settings as TOML; what is None is left out."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def from_toml(text: str, source: str) -> RunConfig:
    """Read settings from TOML.

    Args:
        text: what `to_toml` wrote.
        source: the name of the file, for the message.

    Raises:
        ConfigError: if the text is not TOML, or a setting is missing, unknown or out of range.
    """
    try:
        return RunConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{source}: {explain(error)}") from error


def explain(error: ValidationError, *, flags: bool = False) -> str:
    """Say in one line what is wrong with settings: each name, why, and what it was.

    Args:
        error: what pydantic raised.
        flags: write the names as flags of the command line.
    """
    faults = []
    for fault in error.errors(include_url=False):
        name = ".".join(map(str, fault["loc"]))
        if flags and name:
            name = "--" + name.replace("_", "-")
        said = fault["msg"].removeprefix("Value error, ")
        shown = f", but is {fault['input']!r}" if name and fault["type"] != "missing" else ""
        faults.append(f"{name}: {said}{shown}" if name else said)
    return "; ".join(faults)
