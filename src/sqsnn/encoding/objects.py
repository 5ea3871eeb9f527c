"""Encodings as settings: immutable objects that carry their options and encode samples."""

from abc import ABC, abstractmethod
from dataclasses import field
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from sqsnn.checks import check_shape
from sqsnn.encoding import duration, functions
from sqsnn.options import Count, options
from sqsnn.uniforms import draw_uniforms


@options
class _Encoding(ABC):
    """What the encodings share.

    Attributes:
        bounded: Whether the values must lie in [0, 1].
        takes_values: Whether samples may be values that do not change in time, `(B, P)`.
        takes_series: Whether samples may be series, `(B, T0, P)`.
    """

    # A docstring would describe it here alone, and not in the encodings.
    steps: Annotated[Count, Field(description="Time steps per sample.")] = 10
    bounded: ClassVar[bool] = True
    takes_values: ClassVar[bool] = True
    takes_series: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.steps_per_value()

    def features(self, features: int) -> int:
        """Count the inputs of the network that the features of a sample become."""
        return features

    def steps_per_value(self, length: int = 1) -> int:
        """Count the time steps that each value of a series lasts.

        Args:
            length: Values in time, T0; 1 for samples that do not change in time.

        Raises:
            ValueError: If the steps do not fit the length.
        """
        return duration.steps_per_value(self.steps, length)

    def encode(
        self,
        values: Tensor,
        *,
        lengths: Int64[Tensor, " B"] | None = None,
        generator: torch.Generator,
        shared: bool = False,
    ) -> Float[Tensor, "T B inputs channels"]:
        """Turn samples into spikes or currents.

        Args:
            values: Samples, `(B, P)`, or series, `(B, T0, P)`; for `Spikes` the spike trains,
                `(B, T, P)` or `(B, T, P, N)`.
            lengths: Values of each series before its padding; None where there is none. What stands
                in the padding does not count, and all channels are 0 there.
            generator: Draws the random numbers of `Rate`; the other encodings draw none.
            shared: Give every sample the same random numbers.
        """
        if lengths is None:
            return self._encode(values, generator, shared)
        encoded = self._encode(duration.cut(values, lengths), generator, shared)
        mask = duration.step_mask(lengths, values.shape[1], self.steps, dtype=values.dtype)
        return encoded * mask[:, :, None, None]

    @abstractmethod
    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        """Encode samples without padding."""


@options
class Rate(_Encoding):
    """Random spikes: in every step, a value is the probability of a spike."""

    max_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Spike probability per step at a value of 1."""
    kind: Literal["rate"] = field(default="rate", kw_only=True, repr=False)

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        if not shared:
            return functions.rate(values, self.steps, max_rate=self.max_rate, generator=generator)
        batch, features = values.shape[0], values.shape[-1]
        one = draw_uniforms(self.steps, 1, features, generator, values.dtype, values.device)
        uniforms = one.expand(-1, batch, -1)
        return functions.rate(values, self.steps, max_rate=self.max_rate, uniforms=uniforms)


@options
class Latency(_Encoding):
    """One spike per value, the larger the earlier."""

    kind: Literal["latency"] = field(default="latency", kw_only=True, repr=False)

    def steps_per_value(self, length: int = 1) -> int:
        """Count the time steps that each value lasts, at least 2; see `_Encoding`."""
        return duration.steps_per_value(self.steps, length, *functions.LATENCY_STEPS)

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        return functions.latency(values, self.steps)


@options
class Delta(_Encoding):
    """A spike where a series has moved by a threshold: two inputs per value, for up and for down.

    The function `delta` gives the two signs as two channels; neurons of one channel need inputs.
    """

    delta_threshold: Annotated[float, Field(gt=0)] = 0.1
    """Change of a value that makes a spike."""
    kind: Literal["delta"] = field(default="delta", kw_only=True, repr=False)

    bounded = False
    takes_values = False

    def features(self, features: int) -> int:
        """Count the inputs of the network: two per value, up and down."""
        return 2 * features

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        signs = functions.delta(values, self.steps, threshold=self.delta_threshold)
        return signs.flatten(2).unsqueeze(-1)  # (T, B, 2 P, 1)


@options
class Current(_Encoding):
    """The value itself at every step, as an analogue input."""

    kind: Literal["current"] = field(default="current", kw_only=True, repr=False)

    bounded = False

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        return functions.current(values, self.steps)


@options
class PopulationCode(_Encoding):
    """Several analogue inputs per value, each with a Gaussian receptive field of its own."""

    fields: Annotated[int, Field(ge=3, le=10**9)] = 8
    """Receptive fields per value."""
    field_width: Annotated[float, Field(gt=0)] = 2 / 3
    """Standard deviation of a receptive field, in distances between their centres."""
    kind: Literal["population"] = field(default="population", kw_only=True, repr=False)

    def features(self, features: int) -> int:
        """Count the inputs of the network: one per receptive field."""
        return features * self.fields

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        return functions.population(values, self.steps, fields=self.fields, width=self.field_width)


@options
class Phase(_Encoding):
    """The binary digits of a value, one per step, as analogue inputs weighted by their place."""

    bits: Annotated[int, Field(ge=1, le=functions.MAXIMUM_BITS)] = 8
    """Binary digits of a value."""
    kind: Literal["phase"] = field(default="phase", kw_only=True, repr=False)

    def steps_per_value(self, length: int = 1) -> int:
        """Count the time steps that each value lasts, at least one per bit; see `_Encoding`."""
        return duration.steps_per_value(self.steps, length, self.bits, functions.PHASE_STEPS)

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        return functions.phase(values, self.steps, bits=self.bits)


@options
class Spikes(_Encoding):
    """Samples that are spike trains already, of as many steps."""

    kind: Literal["spikes"] = field(default="spikes", kw_only=True, repr=False)

    takes_values = False

    def _encode(self, values: Tensor, generator: torch.Generator, shared: bool) -> Tensor:
        channels = ("N",) if values.ndim == 4 else ()
        check_shape("values (encoding 'spikes')", values, ("B", self.steps, "P", *channels))
        spikes = values.movedim(1, 0)
        return spikes if channels else spikes.unsqueeze(-1)
