"""Populations that are no circuits: a subclass writes one step, which runs over time here.

d_t      = drive(z_t)                 all that does not depend on the past
p_t, c_t = fire(d_t, state_{t-1})     firing probability, and what is carried on
s_t      = u_t < p_t                  0 and 1 are probabilities too: such a neuron draws nothing
state_t  = settle(c_t, s_t)           the effect of the own spike

The own spike is data: no gradient passes through it to later steps. Where `own_spikes_are_data` is
False, a drawn one passes its surrogate gradient on.
"""

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population, Record
from sqsnn.placing import possible_draws


class SteppedPopulation(Population):
    """The base class of classical neurons, whose channels are independent of each other.

    A neuron of your own needs four methods, `rest`, `drive`, `fire` and `settle`; its parameters
    are made with `learned`, and its state is a NamedTuple of tensors `(B, H, N)`. It then works in
    every network, and learns by backpropagation and by the local rule with exact scores.
    Neurons that draw nothing set `is_stochastic = False` and give spikes as probabilities.

    Example:
        >>> from typing import NamedTuple
        >>> class State(NamedTuple):
        ...     spikes: Tensor
        >>> class Refractory(SteppedPopulation):
        ...     def __init__(self, size, *, generator, dtype=torch.float32, device=None):
        ...         super().__init__(size)
        ...         self.bias = learned(0.0, self.size, 1, dtype, device)
        ...     def rest(self, drive):
        ...         return State(torch.zeros_like(drive))
        ...     def drive(self, currents):
        ...         return currents + self.bias
        ...     def fire(self, drive, state):
        ...         return torch.sigmoid(drive) * (1 - state.spikes), drive
        ...     def settle(self, carried, spikes):
        ...         return State(spikes)
        >>> generator = torch.Generator().manual_seed(0)
        >>> record, state = Refractory(2, generator=generator)(
        ...     torch.zeros(4, 1, 2, 1), generator=generator
        ... )
        >>> bool((record.spikes[1:] * record.spikes[:-1]).any())
        False
    """

    own_spikes_are_data = True

    @abstractmethod
    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """Compute, for all steps at once, what does not depend on the past."""

    @abstractmethod
    def fire(self, drive: Float[Tensor, "B H N"], state: Any) -> tuple[Tensor, Tensor]:
        """Compute a step's firing probability and what `settle` needs, `(B, H, N)` each."""

    @abstractmethod
    def settle(self, carried: Float[Tensor, "B H N"], spikes: Float[Tensor, "B H N"]) -> Any:
        """Compute the state after a step, a NamedTuple of tensors `(B, H, N)`."""

    @abstractmethod
    def rest(self, drive: Float[Tensor, "B H N"]) -> Any:
        """Make the state before the first step, a NamedTuple of tensors `(B, H, N)`."""

    @property
    def uniforms_shape(self) -> tuple[int, ...]:
        """`(H,)`, or `(H, N)` for several channels, each of which fires by itself."""
        return (self.size,) if self.channels == 1 else (self.size, self.channels)

    @property
    def parameter_like(self) -> Tensor:
        """A tensor with the population's device and dtype."""
        return next(self.parameters())

    def draw_uniforms(
        self, steps: int, batch: int, generator: torch.Generator
    ) -> Float[Tensor, "T B H *numbers"]:
        """Draw the random numbers of T steps; where nothing is random, give zeros and draw none."""
        if self.is_stochastic:
            return super().draw_uniforms(steps, batch, generator)
        return self.parameter_like.new_zeros(()).expand(steps, batch, *self.uniforms_shape)

    def evolve(
        self,
        currents: Float[Tensor, "T B H N"],
        state: Any,
        uniforms: Float[Tensor, "T B H *numbers"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, Any]:
        """Run T steps; see `Population.evolve`."""
        if keep_memory:
            raise ValueError(f"keep_memory is True, but {self.class_name} has no memory qubits")
        drives = self.drive(currents)
        rest = self.rest(drives[0])
        if state is None:
            state = rest
        else:
            self.check_start(state, type(rest), currents)
        drawn = None if uniforms is None else possible_draws(uniforms)
        bits, probabilities, carries = [], [], []
        for t, drive in enumerate(drives):
            probability, carried = self.fire(drive, state)
            if observed is not None:
                spikes = observed[t]
            else:
                uniform = drawn[t].view(probability.shape)  # pyright: ignore[reportOptionalSubscript]
                spikes = (uniform < probability).to(probability.dtype)
            is_data = self.own_spikes_are_data or observed is not None
            own = spikes if is_data else surrogates.own_spike(spikes, probability, self.surrogate)
            state = self.settle(carried, own)
            bits.append(spikes)
            probabilities.append(probability)
            carries.append(carried)
        happened, probability = torch.stack(bits), torch.stack(probabilities)
        if self.is_stochastic or observed is not None:
            likelihood = self.log_probability(happened, probability, torch.stack(carries)).sum(-1)
        else:
            likelihood = happened.new_zeros(happened.shape[:-1])  # certain spikes: log 1
        spikes = surrogates.spike(happened, probability, self.surrogate)
        return Record(spikes, probability, likelihood), state

    def check_start(self, state: Any, wanted: type, currents: Float[Tensor, "T B H N"]) -> None:
        """Refuse a state that is not what an earlier call for this batch returned."""
        if not isinstance(state, wanted):
            raise TypeError(
                f"state must be a {wanted.__name__}, what an earlier call returned, but is a "
                f"{type(state).__name__}"
            )
        self.check_state(state, currents.shape[1], (self.channels,), currents.dtype)

    def log_probability(
        self,
        spikes: Float[Tensor, "T B H N"],
        probability: Float[Tensor, "T B H N"],
        carried: Float[Tensor, "T B H N"],
    ) -> Float[Tensor, "T B H N"]:
        """Compute log p of each channel's spikes from what `fire` gave at every step."""
        return surrogates.log_of(torch.where(spikes > 0, probability, 1 - probability))

    def extra_repr(self) -> str:
        """Give what `print(network)` shows."""
        return f"{self.shown_size()}, channels={self.channels}"


def learned(
    value: float, size: int, channels: int, dtype: torch.dtype, device: torch.device | str | None
) -> nn.Parameter:
    """Make a parameter `(size, channels)`, per neuron and channel, that starts at one value."""
    if not math.isfinite(value):
        raise ValueError(f"a parameter cannot start at {value}; it must be finite")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype is {dtype}; it may be torch.float32 or torch.float64")
    return nn.Parameter(torch.full((size, channels), value, dtype=dtype, device=device))
