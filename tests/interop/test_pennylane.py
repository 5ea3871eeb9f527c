"""A neuron in PennyLane has the law of the simulator, and its gradients."""

import math

import pytest
import torch
from scipy.stats import chisquare
from tools import NEED_MEMORY

import sqsnn
from sqsnn import Leaky, Rectified, Saturating, SQSNeurons
from sqsnn.quantum.circuits import Circuit, Encoded, Normal
from sqsnn.quantum.gates import GATES
from sqsnn.quantum.instrument import outcome_bits

qml = pytest.importorskip("pennylane", reason="the extra pennylane is not installed")

from sqsnn.interop.pennylane import apply_neuron, from_pennylane, to_pennylane  # noqa: E402

# What the issue asks; sums of 2^8 products of float64 err by 1e-14.
TOLERANCE = {"rtol": 0.0, "atol": 1e-9}
DRIVES = [Rectified(), Saturating(), Leaky(), *(Leaky(reset_steps=steps) for steps in range(4))]
# channels, memory qubits, steps
SIZES = [(1, 1, 4), (1, 0, 4), (1, 2, 3), (2, 0, 2), (2, 1, 3), (2, 2, 2)]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def learned(generator, size=2, *, dtype=torch.float64, **options) -> SQSNeurons:
    """Neurons far from their start, with true slopes."""
    options = {"encoding_slope": "exact"} | options
    neurons = SQSNeurons(size, generator=generator, dtype=dtype, **options)
    with torch.no_grad():
        for name, values in neurons.named_parameters():
            spread = 2.0 if "angles" in name else 0.3
            values.add_(spread * torch.randn(values.shape, generator=generator).to(dtype))
    return neurons


def drawn(generator, neurons, steps):
    """Currents on both sides of clip and floor, `(T, N)`."""
    shape = (steps, neurons.channels)
    currents = 1.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return currents.to(neurons.angles.dtype).requires_grad_()


def our_law(neurons, currents, neuron):
    """The simulator's law of one neuron."""
    steps, channels = currents.shape
    given = currents[:, None, None].expand(steps, 1, neurons.size, channels)
    return neurons.sequence_probabilities(given)[0, neuron]


def assert_same_slopes(neurons, currents, theirs, ours, generator):
    """Both laws have the same gradient of some log-likelihood, by currents and all parameters."""
    sources = [currents, *(p for p in neurons.parameters() if p.requires_grad)]
    seen = torch.randint(0, 5, ours.shape, generator=generator) * (ours.detach() > 1e-6)
    slopes = [
        torch.autograd.grad((seen * law.clamp_min(1e-9).log()).sum(), sources, allow_unused=True)
        for law in (theirs, ours)
    ]
    for mine, other in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("drive", DRIVES, ids=str)
@pytest.mark.parametrize("circuit", sqsnn.circuits.names())
def test_law_and_gradients_are_the_simulators(circuit, drive, generator):
    for channels, memory_qubits, steps in SIZES:
        if circuit in NEED_MEMORY and memory_qubits == 0:
            continue
        qubits = {"channels": channels, "memory_qubits": memory_qubits}
        neurons = learned(generator, circuit=circuit, drive=drive, **qubits)
        currents = drawn(generator, neurons, steps)
        theirs, ours = to_pennylane(neurons, neuron=1)(currents), our_law(neurons, currents, 1)
        torch.testing.assert_close(theirs, ours, **TOLERANCE)
        assert_same_slopes(neurons, currents, theirs, ours, generator)


def test_every_gate_at_angles_of_two_turns(generator):
    gates = [("H", (0,)), ("H", (2,))]
    for name, form in GATES.items():
        for place in [(2, 0), (1, 2)]:
            angle = (Normal(2.0, 4.0),) if form.parametrised else ()
            gates.append((name, place[: form.qubits], *angle))
    gates += [("CRX", (0, 1), 0), ("RYY", (0, 2), 2 * math.pi + 0.3)]  # shared, and fixed
    encoding = [Encoded(0, 1, 0.7), Encoded(2, 0, 0.4, trainable=True)]  # channel 1 is not turned
    circuit = Circuit.build(2, 1, gates, encoding)
    neurons = learned(generator, channels=2, memory_qubits=1, circuit=circuit)
    currents = drawn(generator, neurons, 3)
    theirs, ours = to_pennylane(neurons)(currents), our_law(neurons, currents, 0)
    torch.testing.assert_close(theirs, ours, **TOLERANCE)
    assert_same_slopes(neurons, currents, theirs, ours, generator)


def test_step_one_and_channel_zero_are_the_most_significant_digits(generator):
    circuit = Circuit.build(2, 0, [("RZ", (0,), 0.0)])
    neurons = SQSNeurons(
        1, channels=2, memory_qubits=0, circuit=circuit, drive=Saturating(), generator=generator
    )
    flips = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    with torch.no_grad():
        law = to_pennylane(neurons)(flips)
    assert law.argmax().item() == 0b100011
    assert law.max().item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("drive", [Leaky(), Leaky(reset_steps=1), Rectified()], ids=str)
def test_parameter_shifts_give_the_gradients_too(drive, generator):
    neurons = learned(generator, drive=drive, circuit="integrate_and_fire")
    inside = 0.3 + 0.6 * torch.rand(3, 1, generator=generator, dtype=torch.float64)
    currents = inside.requires_grad_()  # where no clip hides finite differences
    theirs = to_pennylane(neurons, diff_method="parameter-shift")(currents)
    assert_same_slopes(neurons, currents, theirs, our_law(neurons, currents, 0), generator)


def test_slopes_by_convention_are_kept(generator):
    neurons = learned(generator, encoding_slope="exponential")
    with torch.no_grad():
        neurons.beta.fill_(1.2)  # acts as 1, and is pulled back
    currents = drawn(generator, neurons, 4)
    theirs, ours = to_pennylane(neurons)(currents), our_law(neurons, currents, 0)
    assert_same_slopes(neurons, currents, theirs, ours, generator)


def test_shared_and_frozen_parameters_receive_their_gradients(generator):
    neurons = learned(generator, 3, share="population", memory_gates="frozen")
    currents = drawn(generator, neurons, 3)
    theirs, ours = to_pennylane(neurons, neuron=2)(currents), our_law(neurons, currents, 2)
    assert_same_slopes(neurons, currents, theirs, ours, generator)


def test_float32_keeps_its_precision(generator):
    neurons = learned(generator, dtype=torch.float32)
    currents = drawn(generator, neurons, 4)
    theirs, ours = to_pennylane(neurons)(currents), our_law(neurons, currents, 0)
    torch.testing.assert_close(theirs.to(ours), ours, rtol=0, atol=1e-5)


def test_parameters_are_read_at_every_call_and_replaced_by_name(generator):
    neurons, others = (learned(generator, circuit="integrate_and_fire") for _ in range(2))
    currents = drawn(generator, neurons, 3)
    law = to_pennylane(neurons, neuron=1)
    rows = {name: values[1] for name, values in others.named_parameters()}
    assert sorted(rows) == ["angles", "beta", "bias", "gains", "reset"]
    ours = our_law(others, currents, 1)
    given = law(currents, **rows)
    torch.testing.assert_close(given, ours, **TOLERANCE)
    assert_same_slopes(others, currents, given, ours, generator)
    neurons.load_state_dict(others.state_dict())
    torch.testing.assert_close(law(currents), ours, **TOLERANCE)


def test_the_memory_goes_on_in_a_circuit_of_the_user(generator):
    neurons = learned(generator, memory_qubits=2, circuit="hardware_efficient")
    currents = drawn(generator, neurons, 3).detach()

    @qml.qnode(qml.device("default.qubit"), interface="torch")
    def held(currents):
        apply_neuron(neurons, currents, neuron=1, wires=["spike", "a", "b"])
        return qml.expval(qml.X("a") @ qml.Y("b"))

    histories = outcome_bits(3, currents.device).double().T  # (T, sequences)
    everything = currents[:, None, None].expand(3, 8, 2, 1)
    _, state = neurons(everything, observed=histories[..., None, None].expand(3, 8, 2, 1))
    x, y = (torch.tensor(qml.matrix(gate(0))) for gate in (qml.X, qml.Y))
    memory = state.memory[:, 1]  # (sequences, 4)
    values = torch.einsum("si,ij,sj->s", memory.conj(), torch.kron(x, y), memory).real
    expected = (our_law(neurons, currents, 1) * values).sum()
    torch.testing.assert_close(held(currents), expected, **TOLERANCE)


@pytest.mark.parametrize("method", ["deferred", "tree-traversal"])
def test_drawn_spikes_follow_the_law(method, generator):
    """A correct program fails with probability 1e-3 for some seeds; this one is fixed."""
    neurons, shots = learned(generator), 4000
    currents = drawn(generator, neurons, 4).detach()

    @qml.qnode(qml.device("default.qubit", seed=5), mcm_method=method, shots=shots)
    def spikes(currents):
        rows = apply_neuron(neurons, currents)
        return qml.sample(op=[spike for row in rows for spike in row])

    with torch.no_grad():
        bits = torch.as_tensor(spikes(currents))
    assert bits.shape == (shots, 4)
    counts = torch.bincount((bits * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16)
    expected = shots * our_law(neurons, currents, 0).detach()
    likely = expected > 5
    pooled = [torch.cat([v[likely], v[~likely].sum()[None]]).double() for v in (counts, expected)]
    assert chisquare(*(v[pooled[1] > 0].numpy() for v in pooled)).pvalue > 1e-3


def test_what_is_not_converted_is_refused_by_name(generator):
    neurons = learned(generator, 2)
    law, good = to_pennylane(neurons), torch.zeros(3, 1, dtype=torch.float64)
    network = sqsnn.SpikingNetwork([2, 2], generator=generator)
    noisy = SQSNeurons(2, noise=sqsnn.Noise(depolarising_1q=0.01), generator=generator)
    for wrong, error, message in [
        (lambda: to_pennylane(network), TypeError, "SpikingNetwork"),
        (
            lambda: to_pennylane(sqsnn.LIF(2, generator=generator)),
            TypeError,
            "is a LIF; it must be SQSNeurons",
        ),
        (lambda: to_pennylane(noisy), ValueError, "neurons have noise"),
        (lambda: to_pennylane(neurons, neuron=2), ValueError, "neuron must be an integer in 0..1"),
        (lambda: law(good[:, None]), ValueError, r"currents must have shape \(steps, 1\)"),
        (lambda: law(good.float()), ValueError, "currents has dtype torch.float32"),
        (lambda: law(good * math.nan), ValueError, "currents"),
        (lambda: law(good[:0]), ValueError, "0 steps"),
        (lambda: law(good[:1].expand(7, 1)), ValueError, r"7 steps.*up to 6 steps.*reset_steps=3"),
        (lambda: law(good[:1].expand(21, 1)), ValueError, r"2\*\*21 spike"),
        (lambda: law(good, gains=good), ValueError, r"gains must have shape \(0,\)"),
        (lambda: law(good, angles=neurons.angles), ValueError, "angles must have shape"),
        (lambda: law(good, beta=good.float()[0]), ValueError, "beta has dtype torch.float32"),
        (lambda: law(good, floor=good[0]), ValueError, "floor is no parameter of these neurons"),
        (lambda: apply_neuron(neurons, good, wires=[0]), ValueError, "the neuron has 2 qubits"),
    ]:
        with pytest.raises(error, match=message):
            wrong()


def test_a_long_law_needs_a_reset_of_finite_length(generator):
    neurons = learned(generator, drive=Leaky(reset_steps=1), memory_qubits=0)
    currents = drawn(generator, neurons, 8)
    torch.testing.assert_close(
        to_pennylane(neurons)(currents), our_law(neurons, currents, 0), **TOLERANCE
    )


def test_a_template_becomes_a_circuit(generator):
    def template(weights, scale):
        qml.StronglyEntanglingLayers(weights, wires=range(3))
        qml.IsingXX(scale, wires=[2, 0])
        qml.SWAP([0, 1])
        qml.T(1)

    weights = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    circuit = from_pennylane(template, weights, 0.3, channels=2, memory_qubits=1, name="layers")
    assert circuit.parameters == weights.numel() and circuit.name == "layers"
    neurons = SQSNeurons(
        1, channels=2, circuit=circuit, generator=generator, dtype=torch.float64, drive=Rectified()
    )
    torch.testing.assert_close(neurons.angles[0], weights.detach().flatten())
    kraus = neurons.kraus_operators(torch.zeros(1, 1, 2, dtype=torch.float64))[0, 0]
    whole = qml.matrix(template, wire_order=range(3))(weights.detach(), 0.3)
    columns = torch.as_tensor(whole)[:, :2]  # from channels in |0>
    overlap = (columns.conj() * kraus.flatten(0, 1)).sum()
    assert overlap.abs().item() == pytest.approx(2.0, abs=1e-9)  # equal up to a global phase


def test_what_is_no_circuit_is_refused():
    for function, message in [
        (lambda: qml.measure(0), "holds MidMeasureMP; a circuit may hold RX"),
        (lambda: qml.RX(0.3, "a"), r"RX is on wires \['a'\]; wires must be the numbers of qubits"),
        (lambda: qml.CNOT([0, 5]), r"different ones of 0..1"),
        (lambda: qml.RX(math.inf, 0), "no finite number"),
        (lambda: qml.probs(wires=0), "the quantum function measures"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_pennylane(function)
