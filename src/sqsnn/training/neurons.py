"""From settings to the neurons of a network: which population, which circuit, and what goes with
neither."""

import inspect
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sqsnn.errors import ConfigError
from sqsnn.network import PopulationFactory, SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.quantum import circuits
from sqsnn.quantum.circuits import Circuit
from sqsnn.training.config import ModelConfig, Recipe
from sqsnn.training.noise import build_noise

COMPARISONS: Mapping[str, type[Population]] = MappingProxyType(
    {"lif": LIF, "stochastic_lif": StochasticLIF, "qlif": QLIF, "published_sqs": PublishedSQS}
)
# Arguments of a population that settings of other names decide.
_DECIDED = {"self", "size", "channels", "surrogate", "encoding_slope", "generator"}
_DECIDED |= {"dtype", "device"}


def build_circuit(model: ModelConfig) -> Circuit:
    """Build the circuit of the neurons.

    Args:
        model: the settings of the network.

    Raises:
        ConfigError: if the neurons are no circuits, there is no such circuit, or it does not take
            these options or qubits.
    """
    if model.neurons != "sqs":
        raise ConfigError(
            f"this needs neurons that are circuits (neurons 'sqs'), but neurons is "
            f"{model.neurons!r}"
        )
    try:
        return circuits.get(
            model.circuit, model.channels, model.memory_qubits, **model.circuit_options
        )
    except (TypeError, ValueError) as error:
        # A TypeError comes from the call of the circuit's function with options it does not have.
        raise ConfigError(f"circuit {model.circuit!r} cannot be built: {error}") from error


def build_neurons(recipe: Recipe) -> PopulationFactory:
    """Build what makes the populations of a network.

    Args:
        recipe: the settings.

    Raises:
        ConfigError: if the circuit or the neurons cannot be built with these settings, or other
            settings do not go with them.
    """
    if recipe.model.neurons == "sqs":
        return _quantum(recipe)
    return _comparison(recipe, COMPARISONS[recipe.model.neurons])


def frozen_parts(network: SpikingNetwork, model: ModelConfig) -> list[tuple[Tensor, Tensor]]:
    """What of a network's parameters is not to be trained.

    Args:
        network: the network.
        model: its settings.

    Returns:
        parameters, and for each a mask that is 1 where it is trained and 0 where it is not: angles
        of gates that act on a memory qubit, and gains of the currents that turn one.
    """
    if model.memory_gates == "trained":
        return []
    parts = []
    for population in network.populations:
        if not isinstance(population, SQSNeurons):
            raise ConfigError("memory_gates 'frozen' needs neurons that are circuits")
        circuit = population.circuit
        angles, gains = torch.ones_like(population.angles), torch.ones_like(population.gains)
        for gate in circuit.gates:
            if gate.parameter is not None and max(gate.qubits) >= circuit.channels:
                angles[:, gate.parameter] = 0
        trainable = [rotation for rotation in circuit.encoding if rotation.trainable]
        for number, rotation in enumerate(trainable):
            if rotation.qubit >= circuit.channels:
                gains[:, number] = 0
        parts += [(population.angles, angles), (population.gains, gains)]
    return parts


def count_trained(network: SpikingNetwork, model: ModelConfig) -> int:
    """Count the parameters that training changes.

    Args:
        network: the network.
        model: its settings.
    """
    frozen = sum(int((mask == 0).sum()) for _, mask in frozen_parts(network, model))
    return sum(parameter.numel() for parameter in network.parameters()) - frozen


def _quantum(recipe: Recipe) -> PopulationFactory:
    model, rule, training = recipe.model, recipe.rule, recipe.training
    circuit = build_circuit(model)
    if training.compile and not circuit.is_real:
        # The neurons would say so too, but only at the first step, when a run folder is there.
        raise ConfigError(
            f"compile needs a circuit of RX, CRX and CZ alone, but {model.circuit!r} has others"
        )
    if training.compile and rule.rule == "local" and rule.score != "exact":
        raise ConfigError(
            f"compile works with score exact, but score is {rule.score!r}: its steps are not those "
            "that are compiled"
        )
    return partial(
        SQSNeurons,
        channels=model.channels,
        memory_qubits=model.memory_qubits,
        circuit=circuit,
        surrogate=rule.surrogate,
        encoding_slope=rule.encoding_slope,
        saturate=model.saturate,
        through_collapse=rule.through_collapse,
        noise=build_noise(recipe),
        compile=training.compile,
    )


def _comparison(recipe: Recipe, population: type[Population]) -> PopulationFactory:
    model, rule = recipe.model, recipe.rule
    _refuse_misfits(recipe, population)
    taken = inspect.signature(population).parameters
    known = taken.keys() - _DECIDED
    if unknown := model.neuron_options.keys() - known:
        raise ConfigError(
            f"neuron_options names {', '.join(sorted(unknown))}; neurons {model.neurons!r} take "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    decided: dict[str, Any] = {
        "channels": model.channels,
        "surrogate": rule.surrogate,
        "encoding_slope": rule.encoding_slope,
    }
    given = {name: value for name, value in decided.items() if name in taken}
    factory = partial(population, **given, **model.neuron_options)
    try:
        factory(1)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"neurons {model.neurons!r} cannot be built: {error}") from error
    return factory


def _refuse_misfits(recipe: Recipe, population: type[Population]) -> None:
    """Refuse settings that these neurons would not look at, or cannot learn by."""
    model, rule = recipe.model, recipe.rule
    taken = inspect.signature(population).parameters
    misfits = {
        "channels": model.channels > 1 and "channels" not in taken,
        "surrogate": rule.surrogate != "straight_through" and "surrogate" not in taken,
        "encoding_slope": rule.encoding_slope != "exponential" and "encoding_slope" not in taken,
        "through_collapse": rule.through_collapse,
        "noise": recipe.noise.is_open or any(recipe.noise.rates.values()),
        "compile": recipe.training.compile,
        "score": rule.rule == "local" and rule.score != "exact",
    }
    if wrong := [name for name, is_wrong in misfits.items() if is_wrong]:
        raise ConfigError(
            f"{', '.join(wrong)} cannot be set with neurons {model.neurons!r}: leave it out, or "
            "take neurons 'sqs'"
        )
    by_score = rule.rule == "local" and rule.signal in ("reinforce", "both")
    if by_score and not population.is_stochastic:
        raise ConfigError(
            f"signal {rule.signal!r} learns from the likelihood of spikes, but neurons "
            f"{model.neurons!r} draw none; use signal feedback, or neurons 'stochastic_lif'"
        )
