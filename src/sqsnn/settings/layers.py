"""Which populations a network has, and what joins them: layers in a few words, or a whole graph."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from sqsnn.checks import Shape
from sqsnn.network.build import check_graph
from sqsnn.network.connection import INPUT, Connection, LearnedDelay
from sqsnn.network.wiring import layers, name_layers, parse_conv
from sqsnn.neurons.sharing import Share
from sqsnn.options import Count, Whole
from sqsnn.settings.section import Section, Sizes
from sqsnn.synapses import DENSE, Dense, Method, Wiring

Graphed = tuple[dict[str, Shape], list[Connection]]
CLASSES = "classes"


class Graph(Section):
    """Populations and connections, for networks that are no layers."""

    populations: dict[str, Count | tuple[Count, ...] | Literal["classes"]]
    """Size or shape of each population, the output last; "classes" for a neuron per class."""
    connections: tuple[Connection, ...]
    """What carries spikes from where to where, e.g. {source = "input", target = "hidden"}."""

    @model_validator(mode="after")
    def _can_be_written(self) -> "Graph":
        check_graph(tuple(self.populations), self.connections)
        for it in self.connections:
            parts = it.synapses if isinstance(it.synapses, tuple) else (it.synapses,)
            for part in parts:
                if not hasattr(part, "kind") or getattr(part, "mask", None) is not None:
                    raise ValueError(
                        f"the synapses from {it.source!r} to {it.target!r} hold tensors, which "
                        "settings cannot: build such a network by SpikingNetwork"
                    )
        return self

    @property
    def first_step(self) -> int | None:
        """Steps that the first spike takes to the last population; None if none reaches it."""
        found = {INPUT: 0}
        for _ in self.populations:
            for it in self.connections:
                if it.source in found:
                    after = found[it.source] + it.shortest
                    found[it.target] = min(after, found.get(it.target, after))
        return found.get(list(self.populations)[-1])

    def wire(self, outputs: int | None) -> Graphed:
        """Fill in the number of output neurons.

        Args:
            outputs: Classes; None where real values are read from the last population.

        Raises:
            ValueError: If the last population has another number of neurons.
        """
        shapes: dict[str, Shape] = {}
        for name, size in self.populations.items():
            if size == CLASSES and outputs is None:
                raise ValueError(f"{name} has a neuron per class, but there are no classes")
            wanted = outputs if size == CLASSES else size
            shapes[name] = (wanted,) if isinstance(wanted, int) else tuple(wanted or ())
        last, shape = list(shapes.items())[-1]
        if outputs is not None and math.prod(shape) != outputs:
            raise ValueError(
                f"{last!r}, the last population and so the output, has {math.prod(shape)} neurons, "
                f"but there are {outputs} classes; write {last} = {CLASSES!r}, or list the output "
                "last"
            )
        return shapes, list(self.connections)


class Layers(Section):
    """The populations of a network and what joins them."""

    hidden: Sizes = (64,)
    """Hidden neurons, e.g. 64 or 64,64."""
    conv: str = ""
    """Convolutions and pools before the hidden layers: 12c5-p2 has 12 maps with a kernel of 5 x 5,
    then the mean over 2 x 2; 12c5s2p1 has stride 2 and padding 1."""
    recurrent: bool = False
    """Let each of the hidden layers also feed itself, one step later."""
    skip: bool = False
    """Let the input also feed the output."""
    delay: Whole = 0
    """Steps that spikes take from each layer to the next, and on a skip."""
    longest_delay: Count | None = None
    """Learn a delay for each neuron, up to so many steps; it starts at `delay`, or at 1 [default:
    none is learned]."""
    synapses: Method = DENSE
    """How dense connections sum the inputs of the network: dense, or over those that fire alone,
    which is faster where few do (CPU only)."""
    wiring: Wiring = "matching"
    """Channels that dense connections join: channel n to channel n, or all to all."""
    share: Share = "map"
    """Hidden neurons that share one circuit or membrane: none, those of a map, or all of a
    population. Layers without maps share by population only."""
    grid: Sizes | None = None
    """Maps, rows and columns of a sample's features, e.g. 1,28,28, or maps and length [default: the
    dataset's]."""
    graph: Graph | None = None

    @model_validator(mode="before")
    @classmethod
    def _graphs_have_no_layers(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("graph") is not None:
            return {"hidden": (), **given}
        return given

    @model_validator(mode="after")
    def _fit_each_other(self) -> "Layers":
        if self.graph is not None:
            fields = Layers.model_fields
            words = ("conv", "recurrent", "skip", "delay", "longest_delay", "synapses", "wiring")
            said = [name for name in words if getattr(self, name) != fields[name].default]
            if self.hidden or said:
                raise ValueError(
                    f"{', '.join(['hidden'] * bool(self.hidden) + said)} goes with layers, but the "
                    "populations and connections of a graph are given: say it there"
                )
        if self.grid is not None and len(self.grid) not in (2, 3):
            raise ValueError(
                f"grid has {len(self.grid)} numbers; it needs maps, rows and columns, or maps and "
                "length"
            )
        parse_conv(self.conv)
        if self.longest_delay is not None and self.delay > self.longest_delay:
            raise ValueError(
                f"longest_delay is {self.longest_delay}, but delays start at delay, {self.delay}"
            )
        return self

    def names(self, *, has_output: bool) -> list[str]:
        """Name the populations, the output last.

        Args:
            has_output: Whether layers end with output neurons.
        """
        if self.graph is not None:
            return list(self.graph.populations)
        return name_layers(len(self.hidden), self.conv, has_output=has_output)

    def wire(self, inputs: Shape, outputs: int | None) -> Graphed:
        """Give the shapes of all populations, and the connections.

        Args:
            inputs: Shape of the inputs.
            outputs: Classes; None where real values are read from the last hidden population.

        Raises:
            ValueError: If the parts do not fit each other or the inputs.
        """
        if self.graph is not None:
            return self.graph.wire(outputs)
        delay: int | LearnedDelay = self.delay
        if self.longest_delay is not None:
            delay = LearnedDelay(start=float(self.delay or 1), longest=self.longest_delay)
        return layers(
            inputs,
            self.hidden,
            outputs,
            conv=self.conv,
            recurrent=self.recurrent,
            skip=self.skip,
            delay=delay,
            synapses=Dense(method=self.synapses, wiring=self.wiring),
        )

    def share_of(self, shape: Shape) -> Share:
        """Say what the neurons of a hidden population share."""
        return "none" if self.share == "map" and len(shape) == 1 else self.share

    @property
    def is_plain(self) -> bool:
        """Whether each layer feeds the next at once through dense synapses, and nothing else."""
        return not (self.conv or self.graph or self.joined_in_words)

    @property
    def in_words(self) -> str:
        """The hidden populations in a few words, e.g. "12c5-p2-64 hidden"."""
        if self.graph is not None:
            return " + ".join(self.graph.populations)
        return f"{'-'.join([*filter(None, [self.conv]), *map(str, self.hidden)]) or 'no'} hidden"

    @property
    def joined_in_words(self) -> tuple[str, ...]:
        """What joins layers beside the connection of each to the next, in a few words."""
        learned = self.longest_delay
        delay = f"delay {self.delay}" if self.delay else ""
        return tuple(
            words
            for words in (
                "recurrent" if self.recurrent else "",
                "input also to output" if self.skip else "",
                delay if learned is None else f"delays learned up to {learned}",
            )
            if words
        )
