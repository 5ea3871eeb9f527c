"""From settings to what they name: the network and its random generators.

The trainer, the evaluation and the scikit-learn classifier all build here, so that the same
settings mean the same network everywhere.
"""

import math
from collections.abc import Mapping
from enum import IntEnum
from functools import partial

import numpy as np
import torch

from sqsnn import launch
from sqsnn.checks import Shape
from sqsnn.errors import ConfigError
from sqsnn.network import PopulationFactory, SpikingNetwork
from sqsnn.network.connection import INPUT
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.processes import ALONE, Processes, SharedGenerator
from sqsnn.quantum.circuit import Circuit
from sqsnn.readout import TraceReadout, Traces
from sqsnn.settings.run import Recipe
from sqsnn.synapses import Dense, DenseSynapses
from sqsnn.training.machine import check_memory

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
    seed: int,
    purpose: Purpose,
    *,
    epoch: int = 0,
    device: torch.device | str = "cpu",
    processes: Processes = ALONE,
) -> torch.Generator:
    """Make the generator that a seed, a purpose and an epoch stand for.

    Because it depends on nothing else, a resumed run draws what an uninterrupted one would have
    drawn, and a checkpoint keeps no more than the number of the epoch. Several processes that share
    the work draw the same.
    """
    sequence = np.random.SeedSequence([seed, int(purpose), epoch])
    # torch takes signed 64-bit seeds: drop one bit.
    state = int(sequence.generate_state(1, np.uint64)[0]) >> 1
    alone = processes.count == 1
    made = torch.Generator(device) if alone else SharedGenerator(processes, device)
    return made.manual_seed(state)


def build_network(recipe: Recipe, features: int | Shape, outputs: int) -> SpikingNetwork:
    """Build the network that settings describe, with its first weights.

    The weights are drawn on the CPU and then moved, so that a seed means the same on every device.

    Args:
        recipe: The settings.
        features: Values per sample, or per step of a series; or the shape of their grid,
            `(maps, rows, columns)` or `(maps, length)`.
        outputs: Classes, which have an output neuron each; or real values, which a readout reads
            from the last hidden population.
    """
    _check_machine(recipe)
    if recipe.needs_rates:
        raise ConfigError(
            f"the rates of noise_from {recipe.device_noise.noise_from!r} are not known yet; read "
            "them with sqsnn.runs.noise.settle_noise"
        )
    training = recipe.training
    generator, dtype = seeded(training.seed, Purpose.WEIGHTS), getattr(torch, training.dtype)
    inputs = _input_shape(recipe, (features,) if isinstance(features, int) else features)
    try:
        shapes, connections = recipe.wire(inputs, None if recipe.reads_values else outputs)
        sizes = {INPUT: math.prod(inputs)} | {name: math.prod(it) for name, it in shapes.items()}
        dense = [one for one in connections if isinstance(one.synapses, Dense)]
        weights = sum(sizes[one.source] * sizes[one.target] for one in dense)
        check_memory(recipe, weights, sum(sizes.values()))
        network = SpikingNetwork(
            inputs=inputs,
            populations=shapes,
            connections=connections,
            neurons=_factories(recipe, shapes),
            generator=generator,
            dtype=dtype,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except TypeError as error:  # of one's own, which share nothing
        raise ConfigError(f"neurons {recipe.neurons.kind!r} cannot be built: {error}") from None
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
    """Count the parameters that training changes; weights that a mask cuts do not count."""
    dense = [part for part in network.modules() if isinstance(part, DenseSynapses)]
    masked = sum(
        sum(p.numel() for p in part.parameters()) - part.parameter_count()
        for part in dense
        if part.weight.requires_grad
    )
    return sum(p.numel() for p in network.parameters() if p.requires_grad) - masked


def layer_circuits(recipe: Recipe) -> tuple[Circuit, ...]:
    """Build the circuit of the neurons of each layer, the output last."""
    found = []
    for factory in _per_population(recipe):
        population = factory(1, generator=torch.Generator().manual_seed(0))
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


def _per_population(recipe: Recipe) -> list[PopulationFactory]:
    """What makes each population; without output neurons all of them are hidden."""
    names = recipe.population_names
    return recipe.neurons.factories(len(names) + recipe.reads_values)[: len(names)]


def _factories(recipe: Recipe, shapes: Mapping[str, Shape]) -> list[PopulationFactory]:
    """What makes each population, with what its neurons share; output neurons share nothing."""
    made = _per_population(recipe)
    hidden = len(made) if recipe.reads_values else len(made) - 1
    shares = [recipe.share_of(shape) for shape in shapes.values()][:hidden]
    shared = [
        factory if it == "none" else partial(factory, share=it)
        for factory, it in zip(made, shares, strict=False)
    ]
    return shared + made[hidden:]


def _input_shape(recipe: Recipe, samples: Shape) -> Shape:
    """The shape of the inputs: that of a sample, unless the encoding gives several per value."""
    shape = recipe.grid or samples
    features = math.prod(samples)
    if math.prod(shape) != features:
        raise ConfigError(
            f"grid is {shape}, which are {math.prod(shape)} values, but a sample has {features}"
        )
    inputs = recipe.encoding.features(features)
    if inputs == features and len(shape) > 1:
        return shape
    if recipe.conv:
        why = (
            f"how the {features} values of a sample lie is not known: say it by grid, e.g. "
            "--grid 1,8,8 for images of 8 x 8"
        )
        if inputs != features:
            why = f"encoding {recipe.encoding.kind!r} gives several inputs per value"
        raise ConfigError(f"conv is {recipe.conv!r}, which needs inputs on a grid, but {why}")
    return (inputs,)


def _check_machine(recipe: Recipe) -> None:
    if recipe.training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but torch finds no CUDA device here; use --device cpu")
    if recipe.training.device == "cuda" and launch.local_rank() >= torch.cuda.device_count():
        raise ConfigError(
            f"device is 'cuda', and this is process {launch.local_rank()} of its machine, but "
            f"there are {torch.cuda.device_count()} CUDA devices: start one process per device"
        )


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
