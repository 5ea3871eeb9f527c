"""The network: named populations and the connections between them, with layers as a shorthand.

Populations that lie on no cycle run all steps at once, those on a cycle step by step. A network
holds parameters only: its state is passed in and returned, and its random numbers come from
outside.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sqsnn.checks import Shape, check_shape, checked_shape
from sqsnn.network.build import Described, PopulationFactory, build, check_graph
from sqsnn.network.connection import INPUT, Connection, LearnedDelay
from sqsnn.network.description import describe
from sqsnn.network.graph import Edge, components
from sqsnn.network.passing import NetworkState, Pass
from sqsnn.network.pathway import Pathway
from sqsnn.network.wiring import wire_sizes
from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.readback import together
from sqsnn.synapses import DENSE, Method
from sqsnn.uniforms import draw_layers


class NetworkRecord(NamedTuple):
    """What a network did; `record["hidden"]` is the record of the population of that name."""

    layers: tuple[Record, ...]  # of the populations in their order, the output last
    state: NetworkState | None  # from which the next call can go on; None from a device
    names: tuple[str, ...]  # of the populations

    def __getitem__(self, key: Any) -> Any:
        """Give the record of a population by its name."""
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        if key not in self.names:
            raise KeyError(f"no population {key!r}; there are {', '.join(map(repr, self.names))}")
        return self.layers[self.names.index(key)]


class SpikingNetwork(nn.Module):
    """A graph of populations and connections; the last population is the output.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> network = SpikingNetwork([4, 8, 3], generator=generator)
        >>> record = network(torch.ones(10, 2, 4, 1), generator=generator)
        >>> record.layers[-1].spikes.shape  # (T, B, outputs, N)
        torch.Size([10, 2, 3, 1])
        >>> recurrent = SpikingNetwork(
        ...     inputs=4,
        ...     populations={"hidden": 8, "output": 3},
        ...     connections=[
        ...         Connection("input", "hidden"),
        ...         Connection("hidden", "hidden", delay=1),
        ...         Connection("hidden", "output"),
        ...         Connection("input", "output", delay=2),
        ...     ],
        ...     generator=generator,
        ... )
        >>> recurrent(torch.ones(10, 2, 4, 1), generator=generator)["hidden"].spikes.shape
        torch.Size([10, 2, 8, 1])

    Args:
        sizes: The shorthand for layers, one feeding the next: inputs, hidden layers and outputs,
            e.g. `[64, 128, 10]`. Their names are hidden, or hidden_1 and so on, and output.
        inputs: Without `sizes`: the inputs' number, or the shape of their grid.
        populations: Without `sizes`: for each name a size, the shape of a grid such as
            `(12, 28, 28)`, or a population.
        connections: Without `sizes`: all connections between the input and the populations.
        neurons: Makes populations, called as `neurons(size, generator=, dtype=, device=)`; or one
            such factory per population to be made, in order [default: `SQSNeurons`].
        synapses: Method of the synapses from the input, see `Dense`; goes with `sizes`, as do the
            next three.
        recurrent: Whether each hidden layer also feeds itself, one step later.
        skip: Whether the input also feeds the output.
        delay: Delay of all connections but the recurrent ones, in whole steps, or learned.
        generator: Draws the initial values, population by population.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
        readout: Reads real values from the last population, such as a `readout.TraceReadout`; None
            for class scores. It is trained with the network, and `forward` does not call it.
        **options: Arguments of all `SQSNeurons`, e.g. `circuit="crx", drive=sqsnn.Rectified()`;
            they go with no `neurons`, which would carry its own.

    Attributes:
        names: The names of the populations, in order, the output last.
        populations: The populations by name, in that order.
        pathways: The connections, built.
        components: Which populations run together, in the order of evaluation.
    """

    def __init__(
        self,
        sizes: Sequence[int] | None = None,
        *,
        inputs: int | Sequence[int] | None = None,
        populations: Mapping[str, Described] | None = None,
        connections: Sequence[Connection] | None = None,
        neurons: PopulationFactory | Sequence[PopulationFactory] | None = None,
        synapses: Method = DENSE,
        recurrent: bool = False,
        skip: bool = False,
        delay: int | LearnedDelay = 0,
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
        shorthand: dict[str, Any] = {"recurrent": recurrent, "skip": skip, "delay": delay}
        if sizes is not None:
            if not (inputs is populations is connections is None):
                raise TypeError("give sizes, or inputs, populations and connections, not both")
            inputs, populations, connections = wire_sizes(sizes, method=synapses, **shorthand)
        elif any(shorthand.values()) or synapses != DENSE:
            raise TypeError(
                "synapses, recurrent, skip and delay go with sizes; give them to the connections"
            )
        if inputs is None or populations is None or connections is None:
            raise TypeError("give sizes, or all of inputs, populations and connections")
        check_graph(tuple(populations), connections)
        self.inputs: Shape = checked_shape("inputs", inputs)
        edges = [Edge(c.source, c.target, c.shortest == 0) for c in connections]
        within = [edge for edge in edges if edge.source != INPUT]
        self.components = components(tuple(populations), within)
        built, pathways = build(
            self.inputs,
            populations,
            connections,
            _factories(populations, partial(SQSNeurons, **options) if neurons is None else neurons),
            generator=generator,
            dtype=dtype,
            device=device,
        )
        self.names = tuple(built)
        self.pathways = nn.ModuleList(pathways)
        self.populations = nn.ModuleDict(built)
        self.readout = readout
        # Sorted once, as small layers would feel it; by number, as a module may be replaced.
        self._incoming = {
            name: [number for number, pathway in enumerate(pathways) if pathway.target == name]
            for name in self.names
        }

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the populations in the order of evaluation."""
        return tuple(name for component in self.components for name in component.names)

    @property
    def parameter_like(self) -> Tensor:
        """A tensor with the network's device and dtype."""
        return self.population(self.names[0]).parameter_like

    @property
    def outputs(self) -> int:
        """The size of the last population."""
        return self.population(self.names[-1]).size

    def population(self, name: str) -> Population:
        """Give a population by its name."""
        return cast(Population, self.populations[name])

    def incoming(self, name: str) -> dict[int, Pathway]:
        """Give what feeds a population: pathways by their number, in the order of connections."""
        return {number: cast(Pathway, self.pathways[number]) for number in self._incoming[name]}

    def outgoing(self, name: str) -> dict[int, Pathway]:
        """Give what a population feeds: pathways by their number, in the order of connections."""
        pathways = enumerate(cast("list[Pathway]", self.pathways))
        return {number: pathway for number, pathway in pathways if pathway.source == name}

    def leads_back(self, pathway: Pathway) -> bool:
        """Whether a pathway closes a cycle: its target is evaluated before, or is, its source."""
        order = (INPUT, *self.order)
        return order.index(pathway.target) <= order.index(pathway.source)

    def forward(
        self,
        spikes: Tensor,
        state: NetworkState | None = None,
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
            uniforms: What `draw_uniforms` returned, one tensor per population, to repeat earlier
                spikes.
            keep_memory: Also record the memory states.
        """
        with together():
            return self._run(spikes, state, generator, uniforms, keep_memory)

    def _run(
        self,
        spikes: Tensor,
        state: NetworkState | None,
        generator: torch.Generator | None,
        uniforms: Sequence[Tensor] | None,
        keep_memory: bool,
    ) -> NetworkRecord:
        """Check and run; the caller judges the checks of all populations at once."""
        self.check_spikes(spikes)
        steps, batch = spikes.shape[:2]
        if generator is not None and uniforms is None:
            drawn = self.draw_uniforms(steps, batch, generator)
        elif generator is None and uniforms is not None:
            drawn = tuple(uniforms)
        else:
            raise ValueError("give exactly one of generator and uniforms")
        states = self._states(state)
        self._check_one_each("uniforms", drawn)
        numbers = dict(zip(self.names, drawn, strict=True))
        running = Pass(self, spikes, None if state is None else state.pathways)
        records: dict[str, Record] = {}
        for component in self.components:
            records |= running.simulate(component, numbers, states, keep_memory=keep_memory)
        after = NetworkState(tuple(states.values()), tuple(running.pathways))
        return NetworkRecord(tuple(records[name] for name in self.names), after, self.names)

    def check_spikes(self, spikes: object) -> None:
        """Refuse input spikes that are not `(T, B, P, channels)` of at least one step."""
        inputs = math.prod(self.inputs)
        check_shape("spikes", spikes, ("steps", "batch", inputs, "channels"))
        if not len(cast(Tensor, spikes)):
            raise ValueError("spikes has 0 steps; it needs at least 1")

    def draw_uniforms(
        self, steps: int, batch: int, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Draw the random numbers of T steps, `(T, B, *uniforms_shape)` per population."""
        populations = [self.population(name) for name in self.names]
        sizes = [math.prod(p.uniforms_shape) for p in populations if p.is_stochastic]
        like = self.parameter_like
        # In each step one population after the other, so that a sequence in pieces draws the same.
        drawn = iter(draw_layers(steps, batch, sizes, generator, like.dtype, like.device))
        return tuple(
            next(drawn).unflatten(-1, population.uniforms_shape)
            if population.is_stochastic
            else population.draw_uniforms(steps, batch, generator)
            for population in populations
        )

    def __repr__(self) -> str:
        """Show populations and connections."""
        return describe(self)

    def _states(self, state: NetworkState | None) -> dict[str, Any]:
        """Take the populations' states out of a network's, and refuse one of another network."""
        if state is None:
            return dict.fromkeys(self.names)
        if not isinstance(state, NetworkState):
            raise TypeError(
                f"state must be a NetworkState, the state of an earlier record, but is a "
                f"{type(state).__name__}"
            )
        self._check_one_each("state.populations", state.populations)
        if len(state.pathways) != len(self.pathways):
            raise ValueError(
                f"state.pathways has {len(state.pathways)} entries; the network has "
                f"{len(self.pathways)} connections"
            )
        return dict(zip(self.names, state.populations, strict=True))

    def _check_one_each(self, name: str, given: Sequence[Any]) -> None:
        if len(given) != len(self.populations):
            raise ValueError(
                f"{name} has {len(given)} entries; the network has {len(self.populations)} "
                "populations"
            )


def _factories(
    populations: Mapping[str, Described], neurons: PopulationFactory | Sequence[PopulationFactory]
) -> dict[str, PopulationFactory]:
    """Give each population that is still to be made its factory."""
    made = [name for name, value in populations.items() if not isinstance(value, Population)]
    given = list(neurons) if isinstance(neurons, Sequence) else [neurons] * len(made)
    if len(given) != len(made):
        raise ValueError(
            f"neurons has {len(given)} factories; there are {len(made)} populations to make"
        )
    return dict(zip(made, given, strict=True))
