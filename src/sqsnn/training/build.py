"""From settings to what they name: the network and its random generators.

The trainer, the evaluation and the scikit-learn classifier all build here, so that the same
settings mean the same network everywhere.
"""

from enum import IntEnum

import numpy as np
import torch

from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit import Circuit
from sqsnn.readout import TraceReadout, Traces
from sqsnn.settings.run import Recipe

# Density matrices grow as 4**qubits; beyond this a training would take days.
MAX_TRAINED_QUBITS = 3


class Purpose(IntEnum):
    """What random numbers are for; each purpose has its own stream. Never renumber."""

    WEIGHTS = 0
    ORDER = 1
    TRAINING = 2
    VALIDATION = 3
    TEST = 4
    PREDICTION = 5
    INSPECTION = 6
    DEVICE = 7


def seeded(
    seed: int, purpose: Purpose, *, epoch: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Make the generator that a seed, a purpose and an epoch stand for.

    Because it depends on nothing else, a resumed run draws what an uninterrupted one would have
    drawn, and a checkpoint keeps no more than the number of the epoch.
    """
    sequence = np.random.SeedSequence([seed, int(purpose), epoch])
    # torch takes signed 64-bit seeds: drop one bit.
    state = int(sequence.generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator(device).manual_seed(state)


def build_network(recipe: Recipe, features: int, outputs: int) -> SpikingNetwork:
    """Build the network that settings describe, with its first weights.

    The weights are drawn on the CPU and then moved, so that a seed means the same on every device.

    Args:
        recipe: The settings.
        features: Values per sample, or per step of a series.
        outputs: Classes, which have an output neuron each; or real values, which a readout reads
            from the last hidden layer.
    """
    _check_machine(recipe)
    if recipe.needs_rates:
        raise ConfigError(
            f"the rates of noise_from {recipe.device_noise.noise_from!r} are not known yet; read "
            "them with sqsnn.runs.noise.settle_noise"
        )
    training = recipe.training
    generator, dtype = seeded(training.seed, Purpose.WEIGHTS), getattr(torch, training.dtype)
    factories = recipe.neurons.factories(len(recipe.hidden) + 1)
    sizes = [recipe.encoding.features(features), *recipe.hidden]
    if isinstance(recipe.readout, Traces):
        factories = factories[:-1]
    else:
        sizes.append(outputs)
    network = SpikingNetwork(
        sizes,
        neurons=factories,
        synapses=recipe.synapses,
        generator=generator,
        dtype=dtype,
    )
    if isinstance(recipe.readout, Traces):
        last = network.population(network.names[-1])
        network.readout = TraceReadout(
            last.size,
            outputs,
            channels=last.channels,
            options=recipe.readout,
            generator=generator,
            dtype=dtype,
        )
    _refuse_untrainable(network)
    try:
        recipe.rule.check(network)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"rule {recipe.rule.kind!r}: {error}") from None
    return network.to(training.device)


def count_trained(network: SpikingNetwork) -> int:
    """Count the parameters that training changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def layer_circuits(recipe: Recipe) -> tuple[Circuit, ...]:
    """Build the circuit of the neurons of each layer, the output last."""
    found = []
    layers = len(recipe.hidden) + 1
    for factory in recipe.neurons.factories(layers)[: -1 if recipe.reads_values else None]:
        population = factory((1, 1), generator=torch.Generator().manual_seed(0))
        if not isinstance(population, SQSNeurons):
            raise ConfigError(
                f"this needs neurons that are circuits (neurons 'sqs'), but neurons is "
                f"{recipe.neurons.kind!r}"
            )
        found.append(population.circuit)
    return tuple(found)


def require_classes(recipe: Recipe, what: str) -> None:
    """Refuse what works for networks alone that name classes."""
    if recipe.reads_values:
        raise ConfigError(
            f"this network predicts real values; {what} is there for networks that name classes"
        )


def require_circuit(recipe: Recipe) -> Circuit:
    """Build the largest circuit of the layers, which has the gates of all others."""
    return max(layer_circuits(recipe), key=lambda circuit: circuit.qubits)


def _check_machine(recipe: Recipe) -> None:
    if recipe.training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but torch finds no CUDA device here; use --device cpu")


def _refuse_untrainable(network: SpikingNetwork) -> None:
    """Refuse circuits that are too large with noise."""
    for name in network.names:
        population = network.population(name)
        if not isinstance(population, SQSNeurons):
            continue
        circuit = population.circuit
        if population.noise is not None and circuit.qubits > MAX_TRAINED_QUBITS:
            raise ConfigError(
                f"channels + memory_qubits is {circuit.qubits}, but networks with noise are "
                f"trained with at most {MAX_TRAINED_QUBITS}: their density matrices grow as "
                "4**qubits"
            )
