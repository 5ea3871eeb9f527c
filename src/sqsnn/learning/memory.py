"""What a rule remembers between training steps: feedback weights and running baselines."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from sqsnn.processes import batch_sum, processes_of
from sqsnn.readout import TraceReadout
from sqsnn.synapses import DenseSynapses

if TYPE_CHECKING:
    from sqsnn.learning.signals import Feedback

BASELINE_RATE = 0.1  # share of the newest batch in the running baseline
SPONTANEOUS = 2**14  # spontaneous spikes of each neuron per training step, one in two


class Memory:
    """What a rule remembers between steps: random feedback weights and running baselines."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def readout_weight(
        self, readout: TraceReadout, feedback: "Feedback", generator: torch.Generator
    ) -> Tensor | None:
        """Give the weight that carries a readout's error to the neurons; None for its own."""
        if feedback.feedback != "random":
            return None
        like = readout.weight.detach()
        neurons, channels = like.shape[1:]
        return self.fixed(
            "feedback/readout", tuple(like.shape), neurons * channels, generator, like
        )

    def fixed(
        self,
        name: str,
        shape: tuple[int, ...],
        sources: int,
        generator: torch.Generator,
        like: Tensor,
    ) -> Tensor:
        """Draw a weight at the first call, U(+-1/sqrt(sources)), and keep it."""
        if name not in self.tensors:
            drawn = torch.rand(
                shape, generator=generator, device=generator.device, dtype=torch.float32
            )
            self.tensors[name] = ((2 * drawn - 1) * sources**-0.5).to(like)
        elif self.tensors[name].shape != shape:
            raise ValueError(
                f"this rule's feedback weights have shape {tuple(self.tensors[name].shape)}, "
                f"but this network needs {shape}; use a fresh() rule for another network"
            )
        return self.tensors[name]

    def update_baseline(
        self,
        losses: Float[Tensor, "T B"],
        labels: Int64[Tensor, "B"],
        name: str,
        generator: torch.Generator,
    ) -> Float[Tensor, "T B"]:
        """Give the running mean loss of each sample's class and step, then add this batch to it.

        The batch is the whole one of all processes that draw from generators like this.
        """
        classes = max(processes_of(generator).gather([int(labels.max()) + 1]))
        mean = self.tensors.get(name, losses.new_zeros(len(losses), 0))
        if len(mean) != len(losses):
            raise ValueError(
                f"this rule's running baseline has {len(mean)} steps, but these samples have "
                f"{len(losses)}; use a fresh() rule for samples of another length"
            )
        if mean.shape[1] < classes:
            missing = losses.new_full((len(losses), classes - mean.shape[1]), torch.nan)
            mean = torch.cat([mean, missing], dim=1)
        member = functional.one_hot(labels, mean.shape[1]).to(losses)  # (B, classes)
        sizes = batch_sum(generator, member.sum(0))
        newest = batch_sum(generator, losses @ member) / sizes.clamp_min(1.0)
        known = torch.where(mean.isnan(), 0.0, mean)  # a class not seen yet has no baseline
        moved = torch.where(mean.isnan(), newest, mean + BASELINE_RATE * (newest - mean))
        self.tensors[name] = torch.where(sizes > 0, moved, mean)
        return known[:, labels]


@torch.no_grad()
def mirror(synapses: DenseSynapses, generator: torch.Generator) -> Float[Tensor, "N above below"]:
    """Estimate the weights of synapses from spontaneous spikes and the currents that they cause.

    Spikes x that fire independently with probability 1/2 make E[(x_p - 1/2) z] = w_p / 4: both
    sides of a synapse know the product, and nothing copies the weight. The estimate must not lag
    behind the weights: kept as a running mean, it lets hidden rates run away. Source: weight
    mirrors, Akrout et al., arXiv:1904.05391.
    """
    weight = synapses.weight
    channels, _, below = weight.shape
    shape = (1, SPONTANEOUS, below, channels)
    drawn = torch.randint(0, 2, shape, generator=generator, device=generator.device)
    spikes = drawn.to(weight)
    currents = synapses(spikes)[0]
    currents = currents - currents.mean(0)
    return torch.einsum("bhn,bpn->nhp", currents, spikes[0] - 0.5) * 4 / SPONTANEOUS
