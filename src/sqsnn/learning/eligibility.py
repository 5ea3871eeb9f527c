"""How the potential of a leaky drive depends on a neuron's parameters, carried forward in time.

    feedback  e_t = f_t [ beta e_{t-1} + x_t - theta sigma'_{t-1} dp_{t-1}/dw ]
    score     e_t = f_t [ beta e_{t-1} + x_t ]              own spikes are data

for a parameter w whose direct effect on the membrane is x_t: x_t itself for a synapse, 1 for c,
u_{t-1} for beta and -s_{t-1} for theta. f_t is the slope of the floor, sigma' that of the
surrogate, and dp_{t-1}/dw the total derivative of the firing probability, which the traces of the
memory know. With a reset of K steps e_t belongs to v_t; the reset then acts on u_t alone.
"""

from collections import deque
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons.drive import Leaky, Learned, Membrane
from sqsnn.neurons.sqs import SQSNeurons


class Gradient(NamedTuple):
    """Derivatives by the parameters of a population, summed over the batch or as `(H, B, ...)`."""

    own: Tensor  # by angles, trainable gains, beta, theta and c, (H, own)
    synaptic: Tensor  # by its incoming weights, channel by channel, (H, N * P)


class Integrated(NamedTuple):
    """One step of a leaky drive."""

    before: Membrane
    after: Membrane
    slope: Tensor  # f, of the floor, (B, H, N)


class Eligibility:
    """e of every channel and parameter of a population: `(H, B, N, own)` and `(H, B, N, N * P)`.

    Args:
        neurons: The population.
        drive: Its drive.
        presynaptic: Presynaptic neurons P.
        batch: Samples B.
        through_reset: Whether own spikes pass a gradient; else they are data.
    """

    def __init__(
        self, neurons: SQSNeurons, drive: Leaky, presynaptic: int, batch: int, through_reset: bool
    ) -> None:
        self.drive, self.channels = drive, neurons.channels
        self.columns = [p[0].numel() for p in neurons.learned_drive]  # of beta, theta and c
        fixed = neurons.angles.shape[1] + neurons.gains.shape[1]
        shape = neurons.size, batch, neurons.channels
        like = neurons.angles.detach()
        self.carried = Gradient(  # of u, or of v with a reset of K steps
            like.new_zeros(*shape, fixed + sum(self.columns)),
            like.new_zeros(*shape, neurons.channels * presynaptic),
        )
        self.now = self.carried  # of u
        # sigma' dp/dw of the last K steps, the newest first
        self.past = deque[Gradient](maxlen=drive.remembered_spikes)
        self.through_reset = through_reset and drive.remembered_spikes > 0

    def advance(self, step: Integrated, learned: Learned, sources: Float[Tensor, "B P N"]) -> None:
        """Carry e to a step: integrate the direct effects, and what own spikes pass on."""
        beta = learned.beta.detach()[:, None, :, None]
        carried = Gradient(*(beta * values for values in self.carried))
        by_synapse = carried.synaptic.unflatten(-1, (self.channels, -1))
        _own(by_synapse).add_(sources)
        *_, by_beta, by_reset, by_bias = carried.own.split(
            [carried.own.shape[-1] - sum(self.columns), *self.columns], dim=-1
        )
        _own(by_beta[..., None]).add_(_by_neuron(step.before.membrane)[..., None, :])
        _own(by_bias[..., None]).add_(1.0)
        spikes = _by_neuron(step.before.spikes)  # (H, B, N, K)
        resets = learned.reset.detach().view(len(beta), 1, self.channels, -1)  # (H, 1, N, K)
        whole = self.drive.reset_steps is None
        if whole:
            self._reset(carried, by_reset, spikes, resets)
        floor = _by_neuron(step.slope)[..., None]
        self.carried = Gradient(*(values.mul_(floor) for values in carried))
        self.now = self.carried
        if not whole and spikes.shape[-1]:
            self.now = Gradient(*(values.clone() for values in self.carried))
            by_reset = self.now.own[..., -sum(self.columns[1:]) :][..., : self.columns[1]]
            self._reset(self.now, by_reset, spikes, resets)

    def remember(self, by_parameter: Gradient) -> None:
        """Keep sigma' dp/dw of a step, `(H, B, N, ...)`, for the steps that its spikes reset."""
        self.past.appendleft(by_parameter)

    def _reset(self, of: Gradient, by_reset: Tensor, spikes: Tensor, resets: Tensor) -> None:
        """Add the effect of theta, and with `through_reset` that of earlier probabilities."""
        _own(by_reset.unflatten(-1, (self.channels, -1))).sub_(spikes.movedim(2, -1))
        for earlier, theta in zip(self.past, resets.unbind(-1), strict=False):
            for values, passed in zip(of, earlier, strict=True):
                values.addcmul_(theta[..., None], passed, value=-1)


def _own(values: Tensor) -> Tensor:
    """A view on what belongs to the channel itself: `(H, B, N, N, K)` -> `(H, B, K, N)`."""
    return values.diagonal(dim1=2, dim2=3)


def _by_neuron(values: Float[Tensor, "B H *rest"]) -> Float[Tensor, "H B *rest"]:
    return values.detach().transpose(0, 1)
