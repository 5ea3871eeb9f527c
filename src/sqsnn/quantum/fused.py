"""Many steps of the neuron through the compiled kernel of `native/`: the law of `trajectory.py`.

Everything that a pass needs, the drive included, goes in at once, and its gradients come out at
once; nothing is saved but what went in. The kernel has no code for any gate: see `rotations.py`.
"""

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sqsnn.checks import differentiable_once
from sqsnn.native import library
from sqsnn.native.library import CircuitStruct, OpStruct, PassStruct, RotationStruct
from sqsnn.native.threads import run_tasks
from sqsnn.placing import LARGEST_GRADIENT
from sqsnn.quantum import rotations
from sqsnn.quantum.circuit import Circuit

MAX_CHANNELS, MAX_QUBITS = 4, 8  # N, N + M
_ALONE = 20_000  # neuron-steps below which one thread is faster

RECTIFIED, SATURATING, LEAKY = range(3)


class Options(NamedTuple):
    """What a pass needs besides tensors."""

    drive: int = RECTIFIED
    reset_steps: int | None = None  # of a leaky drive; None for the whole membrane
    floor: float = 0.0
    exact: bool = False  # whether slopes outside the range and below the floor are 0
    sigmoid: bool = False  # the surrogate p (1 - p), else 1
    through_reset: bool = False
    through_collapse: bool = False
    keep_history: bool = False


class Inputs(NamedTuple):
    """The tensors of a pass, neurons last; None where there are none."""

    currents: Tensor  # (N, T, B, H)
    angles: Tensor  # (P, H)
    gains: Tensor  # (G, H)
    beta: Tensor | None = None  # (N, H)
    reset: Tensor | None = None  # (K, N, H); K = 1 for the whole membrane
    bias: Tensor | None = None  # (N, H)
    memory: Tensor | None = None  # complex, in the laboratory frame, (B, H, 2**M)
    membrane: Tensor | None = None  # (N, B, H)
    last: Tensor | None = None  # (K, N, B, H)


class Results(NamedTuple):
    """What a pass gives, neurons last."""

    spikes: Tensor  # (N, T, B, H)
    probability: Tensor  # (N, T, B, H)
    log_likelihood: Tensor  # (T, B, H)
    memory: Tensor  # complex, (B, H, 2**M)
    membrane: Tensor | None  # (N, B, H)
    last: Tensor | None  # (K, N, B, H)
    history: Tensor | None  # the memory after every step, complex, (T, B, H, 2**M)


def run(
    circuit: Circuit,
    options: Options,
    inputs: Inputs,
    *,
    uniforms: Tensor | None = None,
    observed: Tensor | None = None,
) -> Results:
    """Run T steps, `uniforms` `(T, B, H)` drawing the outcomes or `observed` `(N, T, B, H)`."""
    return Results(*_Fused.apply(circuit, options, uniforms, observed, *inputs))


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        circuit: Circuit,
        options: Options,
        uniforms: Tensor | None,
        observed: Tensor | None,
        *tensors: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        inputs = Inputs(*(None if x is None else x.resolve_conj().contiguous() for x in tensors))  # pyright: ignore[reportArgumentType]
        currents = inputs.currents
        channels, steps, batch, neurons = currents.shape
        spikes, probability = torch.empty_like(currents), torch.empty_like(currents)
        log_likelihood = currents.new_empty(currents.shape[1:])
        dtype, shape = currents.dtype.to_complex(), (batch, neurons, 2**circuit.memory_qubits)
        memory = currents.new_empty(shape, dtype=dtype)
        history = None
        if options.keep_history:
            history = currents.new_empty((steps, *shape), dtype=dtype)
        leaky = options.drive == LEAKY
        kept = 1 if options.reset_steps is None else options.reset_steps
        membrane = currents.new_empty(channels, batch, neurons) if leaky else None
        last = currents.new_empty(kept, channels, batch, neurons) if leaky else None
        half = inputs.angles / 2
        turns = {"cosines": half.cos(), "sines": half.sin()}
        given = {"uniforms": uniforms, "observed": observed}
        _call(
            circuit,
            options,
            inputs,
            turns
            | {name: None if x is None else x.contiguous() for name, x in given.items()}
            | {"spikes": spikes, "probability": probability, "log_likelihood": log_likelihood}
            | {"memory_after": memory, "membrane_after": membrane, "last_after": last}
            | {"history": history},
        )
        ctx.circuit, ctx.options, ctx.turns = circuit, options, turns
        ctx.save_for_backward(spikes, *inputs)
        ctx.set_materialize_grads(False)
        return spikes, probability, log_likelihood, memory, membrane, last, history

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        spikes, *tensors = ctx.saved_tensors
        inputs = Inputs(*tensors)
        incoming = {
            f"g_{name}": None if gradient is None else gradient.resolve_conj().contiguous()
            for name, gradient in zip(Results._fields, gradients, strict=True)
            if name != "spikes"
        }
        by_spikes = gradients[0]
        if by_spikes is not None and by_spikes.stride(-1) > 1:
            by_spikes = by_spikes.contiguous()
        batch = inputs.currents.shape[2]
        chunks = -(-batch // library.CHUNK)
        by_chunk = {
            f"d_{name}": x.new_empty(chunks, *x.shape)
            for name, x in inputs._asdict().items()
            if name in ("angles", "gains", "beta", "reset", "bias") and x is not None
        }
        whole = {
            f"d_{name}": torch.empty_like(x)
            for name, x in inputs._asdict().items()
            if name in ("currents", "memory", "membrane", "last") and x is not None
        }
        tensors = ctx.turns | incoming | by_chunk | whole
        tensors |= {"spikes": spikes, "g_spikes": by_spikes}
        _call(ctx.circuit, ctx.options, inputs, tensors, backward=True)
        # Most batches are one chunk, whose sum would cost more than small populations take.
        found = {name: x[0] if chunks == 1 else x.sum(0) for name, x in by_chunk.items()} | whole
        return None, None, None, None, *(found.get(f"d_{name}") for name in Inputs._fields)


def _call(
    circuit: Circuit,
    options: Options,
    inputs: Inputs,
    tensors: dict[str, Tensor | None],
    *,
    backward: bool = False,
) -> None:
    """Fill the structures of the kernel and run its tasks, in threads where that pays."""
    _, steps, batch, neurons = inputs.currents.shape
    everything = {k: x for k, x in inputs._asdict().items() if k != "angles"} | tensors
    addresses = library.addresses(everything, inputs.currents.dtype)
    call = PassStruct(
        steps=steps,
        batch=batch,
        neurons=neurons,
        drive=options.drive,
        reset_steps=-1 if options.reset_steps is None else options.reset_steps,
        exact=options.exact,
        sigmoid=options.sigmoid,
        through_reset=options.through_reset,
        through_collapse=options.through_collapse,
        floor=options.floor,
        largest_gradient=LARGEST_GRADIENT[inputs.currents.dtype],
        **addresses,
    )
    if backward and (by_spikes := tensors["g_spikes"]) is not None:
        call.g_spikes_stride = (ctypes.c_int64 * 4)(*by_spikes.stride())
    double = inputs.currents.dtype == torch.float64
    kernel, structure = library.load(), _structure(circuit)
    tasks = kernel.sqsnn_tasks(ctypes.byref(call), double)

    def some(first: int, last: int) -> int:
        return kernel.sqsnn_run(
            ctypes.byref(structure), ctypes.byref(call), first, last, backward, double
        )

    failed = run_tasks(some, tasks, alone=steps * batch * neurons < _ALONE)
    if failed:
        raise MemoryError(
            f"the kernel found no memory for {steps} steps of {circuit.qubits} qubits"
        )


@lru_cache(maxsize=64)
def _structure(circuit: Circuit) -> CircuitStruct:
    """The circuit as the kernel reads it; the arrays live as long as the structure."""
    ops = rotations.operations(circuit)
    op = (OpStruct * max(len(ops), 1))(*((*op[:4], *op.block) for op in ops))
    trained, turns = 0, []
    for rotation in circuit.encoding:
        on_memory = rotation.qubit >= circuit.channels
        stride = 2 ** (circuit.qubits - 1 - rotation.qubit) if on_memory else 0
        gain = trained if rotation.trainable else -1
        trained += rotation.trainable
        turns.append((rotation.channel, stride, gain, 0, rotation.gain))
    return CircuitStruct(
        channels=circuit.channels,
        memory_qubits=circuit.memory_qubits,
        is_complex=not circuit.is_real,
        ops=len(ops),
        rotations=len(turns),
        parameters=circuit.parameters,
        gains=trained,
        op=op,
        rotation=(RotationStruct * len(turns))(*turns),
    )
