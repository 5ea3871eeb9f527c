"""LIF neurons as plain NIR: the same spikes in every package that steps NIR as snnTorch does.

NIR's own LIF sets the membrane to a value when it fires; sqsnn's subtracts the threshold, one step
later. In steps, that is another law, so an LIF called "hidden" here becomes three plain nodes:

    currents -> hidden.scale -> hidden.membrane -> spikes
                hidden.scale <- hidden.reset <- hidden.membrane

    scale     divides by the threshold and adds the bias: from here on, all thresholds are 1
    membrane  a CubaLIF whose current is our membrane, I = beta I + input, and whose own membrane
              follows that current within one step (tau_mem = dt), so that its reset acts on nothing
    reset     takes the threshold from the currents for every spike, one step later, as in every
              cycle of NIR

Equations of NIR are stepped by Euler's method: I += (w_in S - I) dt / tau_syn.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import nir
import numpy as np
import torch

from sqsnn.interop.nir.nodes import assign
from sqsnn.interop.nir.paths import Edges, Nodes
from sqsnn.neurons.lif import LIF

Shape = tuple[int, ...]

# A decay of 1 needs a time constant without end; at this leak, float64 cannot tell 1 - leak from 1.
_LEAST_LEAK = 2.0**-60


class Parts(NamedTuple):
    """The three nodes of an LIF."""

    scale: nir.NIRNode
    membrane: nir.CubaLIF
    reset: nir.NIRNode


def entry(name: str) -> str:
    """The node of an LIF that receives currents."""
    return f"{name}.scale"


def leaving(name: str) -> str:
    """The node of an LIF that fires."""
    return f"{name}.membrane"


def write_lif(name: str, neurons: LIF, dt: float) -> tuple[Nodes, Edges]:
    """Write a population as the nodes above, with the edges among them.

    Raises:
        ValueError: If NIR has no such neuron; says what is in the way.
    """
    if neurons.floor is not None:
        raise ValueError(f"population {name!r} has a floor, which NIR cannot say; give floor=None")
    beta, threshold, bias = (
        values.detach().double().cpu().numpy()[:, 0].reshape(neurons.shape)
        for values in (neurons.beta.clamp(0, 1), neurons.threshold, neurons.bias)
    )
    if not (threshold > 0).all():
        raise ValueError(
            f"population {name!r} has a threshold of {threshold.min():.3g}; in NIR, membranes are "
            "in units of the threshold, which must be above 0"
        )
    ones = np.ones(neurons.shape)
    tau = dt / np.maximum(1 - beta, _LEAST_LEAK)
    membrane = nir.CubaLIF(
        tau_syn=tau,
        tau_mem=dt * ones,
        r=ones,
        v_leak=0 * ones,
        v_threshold=ones,
        v_reset=0 * ones,
        w_in=tau / dt,
        # What changes no spike, but how the neurons learn.
        metadata={"share": neurons.share, "through_reset": not neurons.own_spikes_are_data},
    )
    parts = Parts(
        _diagonal(name, 1 / threshold, bias / threshold),
        membrane,
        _diagonal(name, -threshold, None),
    )
    nodes = {f"{name}.{part}": node for part, node in parts._asdict().items()}
    ring = [f"{name}.{part}" for part in (*Parts._fields, Parts._fields[0])]
    return nodes, list(pairwise(ring))


def collapse(nodes: Nodes, edges: Edges) -> tuple[dict[str, Any], Edges]:
    """Put `Parts` in the place of the nodes of each LIF that `write_lif` wrote."""
    collapsed: dict[str, Any] = dict(nodes)
    for membrane in [name for name, node in nodes.items() if isinstance(node, nir.CubaLIF)]:
        name = membrane.removesuffix(leaving(""))
        ring = [f"{name}.{part}" for part in Parts._fields]
        inner = set(pairwise([*ring, ring[0]]))
        others = [edge for edge in edges if edge not in inner]
        closed = all(
            ring[2] not in edge and edge[0] != ring[0] and edge[1] != membrane for edge in others
        )
        if set(ring) <= set(nodes) and inner <= set(edges) and closed:
            collapsed[name] = Parts(*(collapsed.pop(part) for part in ring))
            places = dict.fromkeys(ring, name)
            edges = [(places.get(a, a), places.get(b, b)) for a, b in others]
    return collapsed, edges


def read_lif(
    name: str, parts: Parts, *, dt: float, generator: torch.Generator, dtype: torch.dtype
) -> LIF:
    """Make a population of the nodes that `write_lif` makes.

    Raises:
        ValueError: If the nodes have other values than an LIF of sqsnn can have.
    """
    membrane = parts.membrane
    scale, bias = _factors(name, parts.scale, membrane.tau_syn.shape)
    reset, _ = _factors(name, parts.reset, membrane.tau_syn.shape)
    fixed = {
        "tau_mem / dt": membrane.tau_mem / dt,
        "r": membrane.r,
        "w_in dt / tau_syn": membrane.w_in * dt / membrane.tau_syn,
        "v_threshold": membrane.v_threshold,
        "1 + v_leak": 1 + membrane.v_leak,
        "minus the scale times the reset": -scale * reset,
    }
    for quantity, values in fixed.items():
        if not np.allclose(values, 1):
            raise ValueError(
                f"node {name!r}: {quantity} is {np.ravel(values)[0]:.4g}, but for an LIF of sqsnn "
                f"it must be 1, at the dt given, {dt}"
            )
    learned = {"beta": 1 - dt / membrane.tau_syn, "threshold": -reset, "bias": bias / scale}
    options = {name: _plain(value) for name, value in membrane.metadata.items()}
    neurons = LIF(membrane.tau_syn.shape, generator=generator, dtype=dtype, **options)
    return _filled(neurons, learned)


def read_resetting_lif(
    name: str, node: nir.LIF, *, dt: float, generator: torch.Generator, dtype: torch.dtype
) -> LIF:
    """Take NIR's LIF for one that subtracts its threshold, as users of snnTorch do.

    Raises:
        ValueError: If even so sqsnn has no such neuron.
    """
    reset = np.asarray(node.v_reset)
    if reset.any():
        raise ValueError(f"node {name!r} resets to v_reset = {reset.max():.4g}; it must be 0")
    gain = node.r * dt / node.tau  # of currents; membranes are in units of it
    if not (gain > 0).all():
        raise ValueError(f"node {name!r} has r / tau of {np.min(gain):.4g}; it must be above 0")
    learned = {
        "beta": 1 - dt / node.tau,
        "threshold": node.v_threshold / gain,
        "bias": node.v_leak / node.r,
    }
    return _filled(LIF(node.tau.shape, generator=generator, dtype=dtype), learned)


def _filled(neurons: LIF, learned: dict[str, np.ndarray]) -> LIF:
    """Give neurons their learned parameters, one value per neuron."""
    for parameter, values in learned.items():
        assign(neurons, parameter, torch.from_numpy(values.reshape(-1, 1)))
    return neurons


def _plain(value: Any) -> Any:
    """A value as Python has it; HDF5 gives it back as NumPy has it."""
    return value.item() if isinstance(value, np.generic) else value


def _diagonal(name: str, factors: np.ndarray, biases: np.ndarray | None) -> nir.NIRNode:
    """Multiply every neuron by a factor of its own; on a grid, every map, by a 1x1 convolution."""
    if factors.ndim == 1:
        weight = np.diag(factors)
        return nir.Linear(weight) if biases is None else nir.Affine(weight, biases)
    maps, sides = len(factors), factors.shape[1:]
    biases = np.zeros_like(factors) if biases is None else biases
    per_map = []
    for values in (factors, biases):
        rows = values.reshape(maps, -1)
        if (rows != rows[:, :1]).any():
            raise ValueError(
                f"population {name!r} has thresholds or biases that differ within a map, for which "
                "NIR has no node; share='map' gives a map one"
            )
        per_map.append(rows[:, 0])
    weight = np.diag(per_map[0]).reshape(maps, maps, *(1 for _ in sides))
    convolution = nir.Conv1d if len(sides) == 1 else nir.Conv2d
    size: Any = sides[0] if len(sides) == 1 else sides
    return convolution(size, weight, 1, 0, 1, 1, per_map[1])


def _factors(name: str, node: Any, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Read the factors and biases, per neuron, of a node that `_diagonal` makes."""
    square = node.weight.reshape(node.weight.shape[:2])
    factors = np.diag(square).copy()
    if (square != np.diag(factors)).any():
        raise ValueError(f"node {name!r}: the scale or reset of an LIF joins neurons or maps")
    biases = getattr(node, "bias", np.zeros_like(factors))
    grid = (-1, *(1 for _ in shape[1:]))
    factors, biases = (np.broadcast_to(v.reshape(grid), shape) for v in (factors, biases))
    return factors, biases
