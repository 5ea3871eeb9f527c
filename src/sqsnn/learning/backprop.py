"""Backpropagation through time with surrogates for the sampled spikes.

The forward pass samples spikes; the backward pass takes d(spike)/d(probability) from the surrogate
of each population (`neurons/surrogates.py`), which also decides the slope of the encoding and
whether own spikes pass a gradient to the memory. What is chosen here is the loss.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqsnn import readout
from sqsnn.checks import check_positive_int
from sqsnn.learning.rule import Figures
from sqsnn.network import SpikingNetwork


class BackpropRule:
    """Gradient of the cross-entropy through the whole network and all time steps.

    Args:
        loss_on: "probability" takes the output probabilities summed over steps and channels as
            logits, "count" the spikes.
        rate_penalty: Weight of the squared excess of hidden firing rates outside `rate_bounds`.
        rate_bounds: Mean spikes a step that cost nothing.
        report_steps: How many of the last steps count for loss and prediction; None for all. The
            penalty is on the rates of all steps.

    Raises:
        TypeError: `report_steps` is neither an integer nor None.
        ValueError: Unknown `loss_on`, a negative penalty, bounds that are no rates, or fewer than
            one step.
    """

    def __init__(
        self,
        *,
        loss_on: Literal["probability", "count"] = "probability",
        rate_penalty: float = 0.0,
        rate_bounds: tuple[float, float] = (0.05, 0.5),
        report_steps: int | None = None,
    ) -> None:
        if loss_on not in ("probability", "count"):
            raise ValueError(f"loss_on is {loss_on!r}; it may be 'probability' or 'count'")
        if not rate_penalty >= 0:
            raise ValueError(f"rate_penalty is {rate_penalty}; it must be at least 0")
        if not 0 <= rate_bounds[0] <= rate_bounds[1] <= 1:
            raise ValueError(f"rate_bounds is {rate_bounds}; it must be 0 <= lower <= upper <= 1")
        if report_steps is not None:
            check_positive_int("report_steps", report_steps)
        self.loss_on: Literal["probability", "count"] = loss_on
        self.rate_penalty = rate_penalty
        self.rate_bounds = rate_bounds
        self.report_steps = report_steps

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        labels: Int64[Tensor, "B"],
        generator: torch.Generator,
    ) -> Figures:
        """One forward and one backward pass; see `Rule.step`."""
        run = network(spikes, generator=generator)
        output = readout.last(run.layers[-1], self.report_steps)
        loss = readout.cross_entropy(output, labels, on=self.loss_on)
        total = loss
        hidden = run.layers[:-1]
        if self.rate_penalty > 0 and hidden:
            lower, upper = self.rate_bounds
            total = loss + self.rate_penalty * readout.spike_rate_penalty(
                hidden, lower=lower, upper=upper
            )
        total.backward()
        correct = (readout.predict(output) == labels).sum()
        return {"loss": loss.item(), "correct": float(correct)}

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: every step stands for itself."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave: nothing."""
