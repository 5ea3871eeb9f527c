"""The drive once more, slow and obviously right: one number per channel, one history at a time.

A neuron of tests/reference.py is told at every step which current to encode. Here that current
follows from the currents and the neuron's own spikes so far, by the equations of the drives:

    rectified    z_t
    saturating   min(z_t, 1)
    leaky        min(u_t, 1),   u_t = max(beta u_{t-1} + z_t + c - theta s_{t-1}, floor)
    K steps      min(u_t, 1),   u_t = v_t - sum_k theta_k s_{t-k},
                                v_t = max(beta v_{t-1} + z_t + c, floor)

where 0 or less places no gate. No history shares anything with another. Nothing here is shared with
`sqsnn`, and nothing here imports torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import reference
from numpy.typing import NDArray
from reference import Matrix, Neuron

Rows = Sequence[Sequence[float]]  # (T, channels)


@dataclass(frozen=True)
class Drive:
    """One neuron's drive; the lists have one entry per channel."""

    kind: str  # "rectified", "saturating" or "leaky"
    beta: Sequence[float] = ()
    bias: Sequence[float] = ()
    floor: float = -1.0
    whole_reset: Sequence[float] | None = None  # theta
    reset: Sequence[Sequence[float]] = ()  # theta_1 .. theta_K per channel


def charges(drive: Drive, currents: Rows, spikes: Rows, n: int) -> list[float]:
    """What the floor of channel n sees at every step, after the spikes before it."""
    found: list[float] = []
    for t, current in enumerate(currents):
        charge = float(current[n]) + drive.bias[n]
        if t > 0:
            charge += drive.beta[n] * max(found[t - 1], drive.floor)
            if drive.whole_reset is not None:
                charge -= drive.whole_reset[n] * spikes[t - 1][n]
        found.append(charge)
    return found


def membrane(drive: Drive, currents: Rows, spikes: Rows) -> list[float]:
    """u, or v with a reset of K steps, of every channel at the last step."""
    return [
        max(charges(drive, currents, spikes, n)[-1], drive.floor) for n in range(len(currents[0]))
    ]


def potential(drive: Drive, currents: Rows, spikes: Rows) -> list[float]:
    """What is encoded on every channel at the last step: z or u."""
    if drive.kind != "leaky":
        return [float(z) for z in currents[-1]]
    t, values = len(currents) - 1, membrane(drive, currents, spikes)
    if drive.whole_reset is None:
        for n, thetas in enumerate(drive.reset):
            for k, theta in enumerate(thetas, start=1):
                if t - k >= 0:
                    values[n] -= theta * spikes[t - k][n]
    return values


def encoded(drive: Drive, currents: Rows, spikes: Rows) -> list[float]:
    """The current that the neuron of tests/reference.py encodes at the last step."""
    values = potential(drive, currents, spikes)
    return values if drive.kind == "rectified" else [min(u, 1.0) for u in values]


def joint_law(neuron: Neuron, drive: Drive, currents: Rows) -> NDArray[np.float64]:
    """P(s_1..s_T) of every sequence, (2^(N T),), step 1 most significant."""
    histories = [([], reference.start(neuron))]  # own spikes, and the memory that they leave
    for t in range(len(currents)):
        longer = []
        for spikes, memory in histories:
            now = encoded(drive, currents[: t + 1], spikes)
            for s, after in enumerate(reference.step(neuron, memory, now)):
                longer.append(([*spikes, reference.outcome_bits(s, neuron.channels)], after))
        histories = longer
    return np.array([np.trace(memory).real for _, memory in histories])


def follow(
    neuron: Neuron, drive: Drive, currents: Rows, spikes: Rows
) -> Iterator[tuple[NDArray[np.float64], Matrix]]:
    """Step by step: the law p(. | past) (2^N,), and the memory after the given spikes."""
    memory = reference.start(neuron)
    for t in range(len(currents)):
        now = encoded(drive, currents[: t + 1], spikes[:t])
        outcomes = reference.step(neuron, memory, now)
        law = np.einsum("sii->s", outcomes).real
        s = reference.outcome_index(spikes[t])
        memory = outcomes[s] / law[s]
        yield law, memory


def distance_to_kinks(drive: Drive, currents: Rows, spikes: Rows) -> float:
    """How far every step of a record is from the drive's kinks: u = 0, u = 1 and the floor."""
    nearest = np.inf
    for t in range(len(currents)):
        z, s = currents[: t + 1], spikes[:t]
        for n, u in enumerate(potential(drive, z, s)):
            nearest = min(nearest, abs(u))
            if drive.kind != "rectified":
                nearest = min(nearest, abs(u - 1))
            if drive.kind == "leaky":
                nearest = min(nearest, abs(charges(drive, z, s, n)[-1] - drive.floor))
    return float(nearest)
