"""Groups on a chip: right where the answer is known by hand, disjoint, connected and usable."""

import itertools
import math
from collections.abc import Mapping

import pytest
import rustworkx
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Delay, Measure, Parameter, Reset
from qiskit.circuit.library import CXGate, CZGate, RZGate, RZZGate, SXGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import CouplingMap, InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeFez

from sqsnn.errors import HardwareError
from sqsnn.hardware.packing import choose_groups
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit, Normal
from sqsnn.quantum.gates import GATES

SIZES = list(itertools.product((1, 2), (0, 1, 2, 3)))
FAKE = {"fake_brisbane": FakeBrisbane, "fake_fez": FakeFez}
PAIR = circuits.get("crx", 1, 1)
GATE_TIME, READOUT_TIME, RESET_TIME, LIFE = 1e-7, 1e-6, 2e-6, 1e-3
Edges = Mapping[tuple[int, int], float | None]
Rates = Mapping[int, float | None]


def properties(error: float | None, duration: float) -> InstructionProperties:
    return InstructionProperties(duration=duration, error=error)


def chip(
    qubits: int,
    edges: Edges,
    *,
    readout: Rates | None = None,
    pulse: Rates | None = None,
    t1: Mapping[int, float] | None = None,
    t2: Mapping[int, float] | None = None,
) -> Target:
    """A device with CZ in the directions given, and the same rates elsewhere unless named."""
    named = [
        QubitProperties(t1=(t1 or {}).get(q, LIFE), t2=(t2 or {}).get(q, LIFE))
        for q in range(qubits)
    ]
    target = Target(num_qubits=qubits, qubit_properties=named)
    target.add_instruction(CZGate(), {e: properties(x, GATE_TIME) for e, x in edges.items()})
    pulses = {(q,): properties((pulse or {}).get(q, 1e-4), 3e-8) for q in range(qubits)}
    target.add_instruction(SXGate(), pulses)
    target.add_instruction(
        RZGate(Parameter("angle")), {(q,): properties(0.0, 0.0) for q in range(qubits)}
    )
    measured = {(q,): properties((readout or {}).get(q, 0.01), READOUT_TIME) for q in range(qubits)}
    target.add_instruction(Measure(), measured)
    target.add_instruction(Reset(), {(q,): properties(None, RESET_TIME) for q in range(qubits)})
    target.add_instruction(Delay(Parameter("time")), {(q,): None for q in range(qubits)})
    return target


def line(*errors: float | None) -> dict[tuple[int, int], float | None]:
    return {(q, q + 1): error for q, error in enumerate(errors)}


def check(groups: tuple[tuple[int, ...], ...], circuit: Circuit, edges: set[frozenset[int]]):
    """Disjoint groups of N + M qubits, each connected by these edges."""
    used = [qubit for group in groups for qubit in group]
    assert len(used) == len(set(used))
    for group in groups:
        assert len(group) == circuit.qubits
        assert connected(group, edges), group


def connected(group: tuple[int, ...], edges: set[frozenset[int]]) -> bool:
    reached, grown = set(), {group[0]}
    while grown != reached:
        reached = grown
        grown = reached | {q for q in group if any(frozenset((q, p)) in edges for p in reached)}
    return reached == set(group)


# Answers known by hand


def test_a_pair_takes_the_best_coupling():
    assert set(choose_groups(chip(4, line(0.02, 0.005, 0.01)), PAIR, 1)[0]) == {1, 2}


def test_several_pairs_come_best_first():
    groups = choose_groups(chip(6, line(0.02, 0.5, 0.005, 0.5, 0.01)), PAIR, 3)
    assert [set(group) for group in groups] == [{2, 3}, {4, 5}, {0, 1}]


def test_as_many_as_fit_even_where_the_best_pair_stands_in_the_way():
    target = chip(4, line(0.02, 0.001, 0.02))
    assert {frozenset(group) for group in choose_groups(target, PAIR, 1)} == {frozenset({1, 2})}
    for copies in (2, None):
        groups = {frozenset(group) for group in choose_groups(target, PAIR, copies)}
        assert groups == {frozenset({0, 1}), frozenset({2, 3})}


def test_each_group_is_the_best_that_the_others_leave():
    # Best first would take the middle pair of the first line, and one pair fewer in all; of the
    # second line its second and last pair are best together.
    edges = {**line(0.02, 0.001, 0.02), (4, 5): 0.02, (5, 6): 0.001, (6, 7): 0.1, (7, 8): 0.03}
    groups = {frozenset(group) for group in choose_groups(chip(9, edges), PAIR, None)}
    assert groups == {frozenset(pair) for pair in ((0, 1), (2, 3), (5, 6), (7, 8))}


def test_the_only_memory_sits_between_its_channels():
    star = {(0, leaf): 0.01 for leaf in (1, 2, 3)}
    assert choose_groups(chip(4, star), circuits.get("crx", 3, 1), 1)[0][3] == 0


def test_the_only_channel_sits_between_its_memories():
    star = {(leaf, 3): 0.01 for leaf in (0, 1, 2)}
    assert choose_groups(chip(4, star), circuits.get("bidirectional", 1, 3), 1)[0][0] == 3


def test_a_bad_readout_carries_the_memory():
    for bad in (0, 1):
        assert choose_groups(chip(2, line(0.01), readout={bad: 0.2}), PAIR, 1) == ((1 - bad, bad),)


def test_a_bad_readout_is_avoided_where_all_qubits_are_channels():
    target = chip(3, line(0.01, 0.012), readout={0: 0.2})
    assert set(choose_groups(target, circuits.get("crx", 2, 0), 1)[0]) == {1, 2}


def test_a_bad_pulse_is_avoided():
    assert set(choose_groups(chip(3, line(0.01, 0.012), pulse={0: 0.05}), PAIR, 1)[0]) == {1, 2}


@pytest.mark.parametrize("life", ["t1", "t2"])
def test_a_short_life_is_no_place_for_the_memory(life):
    for short in (0, 1):
        target = chip(2, line(0.01), **{life: {short: 2e-5}})
        assert choose_groups(target, PAIR, 1) == ((short, 1 - short),)


def test_a_short_life_is_kept_busy():
    uses = [("CZ", (0, 1), None)] * 3 + [("CZ", (1, 2), None)]
    circuit = Circuit.build(3, 0, uses)
    for short in (0, 2):
        target = chip(3, line(0.01, 0.01), t1={short: 2e-5})
        assert choose_groups(target, circuit, 1) == ((short, 1, 2 - short),)


def test_a_coupling_counts_by_its_best_direction_and_gate():
    target = chip(4, {(0, 1): 0.4, (1, 0): 0.002, (1, 2): 0.03, (2, 3): 0.01})
    assert set(choose_groups(target, PAIR, 1)[0]) == {0, 1}
    target.add_instruction(RZZGate(Parameter("angle")), {(2, 3): properties(0.001, 1e-7)})
    assert set(choose_groups(target, PAIR, 1)[0]) == {2, 3}


@pytest.mark.parametrize("name", [name for name, form in GATES.items() if form.qubits == 2])
def test_every_gate_on_two_qubits_counts(name):
    start = Normal() if GATES[name].parametrised else None
    circuit = Circuit.build(1, 1, [(name, (1, 0), start)])
    assert set(choose_groups(chip(3, line(0.02, 0.01)), circuit, 1)[0]) == {1, 2}


def test_the_pair_that_is_used_most_gets_the_better_coupling():
    start = Normal()
    uses = [("CRX", (1, 0), start), ("CRX", (2, 1), start), ("CRX", (2, 1), start)]
    groups = choose_groups(chip(3, line(0.01, 0.02)), Circuit.build(1, 2, uses), 1)
    assert groups == ((2, 1, 0),)


def test_seven_qubits_in_a_line_have_the_channel_in_the_middle():
    target = chip(7, line(*[0.01] * 6))
    assert choose_groups(target, circuits.get("crx", 1, 6), 1)[0][0] == 3


def test_eight_qubits_are_arranged_so_that_no_exchange_of_two_helps():
    edges, readout = line(0.01, 0.03, 0.02, 0.05, 0.01, 0.04, 0.02), dict.fromkeys(range(8), 0.01)
    circuit = circuits.get("bidirectional", 2, 6)
    (group,) = choose_groups(chip(8, edges), circuit, 1)
    life = dict.fromkeys(range(8), LIFE)
    reached = step_loss(circuit, group, edges, readout, life)
    for a, b in itertools.combinations(group, 2):
        other = tuple({a: b, b: a}.get(qubit, qubit) for qubit in group)
        assert reached <= step_loss(circuit, other, edges, readout, life) + 1e-9


def test_without_error_rates_the_couplings_decide():
    backend = GenericBackendV2(3, coupling_map=[[0, 1], [1, 2]], noise_info=False, seed=1)
    assert choose_groups(backend.target, circuits.get("crx", 1, 2), 1)[0][0] == 1


# What is faulty


@pytest.mark.parametrize("error", [1.0, None])
def test_a_faulty_coupling_is_not_used(error):
    groups = choose_groups(chip(4, line(0.3, error, 0.3)), PAIR, None)
    assert {frozenset(group) for group in groups} == {frozenset({0, 1}), frozenset({2, 3})}
    with pytest.raises(HardwareError, match="no connected group of 3 usable qubits"):
        choose_groups(chip(4, line(0.3, error, 0.3)), circuits.get("crx", 1, 2), 1)


@pytest.mark.parametrize("error", [1.0, None])
@pytest.mark.parametrize("kind", ["readout", "pulse"])
def test_a_faulty_qubit_is_not_used(kind, error):
    target = chip(4, line(0.001, 0.01, 0.02), **{kind: {1: error}})
    assert [set(group) for group in choose_groups(target, PAIR, None)] == [{2, 3}]


@pytest.mark.parametrize("instruction", [Measure(), Reset()])
def test_a_qubit_that_cannot_be_measured_or_reset_is_not_used(instruction):
    whole = chip(4, line(0.001, 0.01, 0.02))
    target = Target(num_qubits=4)
    for name in whole.operation_names:
        places = {q: p for q, p in whole[name].items() if name != instruction.name or q != (1,)}
        target.add_instruction(whole.operation_from_name(name), places)
    assert [set(group) for group in choose_groups(target, PAIR, None)] == [{2, 3}]


# All arrangements, one by one


def step_loss(
    circuit: Circuit, group: tuple[int, ...], edges: Edges, readout: Rates, t1: Mapping[int, float]
) -> float:
    """The log-infidelity of a step on `chip`, gate by gate."""
    links = {frozenset(edge): -math.log(1 - (error or 0)) for edge, error in edges.items()}
    pulse = -math.log(1 - 1e-4)
    total = sum(-math.log(1 - (readout[q] or 0)) + 1e-6 for q in group[: circuit.channels])
    total += 2 * pulse * sum(rotation.is_gate for rotation in circuit.encoding)
    busy = dict.fromkeys(group, 0)
    for gate in circuit.gates:
        if len(gate.qubits) == 1:
            total += pulse * {"RX": 2, "RY": 2, "RZ": 0}[gate.name]
            continue
        natives = 1 if gate.name in ("CX", "CZ") else 2
        a, b = (group[qubit] for qubit in gate.qubits)
        total += cheapest(a, b, natives, group, links) + 2 * natives * pulse
        busy[a] += natives
        busy[b] += natives
    natives_in_all = sum(busy.values()) / 2
    for role, qubit in enumerate(group):
        wait = (natives_in_all - busy[qubit]) * GATE_TIME
        wait += (READOUT_TIME + RESET_TIME) * (role >= circuit.channels)
        total -= math.log(1 / 2 + math.exp(-wait / t1[qubit]) / 6 + math.exp(-wait / LIFE) / 3)
    return total


def cheapest(
    a: int, b: int, natives: int, group: tuple[int, ...], links: Mapping[frozenset[int], float]
) -> float:
    """The least loss of a gate between two qubits over all ways of swaps within the group."""
    others = [qubit for qubit in group if qubit not in (a, b)]
    losses = []
    for length in range(len(others) + 1):
        for middle in itertools.permutations(others, length):
            way = [frozenset(step) for step in itertools.pairwise((a, *middle, b))]
            if all(step in links for step in way):
                costs = [links[step] for step in way]
                # The gate stands at either end of the way, swaps on the rest.
                losses += [3 * sum(costs) + (natives - 3) * costs[end] for end in (0, -1)]
    return min(losses)


@st.composite
def devices(draw) -> tuple[int, Edges, Rates, dict[int, float]]:
    """Up to seven qubits, any couplings, errors from 0.1 % to certain, some not reported; T1."""
    qubits = draw(st.integers(2, 7))
    rates = st.one_of(st.floats(1e-3, 0.3), st.sampled_from([1.0, None]))
    wires = st.sampled_from(list(itertools.combinations(range(qubits), 2)))
    edges = draw(st.dictionaries(wires, rates, min_size=1))
    readout = {qubit: draw(rates) for qubit in range(qubits)}
    return qubits, edges, readout, {qubit: draw(st.floats(1e-6, 1e-3)) for qubit in range(qubits)}


@settings(max_examples=150)
@given(
    device=devices(),
    size=st.sampled_from([size for size in SIZES if sum(size) < 5]),
    name=st.sampled_from(["crx", "bidirectional", "hardware_efficient"]),
    copies=st.sampled_from([1, 2, None]),
)
def test_any_small_chip(device, size, name, copies):
    qubits, edges, readout, t1 = device
    circuit = circuits.get(name, *size)
    good = [q for q, error in readout.items() if error is not None and error < 1]
    good = good if any(error is not None for error in readout.values()) else list(readout)
    reported = any(error is not None for error in edges.values())
    usable = {
        edge: error
        for edge, error in edges.items()
        if set(edge) <= set(good) and ((error is None and not reported) or (error or 1) < 1)
    }
    links = {frozenset(edge) for edge in usable}
    possible = [g for g in itertools.permutations(good, circuit.qubits) if connected(g, links)]
    try:
        groups = choose_groups(chip(qubits, edges, readout=readout, t1=t1), circuit, copies)
    except HardwareError as refusal:
        if possible:
            assert copies == 2
            assert "1 disjoint connected groups" in str(refusal)
        return
    check(groups, circuit, links)
    left = set(good) - {qubit for group in groups for qubit in group}
    if copies is None:
        assert not [group for group in possible if left >= set(group)]
    else:
        assert len(groups) == copies
    if copies != 2:  # two best-first groups may leave a better second pair of groups aside
        for group in groups:
            near = [other for other in possible if set(other) <= left | set(group)]
            least = min(step_loss(circuit, other, usable, readout, t1) for other in near)
            # Where nothing is reported, a gate counts 1e-6 in the search and nothing here.
            slack = 1e-9 if reported else 1e-4
            assert step_loss(circuit, group, usable, readout, t1) <= least + slack


# Devices as they are


@pytest.fixture(scope="module", params=FAKE)
def target(request) -> Target:
    return FAKE[request.param]().target


def usable_edges(target: Target) -> set[frozenset[int]]:
    gate = "ecr" if "ecr" in target else "cz"
    return {
        frozenset(edge)
        for edge, reported in target[gate].items()
        if reported.error < 1 and max(target["measure"][q,].error for q in edge) < 1
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("copies", [1, 7, None])
def test_groups_of_a_device_are_disjoint_connected_and_usable(target, size, copies):
    circuit = circuits.get("bidirectional", *size)
    groups = choose_groups(target, circuit, copies)
    assert len(groups) == (copies or len(groups))
    check(groups, circuit, usable_edges(target))


@pytest.mark.parametrize("size", SIZES)
def test_fewer_copies_are_the_first_of_more(target, size):
    circuit = circuits.get("bidirectional", *size)
    assert choose_groups(target, circuit, 9)[:4] == choose_groups(target, circuit, 4)


def test_pairs_are_as_many_as_any_matching_has(target):
    graph = rustworkx.PyGraph()
    graph.add_nodes_from(range(target.num_qubits or 0))
    graph.add_edges_from_no_data([(min(edge), max(edge)) for edge in usable_edges(target)])
    matching = rustworkx.max_weight_matching(graph, max_cardinality=True)
    pairs = choose_groups(target, PAIR, None)
    assert len(pairs) == len(matching) >= 54


# The greatest numbers come from an exact solver of integer programs.
@pytest.mark.parametrize(
    ("name", "size", "most"),
    [
        ("fake_brisbane", (1, 2), 42),
        ("fake_brisbane", (1, 3), 31),
        ("fake_brisbane", (2, 3), 25),
        ("fake_fez", (1, 2), 51),
        ("fake_fez", (1, 3), 37),
        ("fake_fez", (2, 3), 29),
    ],
)
def test_larger_groups_miss_the_greatest_number_by_one_at_most(name, size, most):
    circuit = circuits.get("bidirectional", *size)
    assert most - 1 <= len(choose_groups(FAKE[name]().target, circuit, None)) <= most


def test_more_sets_than_the_search_looks_at_still_fill_the_chip():
    full = CouplingMap.from_full(20)
    target = chip(20, dict.fromkeys(full.get_edges(), 0.01))
    circuit = circuits.get("crx", 2, 3)
    groups = choose_groups(target, circuit, None)
    check(groups, circuit, {frozenset(edge) for edge in full.get_edges()})
    assert len(groups) >= 3


# Refusals


@pytest.mark.parametrize("copies", [0, -1])
def test_copies_below_one_are_refused(copies):
    with pytest.raises(ValueError, match=f"copies.*{copies}"):
        choose_groups(chip(2, line(0.01)), PAIR, copies)


def test_more_copies_than_fit_are_refused_with_how_many_fit():
    with pytest.raises(
        HardwareError, match=r"copies \(--pack\) is 3, but 2 disjoint .* it may be 1\.\.2"
    ):
        choose_groups(chip(5, line(*[0.01] * 4)), PAIR, 3)


def test_a_device_without_a_chip_is_refused():
    with pytest.raises(HardwareError, match="no coupling map"):
        choose_groups(AerSimulator().target, PAIR, 1)


def test_a_circuit_larger_than_the_device_is_refused():
    with pytest.raises(HardwareError, match="needs 3 qubits, but the device has 2"):
        choose_groups(chip(2, line(0.01)), circuits.get("crx", 1, 2), 1)


def test_a_device_that_cannot_reset_is_refused():
    target = Target(num_qubits=2)
    target.add_instruction(CXGate(), {(0, 1): properties(0.01, GATE_TIME)})
    target.add_instruction(SXGate(), {(q,): properties(1e-4, GATE_TIME) for q in range(2)})
    target.add_instruction(Measure(), {(q,): properties(0.01, READOUT_TIME) for q in range(2)})
    with pytest.raises(HardwareError, match="of its 2 qubits 0 are usable"):
        choose_groups(target, PAIR, 1)
