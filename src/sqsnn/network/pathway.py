"""A connection at work: its delay, its trace and its synapses, with a state from step to step."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import check_same_device, check_shape
from sqsnn.network.connection import Connection, LearnedDelay
from sqsnn.neurons import surrogates
from sqsnn.synapses import Synapses


class PathwayState(NamedTuple):
    """What a pathway keeps between two steps; None where it keeps nothing."""

    past: Tensor | None = None  # the source's last spikes, the oldest first, (longest, B, P, C)
    trace: Tensor | None = None  # xbar, (B, P, C)


class Pathway(nn.Module):
    """A built connection: spikes of the source in, currents of the target out.

    Args:
        connection: Its description.
        synapses: The linear map, built for both ends.
        dtype: torch.float32 or torch.float64.
        device: Where a learned delay lies.

    Attributes:
        steps: A learned delay in steps, `(P,)`; None for a fixed one.
    """

    def __init__(
        self,
        connection: Connection,
        synapses: Synapses,
        dtype: torch.dtype,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.connection = connection
        self.source, self.target = connection.source, connection.target
        self.delay, self.trace = connection.delay, connection.trace
        self.synapses = synapses
        self.steps: nn.Parameter | None = None
        if isinstance(self.delay, LearnedDelay):
            size = math.prod(synapses.source)
            start = torch.full((size,), float(self.delay.start), dtype=dtype, device=device)
            self.steps = nn.Parameter(start)

    @property
    def is_instant(self) -> bool:
        """Whether spikes can arrive in the step in which they were fired."""
        return self.shortest == 0

    @property
    def shortest(self) -> int:
        """The fewest steps that a spike takes."""
        return self.delay.shortest if isinstance(self.delay, LearnedDelay) else self.delay

    @property
    def longest(self) -> int:
        """The most steps that a spike takes."""
        return self.delay.longest if isinstance(self.delay, LearnedDelay) else self.delay

    def arrive(
        self, spikes: Float[Tensor, "T B P C"], state: PathwayState
    ) -> tuple[Float[Tensor, "T B P C"], PathwayState]:
        """Delay and trace the spikes of T steps: what the synapses receive, and the state after."""
        if not self.longest:
            arrived, trace = self._traced(spikes, state.trace)
            return arrived, PathwayState(None, trace)
        past = self._past(state, spikes[0])
        history = torch.cat([past, spikes])
        arrived, trace = self._traced(self._delayed(history, len(spikes)), state.trace)
        # A view would keep all steps in memory for as long as the state lives.
        return arrived, PathwayState(history[len(spikes) :].clone(), trace)

    def recall(
        self, state: PathwayState, like: Float[Tensor, "B P C"]
    ) -> tuple[Float[Tensor, "1 B P C"], PathwayState]:
        """Give what arrives in the next step, before the source has fired in it.

        Args:
            state: The state after the step before.
            like: A tensor of the shape, dtype and device of a step's spikes.
        """
        past = self._past(state, like)
        arrived, trace = self._traced(self._delayed(past, 1), state.trace)
        return arrived, PathwayState(past, trace)

    def keep(self, spikes: Float[Tensor, "B P C"], state: PathwayState) -> PathwayState:
        """Take the source's spikes of a step, which `recall` had to do without, into the state."""
        past = self._past(state, spikes)
        return state._replace(past=torch.cat([past[1:], spikes[None]]))

    def pull_back(
        self,
        gradient: Float[Tensor, "T B H N"],
        channels: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "T B P C"]:
        """Carry gradients by the currents back to the source's spikes: the transposed map.

        Args:
            gradient: Gradients by the currents.
            channels: Channels C of the source.
            weights: Parameters of the synapses to use in place of their own.
        """
        by_arrived = self.synapses.pull_back(gradient, channels, weights)
        if not self.longest and self.trace is None:
            return by_arrived
        spikes = torch.zeros_like(by_arrived, requires_grad=True)
        with torch.enable_grad():
            arrived, _ = self.arrive(spikes, PathwayState())
        (by_spikes,) = torch.autograd.grad(arrived, spikes, by_arrived)
        return by_spikes

    def check_state(self, state: PathwayState, spikes: Float[Tensor, "B P C"]) -> None:
        """Refuse a state that does not go on with such spikes of a step."""
        given, step = state._asdict(), tuple(spikes.shape)
        wanted = {
            "past": (self.longest, *step) if self.longest else None,
            "trace": None if self.trace is None else step,
        }
        for part, shape in wanted.items():
            name, tensor = f"state of {self}: {part}", given[part]
            if shape is None and tensor is not None:
                raise ValueError(f"{name} is a tensor, but this connection has no such part")
            if shape is None or tensor is None:  # None starts afresh
                continue
            check_shape(name, tensor, shape)
            check_same_device(**{name: tensor, "spikes": spikes})
            if tensor.dtype != spikes.dtype:
                raise ValueError(f"{name} has dtype {tensor.dtype}; the spikes {spikes.dtype}")

    def __str__(self) -> str:
        """Name the two ends."""
        return f"{self.source} -> {self.target}"

    def _past(self, state: PathwayState, like: Tensor) -> Tensor:
        return like.new_zeros(self.longest, *like.shape) if state.past is None else state.past

    def _delayed(self, history: Tensor, steps: int) -> Float[Tensor, "T B P C"]:
        """Read T delayed steps from a history that begins `longest` steps before the first."""
        if self.steps is None:
            return history[:steps]
        delays = surrogates.held(self.steps, float(self.shortest), float(self.longest))
        # The longest delay lies at the end of the interval below it.
        whole = delays.detach().floor().clamp_max(self.longest - 1)
        times = torch.arange(self.longest, self.longest + steps, device=history.device)
        earlier = times[:, None] - whole.long()  # (T, P)
        earlier = earlier[:, None, :, None].expand(-1, *history.shape[1:])
        share = (delays - whole)[:, None]
        # A learned delay of at least 1 never reads its own step, which may not have happened yet.
        return history.gather(0, earlier) * (1 - share) + history.gather(0, earlier - 1) * share

    def _traced(
        self, arrived: Tensor, trace: Tensor | None
    ) -> tuple[Float[Tensor, "T B P C"], Tensor | None]:
        if self.trace is None:
            return arrived, None
        trace = torch.zeros_like(arrived[0]) if trace is None else trace
        steps = []
        for spikes in arrived:
            trace = torch.add(spikes, trace, alpha=self.trace)
            steps.append(trace)
        return torch.stack(steps), trace
