"""SQS neurons through the compiled kernel: which it takes, what goes in and what comes out."""

from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from sqsnn.native import library
from sqsnn.neurons.drive import Leaky, Saturating
from sqsnn.neurons.driven import SQSState
from sqsnn.neurons.population import Record
from sqsnn.quantum import fused
from sqsnn.quantum.fused import Inputs, Options

if TYPE_CHECKING:
    from sqsnn.neurons.sqs import SQSNeurons


def obstacle(neurons: "SQSNeurons") -> str | None:
    """Say why the kernel cannot run these neurons; None where it can."""
    if neurons.noise is not None:
        return "noise is given, and the kernel runs perfect devices"
    for name in ("surrogate", "encoding_slope"):
        if callable(getattr(neurons, name)):
            return f"{name} is a function, which the kernel cannot call"
    if neurons.channels > fused.MAX_CHANNELS:
        return f"channels is {neurons.channels}, and the kernel takes at most {fused.MAX_CHANNELS}"
    if neurons.circuit.qubits > fused.MAX_QUBITS:
        return (
            f"channels + memory_qubits is {neurons.circuit.qubits}, and the kernel takes at most "
            f"{fused.MAX_QUBITS}"
        )
    return library.obstacle_of(neurons.parameter_like)


def evolve(
    neurons: "SQSNeurons",
    currents: Float[Tensor, "T B H N"],
    state: SQSState | None,
    uniforms: Float[Tensor, "T B H"] | None,
    observed: Float[Tensor, "T B H N"] | None,
    keep_memory: bool,
) -> tuple[Record, SQSState]:
    """Run T steps; see `Population.evolve`."""
    drive = neurons.drive
    kind = fused.SATURATING if isinstance(drive, Saturating) else fused.RECTIFIED
    options = Options(
        kind,
        exact=neurons.encoding_slope == "exact",
        sigmoid=neurons.surrogate == "sigmoid",
        # Observed spikes are data: nothing runs through them.
        through_collapse=neurons.through_collapse and observed is None,
        keep_history=keep_memory,
    )
    inputs = Inputs(_planes(currents), neurons.angles.T, neurons.gains.T)
    start = None if state is None else neurons.start_of_drive(currents[0], state)
    if state is not None:
        inputs = inputs._replace(memory=state.memory)
    if isinstance(drive, Leaky):
        learned, whole = neurons.learned_drive, drive.reset_steps is None
        options = options._replace(
            drive=fused.LEAKY,
            reset_steps=drive.reset_steps,
            floor=drive.floor,
            through_reset=drive.passes_gradients and observed is None,
        )
        inputs = inputs._replace(
            beta=learned.beta.T,
            reset=learned.reset.T[None] if whole else learned.reset.permute(2, 1, 0),
            bias=learned.bias.T,
        )
    if start is not None:
        last = start.spikes.permute(3, 2, 0, 1)
        inputs = inputs._replace(membrane=_planes(start.membrane), last=last)
    given = None if observed is None else _planes(observed)
    out = fused.run(neurons.circuit, options, inputs, uniforms=uniforms, observed=given)
    spikes, probability = (planes.movedim(0, -1) for planes in (out.spikes, out.probability))
    after = SQSState(
        out.memory,
        None if out.membrane is None else out.membrane.movedim(0, -1),
        None if out.last is None else out.last.permute(2, 3, 1, 0),
    )
    return Record(spikes, probability, out.log_likelihood, out.history), after


def _planes(values: Float[Tensor, "*batch H N"]) -> Float[Tensor, "N *batch H"]:
    return values.movedim(-1, 0)
