"""All settings of a run: a dataset's preset, what the user chose, and the checks between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from sqsnn.data.dataset_spec import DatasetSpec
from sqsnn.data.specs import is_table
from sqsnn.encoding import Current, Delta, Latency, Phase, PopulationCode, Rate, Spikes
from sqsnn.errors import ConfigError
from sqsnn.learning.backprop import Backprop
from sqsnn.learning.local import Local
from sqsnn.options import Count, Seed, explain
from sqsnn.readout import Classes, Traces
from sqsnn.settings import flat
from sqsnn.settings.data import DataSettings, fill, spec_for
from sqsnn.settings.layers import Layers
from sqsnn.settings.neurons import CircuitSettings, Neurons, SQSNeuronsSettings
from sqsnn.settings.section import Section
from sqsnn.synapses import check_method

MOST_THREADS = 1024  # more than any machine has; the system may end a program that asks for them

S = TypeVar("S", bound=Section)

Encoding = Annotated[
    Rate | Latency | Delta | Current | PopulationCode | Phase | Spikes, Field(discriminator="kind")
]
Rule = Annotated[Backprop | Local, Field(discriminator="kind")]
Readout = Annotated[Classes | Traces, Field(discriminator="kind")]


class TrainingSettings(Section):
    """The training loop, and the machine that it runs on."""

    epochs: Count = 30
    """Passes over the training data."""
    batch_size: Count = 64
    """Samples per batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    """Highest learning rate of the one-cycle schedule (Adam)."""
    final_learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    """Learning rate at the end of the one-cycle schedule."""
    patience: Count | None = None
    """Stop after this many epochs without better weights on the validation samples, by spikes alone
    as the test counts; of equals, by probability, then by loss [default: never]."""
    seed: Seed = 0
    """Seed of all that is random."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to compute."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision."""
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1
    """CPU threads; more pay off for large networks on an idle machine."""

    @model_validator(mode="after")
    def _falling(self) -> "TrainingSettings":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate must be at most learning_rate, {self.learning_rate}, "
                f"but is {self.final_learning_rate}"
            )
        return self


class DeviceNoise(Section):
    """The device whose error rates become the noise of the neurons."""

    noise_from: str | None = None
    """Take the noise from the error rates of this device, e.g. fake_boston, a snapshot."""
    noise_strength: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the rates of that device."""

    @model_validator(mode="after")
    def _of_a_device(self) -> "DeviceNoise":
        if self.noise_from is None and self.noise_strength != 1:
            raise ValueError(
                f"noise_strength is {self.noise_strength}, but goes with noise_from only"
            )
        return self


class Recipe(Layers):
    """How to build a network and to train it, whatever the data."""

    neurons: Neurons = SQSNeuronsSettings()  # pyright: ignore[reportCallIssue]
    """Quantum spiking neurons, their rivals, or your own."""
    device_noise: DeviceNoise = DeviceNoise()
    encoding: Encoding = Rate()
    """How values become spikes."""
    report_steps: Count | None = None
    """Only this many last steps count for the prediction [default: all, or the preset's]."""
    readout: Readout = Classes()
    """What the network answers: a class, by its output neurons, or real values, read from traces of
    the last hidden layer [default: what the targets are]."""
    rule: Rule = Backprop()
    """Learning rule: through the whole network, or each neuron by itself."""
    training: TrainingSettings = TrainingSettings()

    @property
    def reads_values(self) -> bool:
        """Whether the network predicts real values and not classes."""
        return isinstance(self.readout, Traces)

    @property
    def population_names(self) -> list[str]:
        """Names of the populations, the output last, or else the one that a readout reads."""
        return self.names(has_output=not self.reads_values)

    @property
    def needs_rates(self) -> bool:
        """Whether the noise has yet to be read from its device."""
        is_open = getattr(self.neurons, "noise", None) is None
        return self.device_noise.noise_from is not None and is_open

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        check_method(self.synapses, self.training.device)
        if self.device_noise.noise_from is not None and self.neurons.kind != "sqs":
            raise ValueError(
                f"noise_from goes with neurons 'sqs', but neurons is {self.neurons.kind!r}"
            )
        if self.reads_values and not self.population_names:
            raise ValueError("hidden is empty, but readout 'traces' reads the last hidden layer")
        steps = self.encoding.steps
        first = self.delay * (1 if self.skip else len(self.population_names))
        if first >= steps:
            raise ValueError(
                f"delay is {self.delay}, with which the first spike reaches the last layer after "
                f"{first} steps, but steps is {steps}"
            )
        if self.graph is not None:
            after, last = self.graph.first_step, self.population_names[-1]
            if after is None or after >= steps:
                when = "never" if after is None else f"after {after} steps, but steps is {steps}"
                raise ValueError(f"graph: the first spike of the input reaches {last!r} {when}")
        if self.report_steps is not None and self.report_steps > steps:
            raise ValueError(
                f"report_steps must be at most steps, {steps}, but is {self.report_steps}"
            )
        return self


class RunSettings(Recipe):
    """All settings of a run."""

    data: DataSettings
    circuit_gates: tuple[str, str] | None = None
    """The gates of a user's own circuit, in hidden layers and outputs, when the run began."""
    begins_with: Path | None = None
    """The run, or the file of a network, with whose weights the training began."""

    @model_validator(mode="after")
    def _circuit_can_be_found_again(self) -> "RunSettings":
        circuit = getattr(self.neurons, "circuit", "")
        if not isinstance(circuit, str):
            raise ValueError(
                "circuit is an object, which config.toml cannot hold: put the function that makes "
                "it in a module, and name it as 'module:function'"
            )
        now = None if self.circuit_gates is None else self.gates_of_own_circuit()
        for then, found in zip(self.circuit_gates or (), now or ("none",) * 2, strict=False):
            if then != found:
                raise ValueError(
                    f"circuit {circuit!r} has other gates now than when the run began, which were "
                    f"{then}; now they are {found}"
                )
        return self

    def gates_of_own_circuit(self) -> tuple[str, str] | None:
        """List the gates of a user's own circuit as they are now; None for the package's."""
        return self.neurons.own_gates() if isinstance(self.neurons, CircuitSettings) else None


def from_flat(
    dataset: str, given: Mapping[str, Any], spec: DatasetSpec | None = None
) -> RunSettings:
    """Make the settings of a run from those that were chosen, by their flat names.

    Args:
        dataset: Name of the dataset, or path of a user's own file.
        given: Settings by their flat names, as the flags of `sqsnn train`; a choice may also be
            the object itself, e.g. `rule=Local(...)`.
        spec: What is known about the dataset; None to find it.

    Raises:
        ConfigError: If there is no such dataset or setting, or settings do not fit each other.
    """
    spec = spec or spec_for(dataset, given, _kind(given.get("readout")))
    return for_dataset(dataset, flat.nest(RunSettings, given, spec.preset), spec)


def joined(dataset: str, table: Mapping[str, Any], given: Mapping[str, Any]) -> RunSettings:
    """Make the settings of a run from a file and from flat settings, which count more.

    Args:
        dataset: Name of the dataset, or path of a user's own file.
        table: Settings in nested tables, as in config.toml.
        given: Settings by their flat names.

    Raises:
        ConfigError: If there is no such dataset or setting, or settings do not fit each other.
    """
    data = {**table.get("data", {}), **given}
    spec = spec_for(dataset, data, _kind(given.get("readout", _chosen(table, "readout", "kind"))))
    nested = flat.nest(RunSettings, given, flat.merge(RunSettings, spec.preset, table))
    return for_dataset(dataset, flat.merge(RunSettings, table, nested), spec)


def for_dataset(
    dataset: str, given: Mapping[str, Any], spec: DatasetSpec | None = None
) -> RunSettings:
    """Join a dataset's preset with what was chosen; what is left open comes from the preset.

    Args:
        dataset: Name of the dataset.
        given: Settings in nested tables, as in config.toml.
        spec: What is known about the dataset; None to find it.

    Raises:
        ConfigError: If there is no such dataset, or settings do not fit it or each other.
    """
    readout = _chosen(given, "readout", "kind")
    spec = spec or spec_for(dataset, given.get("data", {}), readout)
    has_rates = _chosen(given, "neurons", "noise") is not None
    if has_rates and _chosen(given, "device_noise", "noise_from") is not None:
        raise ConfigError("noise_from gives all rates of the noise, but rates were given too")
    data = fill(spec, given.get("data", {}), _chosen(given, "neurons", "channels") or 1)
    data["dataset"] = dataset
    delay = None if spec.delay is None else validated(DataSettings, data).cue_delay
    preset = spec.preset_for(delay, _chosen(given, "neurons", "kind") or "sqs")
    if given.get("graph") is not None:
        del preset["hidden"]  # a graph has no layers
    table = flat.merge(RunSettings, preset, {**given, "data": data})
    settings = validated(RunSettings, table)
    _refuse_other_samples(settings, spec)
    return settings.model_copy(update={"circuit_gates": settings.gates_of_own_circuit()})


def continued(
    earlier: RunSettings, begins_with: Path, dataset: str | None, given: Mapping[str, Any]
) -> RunSettings:
    """Make the settings of a training that begins with a trained network.

    Args:
        earlier: The settings of the network.
        begins_with: Its run, or its file.
        dataset: Name of the dataset, or path of a file; None for the data of the network.
        given: Settings of data, rule and training by their flat names; all others stay as they are.

    Raises:
        ConfigError: If a setting would change the network, or does not fit.
    """
    before = earlier.model_dump()
    table = flat.nest(RunSettings, given, before)
    fixed = sorted(set(table) - {"data", "rule", "training"})
    if fixed:
        raise ConfigError(
            f"{', '.join(fixed)} cannot change: the network of {begins_with} stays as it is; data, "
            "rule and training may be set"
        )
    chosen = table.get("data", {})
    if dataset is not None:
        if is_table(dataset) and earlier.data.label is not None:
            chosen = {"label": earlier.data.label, **chosen}
        spec = spec_for(dataset, chosen, earlier.readout.kind)
        _refuse_other_targets(earlier, dataset, spec)
        filled = fill(spec, chosen, _chosen(before, "neurons", "channels") or 1)
        before["data"] = {**filled, "dataset": dataset}
        if spec.is_spike_trains != (earlier.encoding.kind == "spikes"):
            raise ConfigError(
                f"{dataset} does not fit the network of {begins_with}, whose encoding is "
                f"{earlier.encoding.kind!r}"
            )
    joined = flat.merge(RunSettings, before, table)
    return validated(RunSettings, {**joined, "begins_with": begins_with.absolute()})


def validated(section: type[S], table: Mapping[str, Any]) -> S:
    """Make a section from a table, and refuse in one line what is wrong."""
    try:
        return section.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def _chosen(given: Mapping[str, Any], part: str, name: str) -> Any:
    """A setting of a part that was given as a table or as an object; None where it is left open."""
    value = given.get(part, {})
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _kind(choice: Any) -> Any:
    """The kind of a choice that was given by name or as an object."""
    return getattr(choice, "kind", choice)


def _fits(encoding: Any, spec: DatasetSpec) -> bool:
    """Whether an encoding takes the samples of a dataset."""
    if spec.is_spike_trains or encoding is Spikes:
        return spec.is_spike_trains and encoding is Spikes
    return encoding.takes_series if spec.is_series else encoding.takes_values


def _refuse_other_targets(recipe: Recipe, dataset: str, spec: DatasetSpec) -> None:
    """Refuse a readout that does not answer what the dataset asks."""
    if recipe.reads_values != spec.predicts_values:
        wanted, found = ("traces", "real values") if spec.predicts_values else ("classes",) * 2
        raise ConfigError(
            f"readout must be {wanted!r}, because the targets of {dataset} are {found}, but is "
            f"{recipe.readout.kind!r}"
        )
    every_step = spec.series is not None and spec.series.every_step
    if getattr(recipe.readout, "every_step", False) != every_step:
        word, found = ("true", "step") if every_step else ("false", "sample")
        raise ConfigError(
            f"every_step must be {word}, because {dataset} has values to predict for each {found}"
        )


def _refuse_other_samples(settings: RunSettings, spec: DatasetSpec) -> None:
    """Refuse an encoding or a readout that does not fit the samples of the dataset."""
    dataset, encoding = settings.data.dataset, settings.encoding
    samples = "spike trains" if spec.is_spike_trains else "series" if spec.is_series else "values"
    fitting = [repr(flat.kind_of(cls)) for cls in flat.members(Encoding) if _fits(cls, spec)]
    if repr(encoding.kind) not in fitting:
        raise ConfigError(
            f"encoding must be {' or '.join(fitting)}, because the samples of {dataset} are "
            f"{samples}, but is {encoding.kind!r}"
        )
    _refuse_other_targets(settings, dataset, spec)
    if getattr(settings.readout, "every_step", False) and encoding.steps != spec.length:
        raise ConfigError(
            f"steps must be {spec.length}, because {dataset} has values to predict for each of its "
            f"{spec.length} steps, but is {encoding.steps}"
        )
    if spec.is_series and spec.length is not None:
        try:
            encoding.steps_per_value(spec.length)
        except ValueError as error:
            raise ConfigError(f"{dataset}: {error}") from None
    delay = settings.data.cue_delay
    if delay is not None and encoding.steps != spec.steps(delay):
        raise ConfigError(
            f"steps must be the {spec.steps(delay)} of the samples of {dataset}, but is "
            f"{encoding.steps}: leave it out, and choose cue_delay instead"
        )
