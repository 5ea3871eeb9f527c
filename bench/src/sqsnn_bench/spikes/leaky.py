"""The leaky neuron that fires at random as a generator of spike trains, by maximum likelihood.

    u_t = beta u_{t-1} + bias + w . stimulus_t - threshold s_{t-1},   p_t = sigmoid(u_t - threshold)

It is `sqsnn.StochasticLIF` of tau = 1: another tau only scales membrane, bias, weights and
threshold. Its membrane is a real number of memory.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from scipy.optimize import minimize
from torch import Tensor

from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn_bench.spikes.options import WARM_UP
from sqsnn_bench.spikes.scoring import Data

STARTS = 8


@dataclass(frozen=True, eq=False)
class FittedLIF:
    """A leaky neuron that fires at random.

    Attributes:
        values: beta, threshold, bias and the weights of the stimulus, (3 + K,).
    """

    values: Float64[np.ndarray, " P"]
    memory: str = "a real number"

    @property
    def parameters(self) -> int:
        """Free parameters."""
        return len(self.values)

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats."""
        with torch.no_grad():
            return _Likelihood(data, 0).of(torch.from_numpy(self.values)).numpy()


def fit_lif(
    data: Data, generator: np.random.Generator, starts: int = STARTS, warm_up: int = WARM_UP
) -> FittedLIF:
    """Fit by L-BFGS from several starts, whose membranes reach the threshold after one interval.

    Args:
        data: What it is fitted to.
        generator: Draws the starts.
        starts: How many.
        warm_up: Bins at the beginning of each train that charge the membrane, but do not count.
    """
    likelihood = _Likelihood(data, warm_up)

    def loss(values: Float64[np.ndarray, " P"]) -> tuple[float, Float64[np.ndarray, " P"]]:
        at = torch.from_numpy(values).requires_grad_()
        total = -likelihood.of(at).sum() / data.trains.bins
        (gradient,) = torch.autograd.grad(total, at)
        return total.item(), gradient.numpy()

    bounds = [(0.0, 1.0), *[(None, None)] * (2 + data.features)]
    found = [
        minimize(loss, _start(data, generator), jac=True, method="L-BFGS-B", bounds=bounds)
        for _ in range(starts)
    ]
    return FittedLIF(min(found, key=lambda result: result.fun).x)


def _start(data: Data, generator: np.random.Generator) -> Float64[np.ndarray, " P"]:
    beta, threshold = generator.uniform(0.5, 1.0), np.exp(generator.uniform(0.0, 3.0))
    interval = 1 / data.trains.rate[0]
    bias = threshold * (1 - beta) / (1 - beta**interval)
    return np.array([beta, threshold, bias, *np.zeros(data.features)])


class _Likelihood:
    """The log-likelihood of trains as a function of the parameters."""

    def __init__(self, data: Data, warm_up: int) -> None:
        spikes, present = data.trains.padded()
        present[:warm_up] = False
        self.spikes = torch.from_numpy(spikes).double().unsqueeze(2)  # (T, n, 1, 1)
        self.counts = torch.from_numpy(present)  # (T, n)
        self.stimulus = torch.zeros(*present.shape, data.features, dtype=torch.float64)
        for number, shown in enumerate(data.stimulus):
            self.stimulus[: len(shown), number] = torch.from_numpy(shown)
        nothing = torch.Generator()  # first values are not random
        self.neuron = StochasticLIF(1, tau=1.0, generator=nothing, dtype=torch.float64)

    def of(self, values: Tensor) -> Tensor:
        """Sum over the bins of each train, (n,)."""
        currents = (self.stimulus @ values[3:])[:, :, None, None]  # (T, n, 1, 1)
        names = ("beta", "threshold", "bias")
        given = {name: values[place].view(1, 1) for place, name in enumerate(names)}
        record, _ = torch.func.functional_call(
            self.neuron, given, (currents,), {"observed": self.spikes}
        )
        return (record.log_likelihood.squeeze(2) * self.counts).sum(0)
