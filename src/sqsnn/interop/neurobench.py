"""Networks under the metrics of NeuroBench (extra `neurobench`).

NeuroBench finds what it counts among the modules of torch that it knows: linear layers, and
neurons. The adapter holds such a layer for every matrix and convolution of a network, and a module
that passes spikes on for every population, and hands them step by step what flowed there.

NeuroBench's conventions, beside those of `sqsnn.runs.costs`:

Footprint             bytes of all parameters and buffers
ConnectionSparsity    share of weights that are exactly 0, to four digits
ActivationSparsity    share of (neuron, step)s without a spike, over all populations and samples
Dense                 weights times steps, all of them, per sample
Effective_ACs         operations of a spike and a weight that are both not 0, per sample
Effective_MACs        the same in steps whose values are not all 0, 1 or -1, as behind a pooling

`runs.costs` counts a weight of 0 too, which hardware without a table of zeros adds like any other;
judges whole batches, not steps, by whether they multiply; and adds gates, measurements and
membranes, of which NeuroBench knows nothing. Where no weight is 0, its `synaptic_operations` are
Effective_ACs and Effective_MACs together.

Source: Yik et al., Nature Communications 16, 1545 (2025), arXiv:2304.04640.
"""

from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

try:
    from neurobench.blocks.layer import SUPPORTED_LAYERS
    from neurobench.models import NeuroBenchModel
except ImportError as error:
    raise ImportError(
        "sqsnn.interop.neurobench needs neurobench: pip install 'sqsnn[neurobench]'"
    ) from error

from sqsnn.network import INPUT, Pathway, SpikingNetwork
from sqsnn.network.pathway import PathwayState
from sqsnn.synapses import ChainSynapses, ConvolutionSynapses, DenseSynapses, Synapses


class SQSNNModel(NeuroBenchModel):
    """A network as NeuroBench runs it: `(batch, steps, *inputs)` in, output spikes out.

    MembraneUpdates and NeuronOperations know the neurons of snnTorch alone and count 0 here.

    Example:
        >>> import sqsnn
        >>> generator = torch.Generator().manual_seed(0)
        >>> network = sqsnn.SpikingNetwork([4, 8, 3], generator=generator)
        >>> model = SQSNNModel(network, generator=generator)
        >>> model(torch.ones(2, 10, 4)).shape
        torch.Size([2, 10, 3])

    Args:
        network: The network; its parameters are read at every call.
        generator: Draws the spikes.

    Raises:
        ValueError: If a layer of torch lies within a chain, where it could not be counted once.
    """

    def __init__(self, network: SpikingNetwork, *, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.net = _Counted(network)
        self.add_activation_module(_Fired)

    def __call__(self, batch: Float[Tensor, "B T *inputs"]) -> Float[Tensor, "B T outputs"]:
        """Run the network; give the spikes of the output population, those of its channels added.

        Args:
            batch: Spikes or currents, as the input of the network.
        """
        with torch.no_grad():
            return self.net(batch.flatten(2).movedim(1, 0).unsqueeze(-1), self.generator)

    def __net__(self) -> nn.Module:
        """Give the module whose parts NeuroBench counts."""
        return self.net


class _Fired(nn.Module):
    """Passes on the spikes of a population, one step at a time."""

    def forward(self, spikes: Float[Tensor, "B H N"]) -> Tensor:
        return spikes


class _Counted(nn.Module):
    """A network with layers, in its own weights, that receive what its synapses receive."""

    def __init__(self, network: SpikingNetwork) -> None:
        super().__init__()
        self.network = network
        self.fired = nn.ModuleDict({name: _Fired() for name in network.names})
        self.layers = nn.ModuleList(
            nn.ModuleList(_layer_of(part, n) for part in _parts(pathway) for n in _channels(part))
            for pathway in cast("list[Pathway]", network.pathways)
        )

    def forward(self, spikes: Float[Tensor, "T B P 1"], generator: torch.Generator) -> Tensor:
        record = self.network(spikes, generator=generator)
        flowing = {INPUT: spikes} | {name: record[name].spikes for name in self.network.names}
        for name, fired in self.fired.items():
            for step in flowing[name]:
                fired(step)
        for pathway, layers in zip(self.network.pathways, self.layers, strict=True):
            self._hand_over(cast(Pathway, pathway), cast(nn.ModuleList, layers), flowing)
        return flowing[self.network.names[-1]].sum(-1).movedim(0, 1)

    def _hand_over(
        self, pathway: Pathway, layers: nn.ModuleList, flowing: dict[str, Tensor]
    ) -> None:
        """Give every layer of a connection what arrived there, step by step."""
        arrived, _ = pathway.arrive(flowing[pathway.source], PathwayState())
        left = iter(layers)
        parts = _parts(pathway)
        for part in parts:
            for n in _channels(part):
                layer = next(left)
                _share_weights(layer, part, n)
                for step in _received(part, arrived, n):
                    layer(step)
            if part is not parts[-1]:
                arrived = part.carry(arrived)


def _parts(pathway: Pathway) -> list[Synapses]:
    """The synapses of a connection, those of a chain one by one."""
    synapses = pathway.synapses
    if not isinstance(synapses, ChainSynapses):
        return [synapses]
    *before, _ = parts = [cast(Synapses, part) for part in synapses.parts]
    # What follows them needs what they give, and NeuroBench counts a layer whenever it runs.
    for module in (module for part in before for module in part.modules()):
        if isinstance(module, SUPPORTED_LAYERS):
            raise ValueError(
                f"{pathway}: {module} stands before other synapses of a chain, where NeuroBench "
                "would count it twice; use Dense or Convolution"
            )
    return parts


def _channels(part: Synapses) -> range:
    """The channels whose weights NeuroBench counts; it finds modules of torch by itself."""
    return range(part.channels if isinstance(part, DenseSynapses | ConvolutionSynapses) else 0)


def _layer_of(part: Synapses, channel: int) -> nn.Module:
    """Make the layer of torch that is one channel of synapses."""
    if isinstance(part, ConvolutionSynapses):
        kind = nn.Conv1d if part.dimensions == 1 else nn.Conv2d
        layer = kind(
            *(part.source[0], part.target[0], part.kernel, part.stride, part.padding),
            bias=False,
            device="meta",
        )
    else:
        layer = nn.Linear(1, 1, bias=False, device="meta")
    _share_weights(layer, part, channel)
    return layer


def _share_weights(layer: nn.Module, part: Synapses, channel: int) -> None:
    """Let a layer have the weights of synapses without being counted among the parameters."""
    synapses = cast(DenseSynapses | ConvolutionSynapses, part)
    weight = synapses.weight.detach()[channel]
    if isinstance(synapses, DenseSynapses) and synapses.mask is not None:
        weight = weight * synapses.mask.repeat_interleave(synapses.all_channels or 1, dim=1)
    layer._parameters.pop("weight", None)
    layer.__dict__["weight"] = weight


def _received(
    part: Synapses, arrived: Float[Tensor, "T B P C"], channel: int
) -> Iterator[Float[Tensor, "B *inputs"]]:
    """What the layer of a channel receives, step by step."""
    if isinstance(part, DenseSynapses) and part.all_channels is not None:
        yield from arrived.flatten(2)
        return
    own = arrived[..., channel if arrived.shape[-1] > 1 else 0]
    yield from own.unflatten(2, part.source) if isinstance(part, ConvolutionSynapses) else own
