"""A connection: from where to where spikes go, through which synapses, and how late.

    z_t = W xbar_t + b,    xbar_t = trace * xbar_{t-1} + x_{t-d}

with the source's spikes x, a delay of d steps, an exponential trace (without one, xbar_t = x_{t-d})
and synapses W, b. A learned delay lies between two steps and interpolates them.
"""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from sqsnn.options import Count, Whole, options
from sqsnn.synapses import Chain, Convolution, Dense, Identity, Module, Pool

INPUT = "input"  # the source that is no population

Linear = Annotated[
    Dense | Convolution | Pool | Identity | Module | Chain, Field(discriminator="kind")
]


@options
class LearnedDelay:
    """A delay of its own for each neuron of the source, learned with the weights.

    Between two whole steps k and k + 1 it gives (k + 1 - d) x_{t-k} + (d - k) x_{t-k-1}.
    """

    start: Annotated[float, Field(ge=0)] = 1.0
    """First value of all delays, in steps."""
    shortest: Whole = 0
    """Lowest value, in steps; at least 1 for a connection that closes a cycle."""
    longest: Count = 8
    """Highest value, in steps; the state keeps as many."""
    kind: Literal["learned"] = field(default="learned", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not self.shortest < self.longest:
            raise ValueError(
                f"shortest is {self.shortest}; it must be below longest, {self.longest}"
            )
        if not self.shortest <= self.start <= self.longest:
            raise ValueError(
                f"start is {self.start}; it must lie between shortest, {self.shortest}, and "
                f"longest, {self.longest}"
            )


@options
class Connection:
    """What carries the spikes of one population, or of the input, to another.

    Example:
        >>> recurrent = Connection("hidden", "hidden", Dense(bias=True), delay=1)
        >>> recurrent.shortest, recurrent.trace
        (1, None)
    """

    source: str
    """Name of the population whose spikes are carried; "input" for those of the samples."""
    target: str
    """Name of the population that receives the currents."""
    synapses: Linear | nn.Module | tuple[Linear | nn.Module, ...] = Dense()
    """The linear map from spikes to currents, also a linear module of torch; several in a tuple act
    one after the other."""
    delay: Whole | LearnedDelay = 0
    """Whole steps that spikes take, or a learned delay."""
    trace: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of an exponential trace of the spikes; none: spikes act once."""

    @property
    def shortest(self) -> int:
        """The fewest steps that a spike takes."""
        return self.delay.shortest if isinstance(self.delay, LearnedDelay) else self.delay
