"""Maximum likelihood: one point process fitted to spike trains from several starts.

The likelihood has local maxima, but few parameters and an exact gradient: so quasi-Newton steps
(L-BFGS) from several random starts, on a part of the data, and the best of them on all of it.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sqsnn.errors import TrainingError
from sqsnn.spike_trains.process import Observed, PointProcess

# Of a start that is only compared with others.
PILOT_ITERATIONS = 60
FINALISTS = 2
# So far beyond any likelihood that a line search turns back from it.
_IMPOSSIBLE = 1e10


class Fit(NamedTuple):
    """What a fit found."""

    process: PointProcess
    starts: Float64[np.ndarray, " starts"]  # log-likelihood per spike of the part, each start
    iterations: int  # on all data, of the best
    converged: bool


def maximum_likelihood(
    make: Callable[[torch.Generator], PointProcess],
    data: Sequence[Observed],
    part: Sequence[Observed],
    *,
    starts: int,
    max_iterations: int,
    generator: torch.Generator,
) -> Fit:
    """Fit a point process.

    Args:
        make: Makes one with initial values from a generator.
        data: All trains.
        part: A part of them, on which the starts are compared.
        starts: How many.
        max_iterations: The most iterations on all trains.
        generator: Draws the initial values.

    Raises:
        ValueError: If there is no parameter to fit.
        TrainingError: If the trains are impossible for every start.
    """
    tried = []
    for _ in range(starts):
        process = make(generator)
        if not process.trained():
            raise ValueError("circuit has no angles: there is nothing to fit")
        loss, _, _ = _descend(process, part, PILOT_ITERATIONS)
        tried.append((loss, process))
    possible = sorted((it for it in tried if it[0] < _IMPOSSIBLE), key=lambda it: it[0])
    if not possible:
        raise TrainingError(
            f"the spike trains have probability 0 for each of {starts} starts: choose another "
            "circuit, or more starts"
        )
    best = [process for _, process in possible[:FINALISTS]]
    finals = [(*_descend(process, data, max_iterations), process) for process in best]
    _, iterations, converged, process = min(finals, key=lambda it: it[0])
    losses = np.array([loss for loss, _ in tried])
    return Fit(process, np.where(losses < _IMPOSSIBLE, -losses, -np.inf), iterations, converged)


def _descend(
    process: PointProcess, data: Sequence[Observed], iterations: int
) -> tuple[float, int, bool]:
    """Minimise the negative log-likelihood per spike; give it, and say if it converged."""
    from scipy.optimize import minimize

    parameters = list(process.trained().values())
    count = max(1, sum(int(it.spikes[it.scored].sum()) for it in data))

    def loss(values: Float64[np.ndarray, " P"]) -> tuple[float, Float64[np.ndarray, " P"]]:
        vector_to_parameters(torch.from_numpy(values.copy()), parameters)
        total = torch.stack([process.log_likelihood(it).sum() for it in data]).sum() / -count
        if not math.isfinite(total.item()):
            return _IMPOSSIBLE, np.zeros_like(values)
        gradients = torch.autograd.grad(total, parameters)
        return total.item(), torch.cat([it.flatten() for it in gradients]).numpy()

    first = parameters_to_vector(parameters).detach().numpy().copy()
    options = {"maxiter": iterations, "maxcor": 20}
    limits = process.limits()
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=limits, options=options)
    vector_to_parameters(torch.from_numpy(found.x), parameters)
    return float(found.fun), int(found.nit), bool(found.success)
