"""The six named circuits gate by gate, their unitaries and initial values; one's own circuits."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import reference
import torch
from tools import ALL_CIRCUITS, NEED_MEMORY, circuit_cases, frame_change, random_angles, seeded
from torch.testing import assert_close

from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import unitary
from sqsnn.quantum.circuits import Circuit, Gate, Normal

pytestmark = pytest.mark.usefixtures("device")

CASES = circuit_cases()


def full_unitary(circuit: Circuit, angles: torch.Tensor, real_frame: bool = False) -> torch.Tensor:
    return unitary(circuit.gates, angles, circuit.qubits, real_frame=real_frame)


@pytest.fixture
def own_registry(monkeypatch):
    """Circuits registered by the test are forgotten after it."""
    monkeypatch.setattr(circuits, "_REGISTRY", dict(circuits._REGISTRY))


# The named circuits


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_a_named_circuit_is_the_gate_list_of_the_specification(name, channels, memory_qubits):
    circuit = circuits.get(name, channels, memory_qubits)
    assert circuit.name == name
    assert circuit.qubits == channels + memory_qubits
    expected = [
        tuple(placement) for placement in reference.placements(name, channels, memory_qubits)
    ]
    assert [gate[:3] for gate in circuit.gates] == expected
    assert not any(gate.angle for gate in circuit.gates)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_unitary_is_the_product_of_kronecker_products(name, channels, memory_qubits):
    circuit = circuits.get(name, channels, memory_qubits)
    angles = random_angles(circuit, neurons=2)
    made = full_unitary(circuit, angles)
    for h in range(2):
        gains = (1.0,) * circuit.qubits
        neuron = reference.named(name, channels, memory_qubits, angles[h].tolist(), gains)
        expected = reference.unitary(neuron.gates, neuron.qubits)
        assert_close(made[h], torch.as_tensor(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_in_the_real_frame_the_unitary_is_real_and_the_same(name, channels, memory_qubits):
    circuit = circuits.get(name, channels, memory_qubits)
    if name in ("hardware_efficient", "universal"):
        assert not circuit.is_real
        return
    assert circuit.is_real
    angles = random_angles(circuit)
    real = full_unitary(circuit, angles, real_frame=True)
    assert not real.is_complex()
    D = frame_change(circuit.qubits)
    turned = D.conj().T @ full_unitary(circuit, angles) @ D
    assert_close(real.to(turned.dtype), turned, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("channels", "memory_qubits"), [(1, 0), (2, 0), (1, 2), (2, 1)])
@pytest.mark.parametrize("layers", [1, 2])
def test_hardware_efficient_repeats_its_layers(channels, memory_qubits, layers):
    circuit = circuits.get("hardware_efficient", channels, memory_qubits, layers=layers)
    expected = reference.placements("hardware_efficient", channels, memory_qubits, layers)
    assert [gate[:3] for gate in circuit.gates] == [tuple(gate) for gate in expected]
    assert circuit.parameters == 2 * layers * (channels + memory_qubits) + channels


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_encoding_rotates_the_qubits_of_the_specification(name, channels, memory_qubits):
    circuit = circuits.get(name, channels, memory_qubits)
    made = [tuple(rotation) for rotation in circuit.encoding]
    if name in NEED_MEMORY:
        on_channels = [(n, n, 0.0, True) for n in range(channels)]
        on_memory = [(channels + m, m % channels, 1.0, True) for m in range(memory_qubits)]
        assert made == on_channels + on_memory
        assert circuit.trainable_gains == circuit.qubits
    else:
        assert made == [(n, n, 1.0, False) for n in range(channels)]
        assert circuit.trainable_gains == 0


def test_every_gate_of_a_step_is_counted_the_encoding_included():
    # 2 pairs each way, 1 link of the chain; RX on 2 memory qubits, 1 channel, 1 encoding
    counts = circuits.get("bidirectional", 1, 2).gate_counts()
    assert counts == {"CRX": 5, "RX": 4}
    # RX: 3 encoded, 3 in the layer, 2 at the end
    counts = circuits.get("hardware_efficient", 2, 1).gate_counts()
    assert counts == {"RX": 7, "RZ": 3, "CZ": 3}
    counts = circuits.get("integrate_and_fire", 1, 1).gate_counts()
    assert counts == {"CRX": 2, "RX": 4}


def free_directions(name: str, channels: int, memory_qubits: int) -> int:
    """Rank of the change of all K_s (x) K_s*, in which no phase shows, with the angles."""
    circuit = circuits.get(name, channels, memory_qubits)
    outcomes, d = 2**channels, 2**memory_qubits

    # Central differences are right to 1e-10; the smallest true singular value is about 1e-2.
    moves = 1e-5 * torch.eye(circuit.parameters, dtype=torch.float64)
    angles = random_angles(circuit) + torch.cat([moves, -moves])
    V = full_unitary(circuit, angles).view(-1, outcomes, d, outcomes, d)
    K = V[:, :, :, 0]
    laws = torch.view_as_real(torch.einsum("hsab,hscd->hsabcd", K, K.conj())).flatten(1)
    plus, minus = laws.chunk(2)
    singular = torch.linalg.svdvals((plus - minus) / 2e-5)
    return int((singular > 1e-6 * singular[0]).sum())


@pytest.mark.parametrize(("channels", "memory_qubits"), [(1, 1), (1, 2), (2, 1)])
def test_universal_moves_in_all_directions_of_an_instrument(channels, memory_qubits):
    # Isometries from d to S d dimensions, without the phase of each of the S outcomes.
    S, d = 2**channels, 2**memory_qubits
    assert free_directions("universal", channels, memory_qubits) == 2 * S * d * d - d * d - S


def test_a_clock_of_two_memory_qubits_moves_in_all_directions_of_a_real_instrument():
    # Real isometries from d = 4 to 2 d dimensions.
    assert free_directions("clock", 1, 2) == 2 * 4 * 4 - 4 * 5 // 2


# Initial values


def table(name: str, channels: int, memory_qubits: int) -> list[tuple[float, float, bool]]:
    """(mean, deviation, random sign) of every parameter as the specification's table has them."""
    pairs = list(itertools.product(range(memory_qubits), range(channels)))
    match name:
        case "crx":
            rest = [(0.0, 0.5, False)] * (len(pairs) + memory_qubits)
            return [*rest, *[(0.3, 0.5, False)] * channels]
        case "bidirectional":
            coupled = [(0.3 * math.pi, 0.3, True)] * len(pairs)
            chain = [(0.0, 0.1, False)] * max(memory_qubits - 1, 0)
            memory = [(0.0, 0.05, False)] * memory_qubits
            return [*coupled, *chain, *memory, *coupled, *[(0.3, 0.0, False)] * channels]
        case "integrate_and_fire":
            own = [n == m % channels for m, n in pairs]
            read = [(math.pi / 2 if is_own else 0.0, 0.1, False) for is_own in own]
            reset = [(math.pi if is_own else 0.0, 0.1, False) for is_own in own]
            return [*read, *reset, *[(0.0, 0.1, False)] * (memory_qubits + channels)]
        case "clock":
            layers = 1 if memory_qubits == 1 else 3
            read = [(math.pi / 2 / layers, 0.3, False)] * len(pairs)
            reset = [(math.pi / layers, 0.3, False)] * len(pairs)
            chains = [(0.0, 0.3, False)] * (2 * (memory_qubits - 1))
            turns = [(0.3 / layers, 0.3, False)] * memory_qubits
            return [*read, *reset, *chains, *turns, *[(0.0, 0.3, False)] * channels] * layers
        case "universal":
            qubits = channels + memory_qubits
            return [(0.0, 0.1, False)] * (
                3 * qubits + 9 * (qubits - 1) * (1 if qubits <= 2 else qubits)
            )
    return [(0.0, 0.5, False)] * (2 * (channels + memory_qubits) + channels)


@pytest.mark.parametrize("name", ALL_CIRCUITS)
@pytest.mark.parametrize(("channels", "memory_qubits"), [(1, 1), (2, 3)])
def test_initial_values_have_the_moments_of_the_specification(name, channels, memory_qubits):
    # 20,000 neurons, moments 1, 2 and 4; 6 standard errors of a moment are a false alarm once in
    # 5e8 for a Gaussian mean, and the seed is fixed.
    neurons = 20_000
    circuit = circuits.get(name, channels, memory_qubits)
    values = circuit.initial_parameters(neurons, seeded(7)).cpu().numpy()
    rows = table(name, channels, memory_qubits)
    assert values.shape == (neurons, len(rows))
    for column, (mean, deviation, random_sign) in zip(values.T, rows, strict=True):
        second = mean**2 + deviation**2
        fourth = mean**4 + 6 * mean**2 * deviation**2 + 3 * deviation**4
        moments = {1: 0.0 if random_sign else mean, 2: second, 4: fourth}
        for power, moment in moments.items():
            error = 6 * (column**power).std() / math.sqrt(neurons)
            assert abs((column**power).mean() - moment) <= error + 1e-12
    correlations = np.corrcoef(values[:, values.std(0) > 1e-9].T)
    np.fill_diagonal(correlations, 0)
    assert np.abs(correlations).max() < 6 / math.sqrt(neurons)


def test_the_coupling_of_bidirectional_can_be_set_for_tasks_with_delays():
    circuit = circuits.get("bidirectional", 1, 1, coupling=0.6 * math.pi)
    write, _, read, _ = circuit.initial
    assert write == read == Normal(0.6 * math.pi, 0.3, random_sign=True)


def test_initial_values_are_the_generators():
    circuit = circuits.get("crx", 1, 2)
    first, second = (circuit.initial_parameters(3, seeded(seed)) for seed in (1, 1))
    other = circuit.initial_parameters(3, seeded(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


# Circuits of one's own


def test_a_circuit_of_ones_own_is_registered_in_ten_lines(own_registry):
    @circuits.register("kick")
    def kick(channels: int, memory_qubits: int, strength: float = 1.0) -> Circuit:
        memory = range(channels, channels + memory_qubits)
        written = [("CRX", (n, m), Normal(strength)) for m in memory for n in range(channels)]
        return Circuit.build(channels, memory_qubits, [*written, ("H", (0,), None)])

    assert "kick" in circuits.names()
    circuit = circuits.get("kick", 2, 1, strength=0.25)
    assert (circuit.name, circuit.parameters, circuit.is_real) == ("kick", 2, False)
    assert circuit.initial == (Normal(0.25), Normal(0.25))
    assert [rotation.gain for rotation in circuit.encoding] == [1.0, 1.0]
    with pytest.raises(TypeError, match="circuit 'kick' has the options: strength; but"):
        circuits.get("kick", 2, 1, force=1.0)


def flip(channels: int, memory_qubits: int, angle: float = math.pi) -> Circuit:
    """Fire at every step, whatever the memory."""
    return Circuit.build(channels, memory_qubits, [("RX", (n,), angle) for n in range(channels)])


def test_a_name_that_is_registered_again_means_the_new_circuit(own_registry):
    circuits.register("flip")(lambda channels, memory_qubits: Circuit.build(channels, 0, []))
    with pytest.warns(UserWarning, match="circuit 'flip' was registered before"):
        circuits.register("flip")(flip)
    assert circuits.get("flip", 2, 1).gates[1] == Gate("RX", (1,), None, math.pi)


@pytest.mark.parametrize("name", ALL_CIRCUITS)
def test_a_circuit_of_the_package_stays_what_it_is(name, own_registry):
    before = circuits.get(name, 1, 1)
    with pytest.raises(ValueError, match=f"circuit '{name}' belongs to the package"):
        circuits.register(name)(flip)
    assert circuits.get(name, 1, 1) == before


def test_a_function_can_be_given_instead_of_a_name():
    circuit = circuits.get(flip, 2, 1, angle=0.5)
    assert (circuit.name, circuit.qubits) == ("flip", 3)
    assert circuits.get(partial(flip, angle=0.5), 2, 1).gates == circuit.gates
    with pytest.raises(TypeError, match=r"circuit 'flip' has the options: angle; but .*'strength'"):
        circuits.get(flip, 1, 1, strength=1)


def test_a_circuit_is_found_by_its_module_and_function(tmp_path, monkeypatch):
    source = """
from sqsnn.quantum.circuits import Circuit
def flip(channels, memory_qubits, angle=1.0):
    return Circuit.build(channels, memory_qubits, [("RX", (0,), angle)])
def nothing(channels, memory_qubits):
    return [("RX", (0,), 1.0)]
def small(channels, memory_qubits):
    return Circuit.build(1, 0, [])
number = 3
"""
    (tmp_path / "circuits_of_mine.py").write_text(source)
    (tmp_path / "circuits_broken.py").write_text("import no_such_module")
    (tmp_path / "circuits_torn.py").write_text("\ndef flip(:\n")
    with pytest.raises(ValueError, match="module 'circuits_of_mine' cannot be imported: No module"):
        circuits.get("circuits_of_mine:flip", 1, 1)
    monkeypatch.syspath_prepend(tmp_path)
    circuit = circuits.get("circuits_of_mine:flip", 2, 1, angle=0.5)
    assert circuit.gates == (Gate("RX", (0,), None, 0.5),)
    assert circuit.name == "circuits_of_mine:flip"
    refused = {
        "circuits_of_mine:flop": "module 'circuits_of_mine' has no function 'flop'",
        "circuits_of_mine:number": "has no function 'number'",
        "circuits_of_mine:": "has no function ''",
        ":flip": "module '' cannot be imported: that is no name of a module; it must lie in",
        "circuits_of_mine:nothing": r"must return a Circuit, .* but returned \[\('RX'",
        "circuits_of_mine:small": "channels=2, memory_qubits=1, but made a circuit of 1 and 0",
        "circuits_broken:flip": "No module named 'no_such_module'",
        "circuits_torn:flip": r"module 'circuits_torn' is no Python: .*circuits_torn.py, line 2",
    }
    for name, message in refused.items():
        with pytest.raises(ValueError, match=message):
            circuits.get(name, 2, 1)


def test_a_circuit_can_be_given_instead_of_a_name():
    circuit = circuits.get("crx", 1, 2)
    assert circuits.get(circuit, 1, 2) is circuit
    with pytest.raises(
        ValueError, match=r"channels=1, memory_qubits=2, but the neurons have 2 and 2"
    ):
        circuits.get(circuit, 2, 2)


# Refusals


def test_an_unknown_circuit_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValueError, match="'unknown'") as error:
        circuits.get("unknown", 1, 1)
    assert all(name in str(error.value) for name in ALL_CIRCUITS)


@pytest.mark.parametrize("name", ALL_CIRCUITS)
@pytest.mark.parametrize(
    ("channels", "memory_qubits", "argument"),
    [
        (0, 1, "channels"),
        (9, 1, "channels"),
        (8, 3, "together"),
        (1, -1, "memory_qubits"),
        (1, 7, "memory_qubits"),
    ],
)
def test_numbers_of_qubits_out_of_range_are_refused(name, channels, memory_qubits, argument):
    with pytest.raises(ValueError, match=argument):
        circuits.get(name, channels, memory_qubits)


@pytest.mark.parametrize("memory_qubits", [1, 2])
@pytest.mark.parametrize("name", ["clock", "universal"])
def test_clock_and_universal_repeat_their_layers(name, memory_qubits):
    circuit = circuits.get(name, 1, memory_qubits, layers=4)
    expected = reference.placements(name, 1, memory_qubits, layers=4)
    assert [gate[:3] for gate in circuit.gates] == [tuple(gate) for gate in expected]


def test_integrate_and_fire_is_refused_without_a_memory():
    with pytest.raises(ValueError, match="memory_qubits is 0"):
        circuits.get("integrate_and_fire", 1, 0)


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="layers"):
        circuits.get("hardware_efficient", 1, 1, layers=0)
