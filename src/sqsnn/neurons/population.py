"""The interface of every population of neurons: (currents, state, uniforms) -> (spikes, state).

A population has parameters but no state: the state is a NamedTuple that goes in and comes out.
Its random numbers are a generator or the uniforms themselves; given the same uniforms and currents
it emits the same spikes, bit for bit.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sqsnn.checks import (
    check_choice,
    check_magnitude,
    check_magnitudes,
    check_no_transform,
    check_none,
    check_positive_int,
    check_same_device,
    check_shape,
    check_unit_interval,
    checked_shape,
)
from sqsnn.neurons.sharing import Share, count_groups, share_rows, unpickled
from sqsnn.neurons.surrogates import SpikeSurrogate
from sqsnn.placing import in_full_precision, lowered_dtype
from sqsnn.readback import together
from sqsnn.uniforms import draw_uniforms

Backend = Literal["auto", "fused", "torch"]

# There, neighbouring float32 numbers are 1/16 apart: larger ones are no angles any more.
LARGEST_CURRENT = LARGEST_PARAMETER = 1e6


class Record(NamedTuple):
    """What a population did over T steps.

    `memory`, kept with `keep_memory` only, holds the states after each step, complex, laboratory
    frame: `(T, B, H, 2**M)`, or density matrices `(T, B, H, 2**M, 2**M)`.
    """

    spikes: Tensor  # (T, B, H, N) in {0, 1}; carries the surrogate gradient
    probability: Tensor  # that each channel fires given the past, (T, B, H, N)
    log_likelihood: Tensor  # log p(s_t | s_<t), joint over channels, (T, B, H); -inf if impossible
    memory: Tensor | None = None


class Population(nn.Module, ABC):
    """The base class of all neurons: H neurons of N channels each.

    A subclass implements `evolve` and `parameter_like`, and `SpikingNetwork` calls it as
    `subclass(size, generator=, dtype=, device=)`; it draws initial values from that generator
    alone. Neurons whose law is one step at a time are shorter as a `SteppedPopulation`. A subclass
    that takes `share` makes its parameters with `groups` rows and names them to
    `share_parameters`.

    Attributes:
        shape: The grid of the neurons, `(maps, height, width)` or `(maps, length)`, or `(H,)`.
        size: Neurons H, the product of the shape.
        channels: Channels N.
        surrogate: d(spike)/d(marginal probability) in the backward pass.
        is_stochastic: Whether spikes are drawn; else the firing probability is the spike, and has
            no likelihood from which to learn.
        own_spikes_are_data: Whether no gradient runs through an own spike to later steps, as if it
            were observed.
        keeps_memory: Whether a neuron's spikes can depend on its earlier steps.
        backend: What runs the time steps: "fused", the compiled kernel; "torch"; or "auto".
        largest_parameter: Beyond which a parameter is refused.
        membrane_operations: Multiply-accumulates of a channel's membrane in a step, for
            `sqsnn inspect costs`.

    Args:
        size: Neurons H, or the shape of their grid, such as `(maps, height, width)`. Spikes and
            currents stay flat, row by row of the grid.
        channels: Channels N.
        share: Which neurons have their learned parameters in common: "none"; "map", those of one
            map of a grid; or "population", all.
    """

    surrogate: SpikeSurrogate = "straight_through"
    is_stochastic: bool = True
    own_spikes_are_data: bool = False
    keeps_memory: bool = True
    backend: Backend = "torch"
    largest_parameter: float = torch.finfo(torch.float32).max
    membrane_operations: int = 0

    @property
    def runs_fused(self) -> bool:
        """Whether the compiled kernel runs the time steps, not torch.

        Raises:
            ValueError: If the backend is "fused" and the kernel cannot; says why.
        """
        obstacle = None if self.backend == "torch" else self.obstacle_to_kernel()
        if self.backend == "fused" and obstacle is not None:
            raise ValueError(f"backend is 'fused', but {obstacle}; use 'torch', or 'auto'")
        return self.backend != "torch" and obstacle is None

    def obstacle_to_kernel(self) -> str | None:
        """Say why the compiled kernel cannot run these neurons; None where it can."""
        return f"the kernel has no {self.class_name}"

    def choose_backend(self, backend: Backend) -> None:
        """Take a backend, once all that decides whether the kernel can run is in place."""
        check_choice("backend", backend, Backend)
        self.backend = backend
        self.runs_fused  # noqa: B018 (refuses a kernel that cannot run)

    def __init__(self, size: int | Sequence[int], channels: int = 1, share: Share = "none") -> None:
        super().__init__()
        self.shape = checked_shape("size", size)
        self.size = math.prod(self.shape)
        check_positive_int("channels", channels, high=1024)
        self.channels = channels
        self.groups = count_groups(self.shape, share)
        self.share: Share = share

    def share_parameters(self, *names: str) -> None:
        """Let parameters, `(groups, ...)`, read as `(H, ...)`, while one row per group is trained.

        Where nothing is shared, every neuron is a group of its own, and nothing changes. What has
        no elements becomes a buffer: nothing waits for its gradient.
        """
        for name in names:
            values = getattr(self, name)
            if values.numel():
                share_rows(self, name, self.size // self.groups)
            else:
                delattr(self, name)
                self.register_buffer(name, values.detach().new_empty(self.size, *values.shape[1:]))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let a population be pickled whose parameters are shared, or frozen in part."""
        if not parametrize.is_parametrized(self):
            return super().__reduce_ex__(protocol)
        return unpickled, (parametrize.type_before_parametrizations(self), dict(vars(self)))

    def __repr__(self) -> str:
        """Show neurons whose parameters are shared, or frozen in part, as all others."""
        if parametrize.is_parametrized(self):
            return f"{self.class_name}({self.extra_repr()})"
        return super().__repr__()

    @property
    def class_name(self) -> str:
        """The name of the class, without what torch adds where parameters are shared or frozen."""
        return parametrize.type_before_parametrizations(self).__name__

    def shown_size(self) -> str:
        """Give the size, or the grid, and what is shared, for `print(network)`."""
        shown = f"{self.size}" if len(self.shape) == 1 else f"{self.shape}"
        return shown if self.share == "none" else f"{shown}, share={self.share!r}"

    @abstractmethod
    def evolve(
        self,
        currents: Float[Tensor, "T B H N"],
        state: Any,
        uniforms: Float[Tensor, "T B H *numbers"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, Any]:
        """Run T steps of the neuron's own law; `forward` describes the arguments and checks them.

        Either `uniforms` or `observed` is given. The record's spikes come from `surrogates.spike`,
        and the state is a NamedTuple.
        """

    @property
    @abstractmethod
    def parameter_like(self) -> Tensor:
        """A tensor with the population's device and dtype."""

    @property
    def uniforms_shape(self) -> tuple[int, ...]:
        """Shape of the random numbers per sample and step: `(H,)`, one per neuron."""
        return (self.size,)

    def draw_uniforms(
        self, steps: int, batch: int, generator: torch.Generator
    ) -> Float[Tensor, "T B H *numbers"]:
        """Draw the random numbers of T steps, `(T, B, *uniforms_shape)`, step by step."""
        shape, like = self.uniforms_shape, self.parameter_like
        drawn = draw_uniforms(steps, batch, math.prod(shape), generator, like.dtype, like.device)
        return drawn.unflatten(-1, shape)

    def forward(
        self,
        currents: Tensor,
        state: Any = None,
        *,
        generator: torch.Generator | None = None,
        uniforms: Tensor | None = None,
        observed: Tensor | None = None,
        keep_memory: bool = False,
    ) -> tuple[Record, Any]:
        """Run T steps; give exactly one of `generator`, `uniforms` and `observed`.

        Args:
            currents: Currents, `(T, B, H, N)`.
            state: What an earlier call returned; None starts afresh.
            generator: Draws the uniforms, step by step.
            uniforms: Numbers in [0, 1), one per neuron and step, `(T, B, H)`; for a population that
                needs several, `(T, B, *uniforms_shape)`.
            observed: Spikes to score instead of drawing any, `(T, B, H, N)` in {0, 1}.
            keep_memory: Also record the memory states.

        Returns:
            The record, and the state from which a later call can go on.
        """
        check_no_transform(self.class_name)
        given = {"generator": generator, "uniforms": uniforms, "observed": observed}
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            raise ValueError(
                "give exactly one of generator, uniforms and observed; given were "
                f"{' and '.join(named) or 'none'}"
            )
        currents = self._raised(currents)
        with together():
            self._check(currents, state, uniforms, observed)
        if generator is not None:
            steps, batch = currents.shape[:2]
            uniforms = self.draw_uniforms(steps, batch, generator)
        return self.run(currents, state, uniforms, observed, keep_memory)

    @in_full_precision
    def run(
        self,
        currents: Float[Tensor, "T B H N"],
        state: Any,
        uniforms: Float[Tensor, "T B H *numbers"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, Any]:
        """Run T steps without checks, and in full precision, whatever autocast is on."""
        return self.evolve(currents, state, uniforms, observed, keep_memory)

    def step(
        self, currents: Float[Tensor, "B H N"], state: Any, uniforms: Float[Tensor, "B H *numbers"]
    ) -> tuple[Record, Any]:
        """Run one time step; the record has no time dimension."""
        check_shape("currents", currents, ("batch", self.size, self.channels))
        check_shape("uniforms", uniforms, (len(currents), *self.uniforms_shape))
        record, state = self(currents[None], state, uniforms=uniforms[None])
        spikes, probability, log_likelihood, _ = record
        return Record(spikes[0], probability[0], log_likelihood[0]), state

    def check_currents(self, currents: Tensor, *leading: str, name: str = "currents") -> None:
        """Refuse currents, `(*leading, H, N)`, whose shape, device, dtype or values do not fit."""
        check_shape(name, currents, (*leading, self.size, self.channels))
        check_same_device(**{name: currents}, parameters=self.parameter_like)
        if currents.dtype != self.parameter_like.dtype:
            raise ValueError(
                f"{name} has dtype {currents.dtype}; the population's parameters have "
                f"{self.parameter_like.dtype}"
            )
        check_magnitude(name, currents, LARGEST_CURRENT)

    def check_parameters(self) -> None:
        """Refuse parameters in half precision, and values that are not finite or too large."""
        dtype = self.parameter_like.dtype
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"the parameters of {self.class_name} have {dtype}, but a neuron runs in "
                "torch.float32 or torch.float64; convert them by .float(), and let torch.autocast "
                "lower the products of synapses"
            )
        own = chain(self.named_parameters(), self.named_buffers())
        # Where they are shared, or frozen in part, torch gives them longer names.
        plain = {name.removeprefix("parametrizations."): values for name, values in own}
        check_magnitudes(plain, self.largest_parameter)

    def check_uniforms(self, uniforms: Tensor, steps: int, batch: int) -> None:
        """Refuse random numbers of another shape, or outside [0, 1)."""
        check_shape("uniforms", uniforms, (steps, batch, *self.uniforms_shape))
        check_unit_interval("uniforms", uniforms, below_one=True)

    def _check(
        self, currents: Tensor, state: Any, uniforms: Tensor | None, observed: Tensor | None
    ) -> None:
        """Refuse arguments of `forward` that do not fit, and parameters."""
        self.check_parameters()
        self.check_currents(currents, "steps", "batch")
        steps, batch = currents.shape[:2]
        if steps < 1:
            raise ValueError("currents has 0 steps; it needs at least 1")
        check_same_device(currents=currents, uniforms=uniforms, observed=observed)
        for name, values in (("uniforms", uniforms), ("observed", observed)):
            if values is not None and values.dtype != currents.dtype:
                raise ValueError(f"{name} has dtype {values.dtype}; currents {currents.dtype}")
        if uniforms is not None:
            self.check_uniforms(uniforms, steps, batch)
        if observed is not None:
            check_shape("observed", observed, (steps, batch, self.size, self.channels))
            wrong = (observed != 0) & (observed != 1)
            check_none(
                wrong,
                lambda: f"observed holds {observed[wrong][0].item()}; every spike must be 0 or 1",
            )
        if state is not None:
            self.check_given(state, batch)

    def _raised(self, currents: Tensor) -> Tensor:
        """Give currents that autocast has lowered, e.g. a Linear's, the parameters' precision."""
        like = self.parameter_like
        if currents.dtype == like.dtype or lowered_dtype(like) != currents.dtype:
            return currents
        return currents.to(like.dtype)

    def check_given(self, state: Any, batch: int) -> None:
        """Refuse a state that these neurons cannot have reached.

        Called for states that come from outside, and not between the steps of a cycle: a subclass
        does here what takes time, and in `evolve` what is fast.
        """

    def check_state(self, state: Any, batch: int, shape: Sequence[int], dtype: torch.dtype) -> None:
        """Refuse a state of tensors other than `(B, H, *shape)` of a dtype."""
        for part, tensor in state._asdict().items():
            self.check_state_part(part, tensor, (batch, self.size, *shape), dtype)

    def check_state_part(
        self, part: str, tensor: Tensor, shape: Sequence[int], dtype: torch.dtype
    ) -> None:
        """Refuse one tensor of a state with another shape, device or dtype."""
        name = f"state.{part}"
        check_shape(name, tensor, shape)
        check_same_device(**{name: tensor}, parameters=self.parameter_like)
        if tensor.dtype != dtype:
            raise ValueError(f"{name} has dtype {tensor.dtype}; these currents need {dtype}")
