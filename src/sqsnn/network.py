"""The network: synapses and populations in feed-forward layers, which run one after the other.

A network holds parameters only: its state is a tuple of the populations' states, passed in and
returned, and its random numbers come from outside.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sqsnn.checks import check_positive_int, check_shape
from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.synapses import DENSE, Dense, Method, Synapses
from sqsnn.uniforms import draw_layers

PopulationFactory = Callable[..., Population]


class NetworkRecord(NamedTuple):
    """What a network did."""

    layers: tuple[Record, ...]  # the output last
    state: tuple[Any, ...]  # of all populations, from which the next call can go on


class SpikingNetwork(nn.Module):
    """A feed-forward network of populations.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> network = SpikingNetwork([4, 8, 3], generator=generator)
        >>> record = network(torch.ones(10, 2, 4, 1), generator=generator)
        >>> record.layers[-1].spikes.shape  # (T, B, outputs, N)
        torch.Size([10, 2, 3, 1])

    Args:
        sizes: Inputs, hidden layers and outputs, e.g. `[64, 128, 10]`.
        neurons: Makes a population, called as `neurons(size, generator=, dtype=, device=)`; or one
            such factory per layer [default: `SQSNeurons`].
        synapses: Method of the first layer, see `Synapses`; the others are dense, since hidden
            spikes are not rare and need their gradient.
        generator: Draws the initial values, layer by layer.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
        readout: Reads real values from the last population, such as a `readout.TraceReadout`; None
            for class scores. It is trained with the network, and `forward` does not call it.
        **options: Arguments of all `SQSNeurons`, e.g. `circuit="crx", drive=sqsnn.Rectified()`;
            they go with no `neurons`, which would carry its own.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        neurons: PopulationFactory | Sequence[PopulationFactory] | None = None,
        synapses: Method = DENSE,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        readout: nn.Module | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if neurons is not None and options:
            raise TypeError(
                f"{', '.join(options)} goes with the default neurons only, but neurons is given: "
                "give it to them, e.g. neurons=functools.partial(SQSNeurons, ...)"
            )
        neurons = partial(SQSNeurons, **options) if neurons is None else neurons
        if len(sizes) < 2:
            raise ValueError(f"sizes is {list(sizes)}; it needs inputs and at least one layer")
        for size in sizes:
            check_positive_int("sizes", size)
        layers = len(sizes) - 1
        factories = list(neurons) if isinstance(neurons, Sequence) else [neurons] * layers
        if len(factories) != layers:
            raise ValueError(f"neurons has {len(factories)} factories; sizes has {layers} layers")
        self.sizes = tuple(sizes)
        self.synapses = nn.ModuleList()
        self.populations = nn.ModuleList()
        for (presynaptic, size), factory in zip(pairwise(sizes), factories, strict=True):
            population = factory(size, generator=generator, dtype=dtype, device=device)
            below = Dense(method=DENSE if self.synapses else synapses).build(
                (presynaptic,),
                (size,),
                source_channels=population.channels,
                channels=population.channels,
                generator=generator,
                dtype=dtype,
                device=device,
            )
            self.synapses.append(below)
            self.populations.append(population)
        self.readout = readout

    @property
    def layers(self) -> list[tuple[Synapses, Population]]:
        """The synapses and the population of each layer."""
        pairs = zip(self.synapses, self.populations, strict=True)
        return [(cast(Synapses, below), cast(Population, above)) for below, above in pairs]

    def forward(
        self,
        spikes: Tensor,
        state: Sequence[Any] | None = None,
        *,
        generator: torch.Generator | None = None,
        uniforms: Sequence[Tensor] | None = None,
        keep_memory: bool = False,
    ) -> NetworkRecord:
        """Run the network on input spikes; give exactly one of `generator` and `uniforms`.

        Args:
            spikes: Input spikes, `(T, B, P, N)`, or `(T, B, P, 1)`, which feeds all channels.
            state: The state of an earlier record, from which to go on; None starts afresh.
            generator: Draws the uniforms; T1 and then T2 steps draw what T1 + T2 steps draw.
            uniforms: What `draw_uniforms` returned, one tensor per layer, to repeat earlier spikes.
            keep_memory: Also record the memory states.
        """
        self.check_spikes(spikes)
        steps, batch = spikes.shape[:2]
        if generator is not None and uniforms is None:
            drawn = self.draw_uniforms(steps, batch, generator)
        elif generator is None and uniforms is not None:
            drawn = tuple(uniforms)
        else:
            raise ValueError("give exactly one of generator and uniforms")
        states = (None,) * len(self.populations) if state is None else tuple(state)
        for name, given in (("uniforms", drawn), ("state", states)):
            if len(given) != len(self.populations):
                raise ValueError(
                    f"{name} has {len(given)} entries; the network has {len(self.populations)} "
                    "layers"
                )
        records: list[Record] = []
        after: list[Any] = []
        for (synapses, population), before, numbers in zip(self.layers, states, drawn, strict=True):
            record, state_after = population(
                synapses(spikes), before, uniforms=numbers, keep_memory=keep_memory
            )
            records.append(record)
            after.append(state_after)
            spikes = record.spikes
        return NetworkRecord(tuple(records), tuple(after))

    def check_spikes(self, spikes: object) -> None:
        """Refuse input spikes that are not `(T, B, P, channels)` of at least one step."""
        check_shape("spikes", spikes, ("steps", "batch", self.sizes[0], "channels"))
        if not len(cast(Tensor, spikes)):
            raise ValueError("spikes has 0 steps; it needs at least 1")

    def draw_uniforms(
        self, steps: int, batch: int, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Draw the random numbers of T steps, `(T, B, *uniforms_shape)` per layer: step by step."""
        populations = [population for _, population in self.layers]
        sizes = [math.prod(p.uniforms_shape) for p in populations if p.is_stochastic]
        like = populations[0].parameter_like
        drawn = iter(draw_layers(steps, batch, sizes, generator, like.dtype, like.device))
        return tuple(
            next(drawn).unflatten(-1, population.uniforms_shape)
            if population.is_stochastic
            else population.draw_uniforms(steps, batch, generator)
            for population in populations
        )
