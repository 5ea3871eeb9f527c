"""The readout of real values: a linear map of exponential traces of the last layer's spikes.

    r_t = decay r_{t-1} + (1 - decay) s_t,   r_0 = 0
    y_t = mean + scale (W r_t + b)

`mean` and `scale` are those of the training targets, so that W and b start at the right size and
the loss does not depend on the units of the targets. For a Gaussian loss W has twice as many rows:
the second half gives the variance.
"""

from dataclasses import field
from typing import Annotated, Literal, NamedTuple, cast

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sqsnn.checks import check_positive_int, check_shape
from sqsnn.options import options
from sqsnn.placing import full_precision, place

# The smallest variance that the Gaussian readout gives, in units of `scale` squared.
SMALLEST_VARIANCE = 1e-4


@options
class Classes:
    """One output neuron per class; the class with the most spikes wins."""

    kind: Literal["classes"] = field(default="classes", kw_only=True, repr=False)


@options
class Traces:
    """Real values, read linearly from exponential traces of the last hidden layer's spikes."""

    trace_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of a trace per time step."""
    value_loss: Literal["squared", "gaussian"] = "squared"
    """The mean squared error, or the negative log-likelihood of a Gaussian whose variance is read,
    too."""
    every_step: bool = False
    """Predict a value at every step that counts; else one per sample, the mean over these steps."""
    kind: Literal["traces"] = field(default="traces", kw_only=True, repr=False)


class Values(NamedTuple):
    """Real values at each step, in the units of the targets."""

    mean: Tensor  # (T, B, K)
    variance: Tensor | None  # (T, B, K); None without a Gaussian loss


class TraceReadout(nn.Module):
    """The linear readout of the traces of N channels of H neurons.

    Args:
        neurons: Neurons H of the last layer.
        outputs: Values K per step.
        channels: Channels N of each neuron.
        options: Decay of the traces and the loss.
        generator: Draws the initial weights, U(+-1/sqrt(H N)).
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
    """

    target_mean: Tensor
    target_scale: Tensor

    def __init__(
        self,
        neurons: int,
        outputs: int,
        *,
        channels: int = 1,
        options: Traces | None = None,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        check_positive_int("neurons", neurons)
        check_positive_int("outputs", outputs)
        self.options = Traces() if options is None else options
        self.outputs = outputs
        rows = 2 * outputs if self.is_gaussian else outputs
        width = (neurons * channels) ** -0.5
        shape = rows, neurons, channels
        drawn = torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
        self.weight = nn.Parameter(((2 * drawn - 1) * width).to(place(device)))
        self.bias = nn.Parameter(torch.zeros(rows, dtype=dtype, device=device))
        self.register_buffer("target_mean", torch.zeros(outputs, dtype=dtype, device=device))
        self.register_buffer("target_scale", torch.ones(outputs, dtype=dtype, device=device))

    @property
    def is_gaussian(self) -> bool:
        """Whether it reads a variance beside each value."""
        return self.options.value_loss == "gaussian"

    @torch.no_grad()
    def fit_scale(self, targets: Float[Tensor, "*samples K"]) -> None:
        """Take over mean and standard deviation of the training targets; a constant has scale 1."""
        check_shape("targets", targets, (*targets.shape[:-1], self.outputs))
        flat = targets.reshape(-1, self.outputs).double()
        scale, info = flat.std(0, correction=0), torch.finfo(self.target_scale.dtype)
        for name, found in (("size", flat.abs().amax(0)), ("standard deviation", scale)):
            wrong = ~((found == 0) | ((found >= info.smallest_normal) & (found <= info.max)))
            if bool(wrong.any()):
                raise ValueError(
                    f"targets have the {name} {found[wrong][0].item():g}, which {info.dtype} does "
                    "not hold; give them in other units"
                )
        self.target_mean.copy_(flat.mean(0))
        self.target_scale.copy_(torch.where(scale > 0, scale, 1.0))

    def forward(
        self, spikes: Float[Tensor, "T B H N"], state: Float[Tensor, "B rows"] | None = None
    ) -> tuple[Values, Tensor]:
        """Read values at each step.

        Args:
            spikes: Spikes of the last layer.
            state: The state that an earlier call returned, to go on from; None starts at 0.

        Returns:
            The values, and the state after the last step.
        """
        rows, state = self.rows(spikes, state)
        return self.values(rows), state

    def rows(
        self, spikes: Float[Tensor, "T B H N"], state: Float[Tensor, "B rows"] | None = None
    ) -> tuple[Float[Tensor, "T B rows"], Float[Tensor, "B rows"]]:
        """Compute W r_t + b: the readout in units of the targets' scale, and the filter's state."""
        check_shape("spikes", spikes, ("T", "B", *self.weight.shape[1:]))
        # The filter is linear, so it may follow W, whose rows are few.
        with full_precision(self.weight):  # a trace is a membrane
            read = torch.einsum("tbhn,khn->tbk", spikes, self.weight)
        driven = (1 - self.options.trace_decay) * read
        trace = driven.new_zeros(driven.shape[1:]) if state is None else state
        found: list[Tensor] = []
        for step in driven:
            trace = self.options.trace_decay * trace + step
            found.append(trace)
        return torch.stack(found) + self.bias, trace

    def values(self, rows: Float[Tensor, "T B rows"]) -> Values:
        """Turn rows into values, and variances, in the units of the targets."""
        mean = self.target_mean + self.target_scale * rows[..., : self.outputs]
        if not self.is_gaussian:
            return Values(mean, None)
        return Values(mean, self.target_scale.square() * self.variance(rows))

    def variance(self, rows: Float[Tensor, "T B rows"]) -> Float[Tensor, "T B K"]:
        """Read the variance, in units of the targets' scale squared."""
        return nn.functional.softplus(rows[..., self.outputs :]) + SMALLEST_VARIANCE

    @torch.no_grad()
    def pull_back(
        self, error: Float[Tensor, "T B rows"], weight: Float[Tensor, "rows H N"] | None = None
    ) -> Float[Tensor, "T B H N"]:
        """Carry the error of each row back to the spikes, through W or a feedback weight.

        A spike counts in all later traces: L_t = (1 - decay) sum_{t' >= t} decay^(t' - t) F e_t'.
        """
        later = torch.zeros_like(error[0])
        found: list[Tensor] = []
        for step in reversed(error):
            later = self.options.trace_decay * later + step
            found.append(later)
        weight = self.weight if weight is None else weight
        kept = (1 - self.options.trace_decay) * torch.stack(found[::-1])
        return torch.einsum("tbk,khn->tbhn", kept, weight)


def readout_of(network: nn.Module) -> TraceReadout | None:
    """Give the readout of real values of a network; None where it names classes."""
    return cast("TraceReadout | None", getattr(network, "readout", None))
