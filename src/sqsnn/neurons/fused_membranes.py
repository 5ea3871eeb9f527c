"""LIF and StochasticLIF through the compiled kernel: the law of `leaky.py`, many steps at once.

Membranes do not meet, so that neurons and channels are one dimension of the kernel. Nothing is
saved for the way back but what went in, spikes and probabilities: the membranes run once more.
"""

import ctypes
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.parametrize import type_before_parametrizations

from sqsnn.checks import differentiable_once
from sqsnn.native import library
from sqsnn.native.library import MembraneStruct
from sqsnn.native.threads import run_tasks
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Record
from sqsnn.placing import LARGEST_GRADIENT

if TYPE_CHECKING:
    from sqsnn.neurons.leaky import LeakyPopulation, LeakyState

_ALONE = 200_000  # membrane-steps below which one thread is faster


class Options(NamedTuple):
    """What a pass needs besides tensors."""

    tau: float | None  # width of the noise; None where u > threshold decides
    floor: float
    sigmoid: bool
    through_reset: bool


class Inputs(NamedTuple):
    """The tensors of a pass; None where there are none."""

    currents: Tensor  # (T, B, H N)
    beta: Tensor  # (T, H N), in [0, 1]
    threshold: Tensor  # (H N)
    bias: Tensor
    membrane: Tensor | None  # (B, H N)
    last: Tensor | None


class Results(NamedTuple):
    """What a pass gives."""

    probability: Tensor  # (T, B, H N)
    spikes: Tensor | None  # where they are drawn
    log_likelihood: Tensor | None  # of each membrane's spikes; of noisy neurons
    membrane: Tensor  # (B, H N)
    last: Tensor


def obstacle(neurons: "LeakyPopulation") -> str | None:
    """Say why the kernel cannot run these neurons; None where it can."""
    # Not inherited: a class of one's own may have a law of its own.
    kind = type_before_parametrizations(neurons)
    if not vars(kind).get("kernel_knows"):
        return f"the kernel knows LIF and StochasticLIF, but not {kind.__name__}"
    if callable(neurons.surrogate) and not neurons.own_spikes_are_data:
        return "surrogate is a function, which the kernel cannot call where spikes reset"
    return library.obstacle_of(neurons.parameter_like)


def evolve(
    neurons: "LeakyPopulation",
    currents: Float[Tensor, "T B H N"],
    state: "LeakyState | None",
    uniforms: Float[Tensor, "T B H *numbers"] | None,
    observed: Float[Tensor, "T B H N"] | None,
) -> "tuple[Record, LeakyState]":
    """Run T steps; see `Population.evolve`."""
    tau: float | None = getattr(neurons, "tau", None)
    options = Options(
        tau,
        -math.inf if neurons.floor is None else neurons.floor,
        sigmoid=neurons.surrogate == "sigmoid",
        # Observed spikes are data: nothing runs through them.
        through_reset=not neurons.own_spikes_are_data and observed is None,
    )
    # A step's gradient is held by itself, as in `leaky.py`.
    beta = surrogates.held(neurons.beta.flatten().expand(len(currents), -1), 0.0, 1.0)
    start = (None, None) if state is None else (x.flatten(1) for x in state)
    threshold, bias = neurons.threshold.flatten(), neurons.bias.flatten()
    inputs = Inputs(currents.flatten(2), beta, threshold, bias, *start)
    drawn = None if uniforms is None or tau is None else uniforms.flatten(2)
    given = None if observed is None else observed.flatten(2)
    out = Results(*_Fused.apply(options, drawn, given, *inputs))
    probability = out.probability.view_as(currents)
    if observed is not None:
        bits = observed
    elif out.spikes is not None:
        bits = out.spikes.view_as(currents)
    else:
        bits = probability.detach()  # without noise the probability is the spike
    if out.log_likelihood is not None:
        likelihood = out.log_likelihood.view_as(currents)
    elif observed is not None:
        likelihood = neurons.log_probability(bits, probability, probability)
    else:
        likelihood = currents.new_zeros(()).expand_as(currents)  # certain spikes: log 1
    # For one channel, squeeze: a sum would copy.
    joint = likelihood.squeeze(-1) if neurons.channels == 1 else likelihood.sum(-1)
    spikes = surrogates.spike(bits, probability, neurons.surrogate)
    after = neurons.settle(*(x.view_as(currents[0]) for x in (out.membrane, out.last)))
    return Record(spikes, probability, joint), after


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        options: Options,
        uniforms: Tensor | None,
        observed: Tensor | None,
        *tensors: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        inputs = Inputs(*(None if x is None else x.contiguous() for x in tensors))  # pyright: ignore[reportArgumentType]
        currents, noisy = inputs.currents, options.tau is not None
        probability = torch.empty_like(currents)
        spikes = torch.empty_like(currents) if noisy and observed is None else None
        likelihood = torch.empty_like(currents) if noisy else None
        membrane, last = (currents.new_empty(currents.shape[1:]) for _ in range(2))
        given = {"uniforms": uniforms, "observed": observed}
        given = {name: None if x is None else x.contiguous() for name, x in given.items()}
        made = {"probability": probability, "spikes": spikes, "log_likelihood": likelihood}
        _call(options, inputs, given | made | {"membrane_after": membrane, "last_after": last})
        ctx.options = options
        happened = next(x for x in (given["observed"], spikes, probability) if x is not None)
        ctx.save_for_backward(happened, probability, *inputs)
        ctx.set_materialize_grads(False)
        data = () if options.through_reset else (last,)
        ctx.mark_non_differentiable(*data, *(() if spikes is None else (spikes,)))
        return probability, spikes, likelihood, membrane, last

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        spikes, probability, *tensors = ctx.saved_tensors
        inputs = Inputs(*tensors)
        incoming = {
            f"g_{name}": gradient
            if gradient is None or (name == "probability" and gradient.stride(-1) in (0, 1))
            else gradient.contiguous()
            for name, gradient in zip(Results._fields, gradients, strict=True)
            if name != "spikes"
        }
        chunks = -(-inputs.currents.shape[1] // library.CHUNK)
        by_chunk = ("beta", "threshold", "bias")
        found = {
            name: x.new_empty(chunks, *x.shape) if name in by_chunk else torch.empty_like(x)
            for name, x in inputs._asdict().items()
            if x is not None
        }
        outgoing = {f"d_{name}": x for name, x in found.items()}
        known = {"spikes": spikes, "probability": probability}
        _call(ctx.options, inputs, known | incoming | outgoing, backward=True)
        for name in by_chunk:
            found[name] = found[name].sum(0)
        return None, None, None, *(found.get(name) for name in Inputs._fields)


def _call(
    options: Options, inputs: Inputs, tensors: dict[str, Tensor | None], *, backward: bool = False
) -> None:
    """Fill the structure of the kernel and run its tasks, in threads where that pays."""
    steps, batch, membranes = inputs.currents.shape
    everything = inputs._asdict() | tensors
    by_probability = tensors.get("g_probability")
    addresses = library.addresses(everything, inputs.currents.dtype)
    call = MembraneStruct(
        steps=steps,
        batch=batch,
        membranes=membranes,
        is_noisy=options.tau is not None,
        sigmoid=options.sigmoid,
        through_reset=options.through_reset,
        floor=options.floor,
        tau=options.tau or 0.0,
        largest_gradient=LARGEST_GRADIENT[inputs.currents.dtype],
        g_probability_stride=(0, 0, 0) if by_probability is None else by_probability.stride(),
        **addresses,
    )
    double = inputs.currents.dtype == torch.float64
    kernel = library.load()
    tasks = kernel.sqsnn_membrane_tasks(ctypes.byref(call), double)

    def some(first: int, last: int) -> int:
        return kernel.sqsnn_membrane_run(ctypes.byref(call), first, last, backward, double)

    failed = run_tasks(some, tasks, alone=steps * batch * membranes < _ALONE)
    if failed:
        raise MemoryError(f"the kernel found no memory for {steps} steps of membranes")
