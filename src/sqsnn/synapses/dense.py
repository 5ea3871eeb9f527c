"""Dense synapses: every presynaptic neuron feeds every neuron, unless a mask cuts them apart.

    z[n, h] = sum_p w[n, h, p] x[p, n] + b[n, h]

Channel n of every presynaptic neuron feeds channel n; presynaptic spikes of one channel feed all.
With the wiring "all", every presynaptic channel feeds every channel.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import Shape, check_choice, check_shape, checked_shape
from sqsnn.native import library
from sqsnn.placing import place
from sqsnn.synapses.base import Synapses, draw_uniform, lowered, scale_weight
from sqsnn.synapses.products import dense_product, event_product

Method = Literal["dense", "events"]
DENSE: Method = "dense"  # the default
Wiring = Literal["matching", "all"]


def check_method(
    method: Method, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> None:
    """Refuse a method of synapses that does not exist, or that cannot run on such weights."""
    check_choice("synapses", method, Method)
    if method == DENSE:
        return
    obstacle = library.obstacle()
    if torch.device(device).type != "cpu":
        obstacle = f"the weights are on {device}, and the compiled kernel runs on CPUs"
    elif dtype not in (torch.float32, torch.float64):
        obstacle = f"the weights are {dtype}, and the compiled kernel takes float32 and float64"
    if obstacle is not None:
        raise ValueError(f"synapses is 'events', but {obstacle}; use 'dense'")


class DenseSynapses(Synapses):
    """A matrix of weights per channel.

    Args:
        presynaptic: Presynaptic neurons P, or the shape of their population.
        neurons: Postsynaptic neurons H, or the shape of their population.
        channels: Channels N.
        bias: Whether every neuron and channel adds a bias, which starts at 0.
        wiring: "matching" joins channel n to channel n, "all" every channel to every channel.
        source_channels: Channels C of the presynaptic neurons; the wiring "all" needs them.
        sparsity: Share of its presynaptic neurons that each neuron does not hear, drawn once.
        mask: Which presynaptic neuron feeds which neuron, `(H, P)`, in place of a sparsity.
        method: "dense" multiplies matrices; "events" adds, through the compiled kernel, the weights
            of those inputs alone that are not 0, in their order, whatever the batch. It is faster
            where few inputs fire. A weight that is not finite acts where its input fires alone.
        generator: Draws the initial weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), fan_in being
            P, P * C or what a mask leaves of it; then the mask.
        dtype: torch.float32 or torch.float64.
        device: Where the weights lie.

    Attributes:
        weight: The weights, `(N, H, P)`; with the wiring "all" `(N, H, P * C)`, neuron by neuron.
        bias: The biases, `(N, H)`, or None.
        mask: Which presynaptic neuron feeds which neuron, `(H, P)`, or None: every one.
    """

    mask: Tensor | None

    def __init__(
        self,
        presynaptic: int | Shape,
        neurons: int | Shape,
        *,
        channels: int = 1,
        bias: bool = False,
        wiring: Wiring = "matching",
        source_channels: int = 1,
        sparsity: float = 0.0,
        mask: Tensor | None = None,
        method: Method = DENSE,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        source = checked_shape("presynaptic", presynaptic)
        target = checked_shape("neurons", neurons)
        super().__init__(source, target, channels)
        check_choice("wiring", wiring, Wiring)
        self.all_channels = source_channels if wiring == "all" else None
        pairs = self.neurons, self.presynaptic
        columns = pairs[1] * (self.all_channels or 1)
        uniform = draw_uniform((channels, pairs[0], columns), generator)
        if mask is None and sparsity:
            mask = _draw_mask(*pairs, sparsity, generator)
        elif mask is not None:
            _check_mask(mask, pairs, sparsity)
            mask = mask.clone()
        self.register_buffer("mask", None if mask is None else mask.to(device=place(device)))
        self.weight = scale_weight(uniform, self.fan_in, dtype, device)
        with torch.no_grad():
            self.weight.mul_(self.spread_mask)
        self.bias = None
        if bias:
            start = torch.zeros(channels, pairs[0], dtype=dtype, device=device)
            self.bias = nn.Parameter(start)
        self.method: Method = method
        self._check_method()

    @property
    def parameter_like(self) -> Tensor:
        """The weights."""
        return self.weight

    @property
    def accepted_channels(self) -> tuple[int, ...]:
        """The channels that spikes may have: with the wiring "all", those of the source."""
        return (1, self.channels) if self.all_channels is None else (self.all_channels,)

    @property
    def joins_all_channels(self) -> bool:
        """Whether every presynaptic channel feeds every channel: the wiring "all"."""
        return self.all_channels is not None

    @property
    def spread_mask(self) -> Tensor | float:
        """The mask as a factor of the weights, `(H, P)` or `(H, P * C)`; 1 without a mask."""
        if self.mask is None:
            return 1.0
        return self.mask.repeat_interleave(self.all_channels or 1, dim=1)

    @property
    def acting(self) -> Tensor:
        """The weights as they act: those that a mask cuts are 0."""
        return self.weight if self.mask is None else self.weight * self.spread_mask

    @property
    def fan_in(self) -> int:
        """The weights that a neuron adds, at most; 1 if a mask leaves none."""
        heard = self.presynaptic if self.mask is None else int(self.mask.sum(1).max())
        return max(heard, 1) * (self.all_channels or 1)

    def carry(self, spikes: Tensor) -> Float[Tensor, "T B H N"]:
        """Compute the currents of T steps, one product per step and channel."""
        if self.all_channels is not None:
            spikes = spikes.flatten(2).unsqueeze(-1)  # (T, B, P * C, 1)
        if self.method == DENSE:
            currents = dense_product(*lowered(spikes, self.acting))
        else:
            self._check_method()
            currents = event_product(spikes.to(self.weight), self.acting)
        return currents if self.bias is None else currents + self.bias.T

    def pull_back(
        self,
        gradient: Float[Tensor, "T B H N"],
        channels: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "T B P C"]:
        """Apply the transposed map; see `Synapses.pull_back`."""
        weight = (weights or {}).get("weight", self.weight.detach()) * self.spread_mask
        by_spikes = torch.einsum("tbhn,nhp->tbpn", gradient, weight)
        if self.all_channels is not None:
            return by_spikes.sum(-1).unflatten(2, (-1, self.all_channels))
        return by_spikes if channels == self.channels else by_spikes.sum(-1, keepdim=True)

    def gather(self, values: Float[Tensor, " H"]) -> Float[Tensor, " P"]:
        """Sum values of neurons over those that each presynaptic neuron feeds, in float64."""
        if self.mask is None:
            return values.sum().expand(self.presynaptic)
        return values @ self.mask.to(values)

    def parameter_count(self) -> int:
        """Count the parameters that act: weights that the mask leaves, and biases."""
        pairs = self.weight[0].numel()
        if self.mask is not None:
            pairs = int(self.mask.sum()) * (self.all_channels or 1)
        biases = 0 if self.bias is None else self.bias.numel()
        return self.channels * pairs + biases

    def _check_method(self) -> None:
        """Refuse a method that cannot run on the weights, which may have moved."""
        check_method(self.method, self.weight.device, self.weight.dtype)


def _draw_mask(
    neurons: int, presynaptic: int, sparsity: float, generator: torch.Generator
) -> Tensor:
    """Draw which presynaptic neurons each neuron hears: as many for all, at least one."""
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must lie in [0, 1), but is {sparsity}")
    heard = max(1, presynaptic - round(sparsity * presynaptic))
    chosen = draw_uniform((neurons, presynaptic), generator).argsort(dim=1)[:, :heard]
    mask = torch.zeros(neurons, presynaptic, dtype=torch.bool, device=generator.device)
    return mask.scatter_(1, chosen, True)


def _check_mask(mask: Tensor, pairs: tuple[int, int], sparsity: float) -> None:
    check_shape("mask", mask, pairs)
    if mask.dtype != torch.bool:
        raise ValueError(f"mask has dtype {mask.dtype}; it must be torch.bool")
    if sparsity:
        raise ValueError(f"mask is given, and sparsity is {sparsity}: give one of them")
