"""The compiled kernel computes what torch computes, for every circuit, drive and shape."""

import pytest
import torch
from tools import on_all_builds, seeded
from torch import Tensor

from sqsnn.native import library
from sqsnn.neurons.drive import Drive, Leaky, Rectified, Saturating
from sqsnn.neurons.driven import SQSState
from sqsnn.neurons.population import Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.circuits import Circuit, Normal
from sqsnn.training.machine import threads

pytestmark = pytest.mark.skipif(library.obstacle() is not None, reason=str(library.obstacle()))

# With 3 sums of 8 rounded products per step; of values of order 1.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
DRIVES = (
    Rectified(),
    Saturating(),
    Leaky(),
    Leaky(reset_steps=0),
    Leaky(reset_steps=3, beta=0.9),
    Leaky(through_reset=False),
)
EVERY_GATE = [
    *(("RX", (0,), Normal(0.3)), ("RY", (1,), Normal(0.5)), ("RZ", (0,), Normal(0.7))),
    *(("CRX", (0, 1), Normal(1.0)), ("CRY", (1, 0), Normal(0.8)), ("CRZ", (0, 1), Normal(0.6))),
    *(("RXX", (0, 1), Normal(0.4)), ("RZZ", (1, 0), Normal(0.9))),
    *(("RYY", (0, 1), Normal(0.2)), ("RYY", (0, 1), 0.4), ("RX", (1,), 0.9), ("CRY", (0, 1), -2.0)),
    *(("CX", (1, 0)), ("CZ", (0, 1)), ("H", (0,)), ("RZ", (0,), 0)),  # shares the first parameter
]


def neurons_of(
    circuit: str | Circuit, channels: int, memory: int, drive: Drive, size: int = 5, **options
) -> SQSNeurons:
    neurons = SQSNeurons(
        size,
        channels=channels,
        memory_qubits=memory,
        circuit=circuit,
        drive=drive,
        generator=seeded(),
        **options,
    )
    with torch.no_grad():  # away from the starting values, at which many gates are the identity
        for parameter in neurons.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=seeded(1)).to(parameter))
    return neurons


def inputs(neurons: SQSNeurons, steps: int = 3, batch: int = 6) -> tuple[Tensor, Tensor]:
    """Currents on both sides of the range of the encoding, and uniforms."""
    dtype, shape = neurons.angles.dtype, (steps, batch, neurons.size)
    currents = torch.randn(*shape, neurons.channels, generator=seeded(2), dtype=dtype)
    return 0.8 * currents + 0.4, torch.rand(shape, generator=seeded(3), dtype=dtype)


def run(neurons: SQSNeurons, backend: str, *arguments, **options) -> tuple[Record, SQSState]:
    neurons.backend = backend
    return neurons(*arguments, **options)


def everything(neurons: SQSNeurons, backend: str, *, observed: bool = False) -> list[Tensor]:
    """All results of a pass that goes on from a state, and all gradients of their weighted sum."""
    currents, uniforms = inputs(neurons, steps=6)
    with torch.no_grad():
        _, state = run(neurons, "torch", currents[:3], uniforms=uniforms[:3])
        later, _ = run(neurons, "torch", currents[3:], state, uniforms=uniforms[3:])
    given = {"observed": later.spikes} if observed else {"uniforms": uniforms[3:]}
    currents = currents[3:].clone().requires_grad_()
    state = SQSState(*(x if x is None else x.clone().requires_grad_() for x in state))
    record, after = run(neurons, backend, currents, state, **given, keep_memory=True)
    results = [x for x in (*record, *after) if x is not None]
    weights = [torch.randn(x.shape, generator=seeded(4)).to(x.real.dtype) for x in results]
    parts = (
        (torch.view_as_real(x).sum(-1) if x.is_complex() else x) * weight
        for x, weight in zip(results, weights, strict=True)
        if x.requires_grad
    )
    leaves = [currents, *(x for x in state if x is not None), *neurons.parameters()]
    gradients = torch.autograd.grad(
        sum(part.sum() for part in parts), leaves, allow_unused=True, materialize_grads=True
    )
    return [x.detach() for x in (*results, *gradients)]


def check_equal(neurons: SQSNeurons, **options) -> None:
    pairs = (everything(neurons, backend, **options) for backend in ("torch", "fused"))
    for plain, fast in zip(*pairs, strict=True):
        scale = max(1.0, plain.abs().max().item()) if plain.numel() else 1.0
        tolerance = TOLERANCE[neurons.angles.dtype] * scale
        torch.testing.assert_close(fast, plain, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("memory", [0, 1, 2, 3])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("circuit", circuits.names()[:4])
def test_every_circuit_gives_what_torch_gives(circuit, channels, memory, dtype):
    if circuit == "integrate_and_fire" and memory == 0:
        pytest.skip("the circuit needs a memory")
    for drive in (Rectified(), Leaky(), Leaky(reset_steps=3)):
        check_equal(neurons_of(circuit, channels, memory, drive, dtype=dtype))


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("slope", ["exponential", "exact"])
@pytest.mark.parametrize("surrogate", ["straight_through", "sigmoid"])
@pytest.mark.parametrize("drive", DRIVES)
def test_every_option_gives_what_torch_gives(drive, surrogate, slope, observed):
    options = {"surrogate": surrogate, "encoding_slope": slope, "dtype": torch.float64}
    for circuit, collapse in (("bidirectional", True), ("hardware_efficient", False)):
        neurons = neurons_of(circuit, 2, 1, drive, through_collapse=collapse, **options)
        check_equal(neurons, observed=observed)


@pytest.mark.parametrize("channels", [1, 3])
def test_spikes_that_pass_a_gradient_to_complex_memories(channels):
    options = {"through_collapse": True, "dtype": torch.float64}
    check_equal(neurons_of("hardware_efficient", channels, 1, Leaky(), **options))


@pytest.mark.parametrize(("channels", "memory"), [(4, 0), (3, 2), (1, 6)])
def test_large_registers_give_what_torch_gives(channels, memory):
    check_equal(neurons_of("bidirectional", channels, memory, Leaky(), dtype=torch.float64))


@pytest.mark.parametrize("summed", [(0, 1, 2, 3), (0,), (2, 3)])
def test_losses_of_sums_whose_gradients_share_their_memory(summed):
    neurons = neurons_of("bidirectional", 2, 1, Leaky(), 17, dtype=torch.float64)
    currents, uniforms = inputs(neurons)
    found = []
    for backend in ("torch", "fused"):
        leaf = currents.clone().requires_grad_()
        record, _ = run(neurons, backend, leaf, uniforms=uniforms)
        found.append(
            torch.autograd.grad(record.spikes.sum(summed).square().sum(), [leaf, neurons.angles])
        )
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(
            fast, plain, rtol=0, atol=1e-12 * max(1.0, plain.abs().max().item())
        )


def test_every_gate_gives_what_torch_gives():
    circuit = Circuit.build(1, 1, EVERY_GATE)
    check_equal(neurons_of(circuit, 1, 1, Leaky(), dtype=torch.float64))
    real = Circuit.build(1, 1, [gate for gate in EVERY_GATE if gate[0] in ("RX", "CRX", "CZ")])
    assert real.is_real
    check_equal(neurons_of(real, 1, 1, Leaky(), dtype=torch.float64))


@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (2, 5), (1, 70)])
def test_vectors_blocks_and_chunks_that_are_not_full(size, steps, batch):
    neurons = neurons_of("bidirectional", 1, 1, Leaky(), size)
    currents, uniforms = inputs(neurons, steps, batch)
    plain, fast = (run(neurons, way, currents, uniforms=uniforms)[0] for way in ("torch", "fused"))
    torch.testing.assert_close(fast.probability, plain.probability, rtol=0, atol=1e-5)
    # A spike may differ only where rounding moves a probability across its uniform number.
    close = (plain.probability[..., 0] - uniforms).abs() < 1e-5
    assert torch.equal(fast.spikes[..., 0][~close], plain.spikes[..., 0][~close])


def test_a_long_sequence_stays_on_the_path_of_torch():
    neurons = neurons_of("bidirectional", 1, 2, Leaky(), 2, dtype=torch.float64)
    currents, uniforms = inputs(neurons, 4000, 1)
    with torch.no_grad():
        plain, fast = (run(neurons, way, currents, uniforms=uniforms) for way in ("torch", "fused"))
    assert torch.equal(fast[0].spikes, plain[0].spikes)
    torch.testing.assert_close(fast[0].probability, plain[0].probability, rtol=0, atol=1e-12)
    torch.testing.assert_close(fast[1].memory, plain[1].memory, rtol=0, atol=1e-12)


def test_a_million_drawn_spikes_part_only_where_rounding_explains_it():
    neurons = neurons_of("bidirectional", 1, 1, Leaky(), 500)
    currents, uniforms = inputs(neurons, 20, 100)
    with torch.no_grad():
        plain, fast = (
            run(neurons, way, currents, uniforms=uniforms)[0] for way in ("torch", "fused")
        )
    differs = (fast.spikes != plain.spikes)[..., 0]
    first = differs & (differs.cumsum(0) == 1)
    assert first.sum() < 100  # of 50,000 paths; a probability is off by about 1e-6
    distance = (plain.probability[..., 0] - uniforms).abs()[first]
    assert not len(distance) or distance.max() < 1e-5


@pytest.mark.parametrize("circuit", ["bidirectional", "hardware_efficient"])
@pytest.mark.parametrize("drive", DRIVES)
def test_two_halves_equal_one_pass_bit_for_bit(circuit, drive):
    neurons = neurons_of(circuit, 2, 2, drive, 17, backend="fused")
    currents, uniforms = inputs(neurons, 8)
    whole, end = neurons(currents, uniforms=uniforms)
    first, middle = neurons(currents[:3], uniforms=uniforms[:3])
    second, after = neurons(currents[3:], middle, uniforms=uniforms[3:])
    for name in ("spikes", "probability", "log_likelihood"):
        halves = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(halves, getattr(whole, name))
    assert all(torch.equal(a, b) for a, b in zip(after, end, strict=True) if a is not None)


def test_the_bits_do_not_depend_on_the_number_of_threads():
    neurons = neurons_of("bidirectional", 1, 1, Leaky(), 100)
    currents, uniforms = inputs(neurons, 3, 130)  # enough work for threads
    found = []
    for number in (1, 2):
        with threads(number):
            leaf = currents.clone().requires_grad_()
            record, _ = run(neurons, "fused", leaf, uniforms=uniforms)
            loss = record.log_likelihood.clamp_min(-9).sum() + record.spikes.sum()
            gradients = torch.autograd.grad(loss, [leaf, neurons.angles, neurons.beta])
            found.append([*record[:3], *gradients])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_all_builds_give_the_same_bits(monkeypatch):
    neurons = neurons_of("hardware_efficient", 1, 2, Leaky(), 21)
    on_all_builds(monkeypatch, lambda: everything(neurons, "fused"))


@pytest.mark.parametrize("drive", [Rectified(), Leaky()])
@pytest.mark.parametrize("current", [1e-310, 1e-45, 12_345.678, 999_999.5, -999_999.5])
def test_denormal_and_huge_currents_give_what_torch_gives(current, drive):
    neurons = neurons_of("bidirectional", 1, 1, drive, dtype=torch.float64)
    _, uniforms = inputs(neurons)
    currents = torch.full((3, 6, 5, 1), current, dtype=torch.float64)
    plain, fast = (run(neurons, way, currents, uniforms=uniforms)[0] for way in ("torch", "fused"))
    # pi z is rounded before its cosine is taken: by 1e-16 z.
    tolerance = 1e-12 + 1e-15 * abs(current)
    torch.testing.assert_close(fast.probability, plain.probability, rtol=0, atol=tolerance)


def test_impossible_spikes_have_no_likelihood_and_leave_no_memory():
    neurons = SQSNeurons(1, circuit="bidirectional", drive=Rectified(), generator=seeded())
    with torch.no_grad():
        neurons.angles.zero_()
    currents = torch.zeros(2, 1, 1, 1)
    record, state = run(neurons, "fused", currents, observed=torch.ones(2, 1, 1, 1))
    assert torch.equal(record.log_likelihood, torch.full((2, 1, 1), -torch.inf))
    assert not state.memory.any()
    again, _ = run(neurons, "fused", currents, state, observed=torch.zeros(2, 1, 1, 1))
    assert not again.probability.any()


def test_what_the_kernel_cannot_run_is_refused_or_runs_through_torch():
    def smooth(p: Tensor) -> Tensor:
        return 1 - p

    options = {"surrogate": smooth, "generator": seeded()}
    with pytest.raises(ValueError, match="backend is 'fused', but surrogate is a function"):
        SQSNeurons(3, backend="fused", **options)
    assert not SQSNeurons(3, **options).runs_fused
    assert SQSNeurons(3, generator=seeded()).runs_fused
    assert not SQSNeurons(3, backend="torch", generator=seeded()).runs_fused
    large = {"channels": 3, "memory_qubits": 6, "generator": seeded()}
    with pytest.raises(ValueError, match=r"channels \+ memory_qubits is 9.* at most 8"):
        SQSNeurons(3, backend="fused", **large)
