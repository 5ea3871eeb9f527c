"""Which qubits of a chip carry a neuron: disjoint connected groups, best first, roles arranged.

A group is scored by the expected log-infidelity of one time step: the sum of -log(1 - error) over
the native gates, the readout of the channels, and relaxation and dephasing of qubits that wait.
Crosstalk between groups is in no backend's report and is left out.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from qiskit.circuit import Gate
from qiskit.transpiler import CouplingMap, Target

from sqsnn.checks import check_positive_int
from sqsnn.errors import HardwareError
from sqsnn.hardware.devices import instructions, mid_circuit
from sqsnn.quantum.circuit import Circuit

# Native gates in place of one of ours, for any of ECR, CX, CZ, RZZ as the native two-qubit gate.
_NATIVE_PAIRS = {"CRX": 2, "CRY": 2, "CRZ": 2, "RXX": 2, "RYY": 2, "RZZ": 2, "CX": 1, "CZ": 1}
# A rotation is two pulses between frame changes; a frame change (RZ) takes no pulse.
_PULSES = {"RX": 2, "RY": 2, "RZ": 0, "H": 1}
_SWAP_GATES = 3
# A gate reported without error still counts a little: of equals, the group without swaps wins.
_LEAST_LOSS = 1e-6
# Limits of the search. A heavy-hexagonal chip of 156 qubits has 500 connected sets of five qubits
# and thousands of ten; up to six qubits every arrangement of the roles is tried.
_MOST_SETS, _MOST_ARRANGEMENTS, _STARTS = 2000, 720, 60


def choose_groups(
    target: Target, circuit: Circuit, copies: int | None
) -> tuple[tuple[int, ...], ...]:
    """Choose disjoint connected groups of N + M physical qubits, the best first, channels first.

    Gates count with the best error over native gates and directions. Qubits without measurement or
    reset, and qubits and couplings whose error is 1, or not reported where that of others is, are
    not used; a device that reports no errors is judged by its couplings alone. So many `copies` are
    chosen greedily by error rates; None stands for as many as a search finds that strands few
    qubits, then exchanged for better ones where that costs none.
    """
    if copies is not None:
        check_positive_int("copies", copies)
    coupling = target.build_coupling_map()
    if coupling is None:
        raise HardwareError(
            "the device has no coupling map: groups of qubits can be chosen on a chip only (a "
            "fake device or a real one)"
        )
    if circuit.qubits > coupling.size():
        raise HardwareError(
            f"a neuron with channels={circuit.channels} and memory_qubits={circuit.memory_qubits} "
            f"needs {circuit.qubits} qubits, but the device has {coupling.size()}"
        )
    chip = _Chip.of(target, coupling)
    sets = _connected_sets(chip, circuit)
    if not len(sets):
        raise HardwareError(
            f"the device has no connected group of {circuit.qubits} usable qubits: of its "
            f"{coupling.size()} qubits {len(chip.usable)} are usable (with measurement, reset and "
            f"error rates below 1), joined by {np.isfinite(chip.pair).sum() // 2} usable couplings"
        )
    groups, scores = _arranged(sets, chip, circuit)
    chosen = _best_first(groups, scores, copies)
    if copies is None or len(chosen) < copies:
        chosen = max(chosen, _most(groups, scores), key=len)
        if copies is not None and len(chosen) < copies:
            raise HardwareError(
                f"copies (--pack) is {copies}, but {len(chosen)} disjoint connected groups of "
                f"{circuit.qubits} qubits were found on the device's {len(chip.usable)} usable "
                f"qubits; it may be 1..{len(chosen)}, or None (all) for as many as fit"
            )
        chosen = _exchanged(groups, scores, chosen)
    chosen = sorted(chosen, key=lambda index: (scores[index], index))[:copies]
    return tuple(tuple(map(int, groups[index])) for index in chosen)


class _Chip(NamedTuple):
    """The report of a device as losses -log(1 - error); an index is a physical qubit."""

    usable: list[int]
    pair: np.ndarray  # (qubits, qubits), one native two-qubit gate; inf without a coupling
    pulse: np.ndarray  # (qubits,), one native gate on one qubit
    readout: np.ndarray  # (qubits,), measurement and reset
    t1: np.ndarray  # (qubits,), s; inf without a report
    t2: np.ndarray
    pair_duration: float  # s, median; 0 without a report
    readout_duration: float

    @classmethod
    def of(cls, target: Target, coupling: CouplingMap) -> "_Chip":
        """Read the losses of usable qubits and couplings."""
        size = coupling.size()
        singles, pairs = _gate_names(target, 1), _gate_names(target, 2)
        qubits = [(qubit,) for qubit in range(size)]
        reading, setting = ([mid_circuit(target, name)] for name in ("measure", "reset"))
        # The last step, which may be the only one, is measured as at the end of any circuit.
        measured = _worst_errors(target, ["measure", *reading], qubits)
        reset = _errors(target, setting, qubits)
        pulsed = _errors(target, singles, qubits)
        coupled = _errors(target, pairs, list(coupling.get_edges()))
        usable = sorted(qubit for (qubit,) in measured.keys() & reset.keys() & pulsed.keys())

        pulse, readout = np.zeros(size), np.zeros(size)
        for qubit in usable:
            pulse[qubit] = _loss(pulsed[qubit,])
            readout[qubit] = _loss(measured[qubit,]) + _loss(reset[qubit,])
        pair = np.full((size, size), np.inf)
        for (a, b), error in coupled.items():
            if a in usable and b in usable:
                pair[a, b] = pair[b, a] = _loss(error)
        properties = target.qubit_properties or [None] * size
        return cls(
            usable,
            pair,
            pulse,
            readout,
            np.array([getattr(each, "t1", None) or np.inf for each in properties]),
            np.array([getattr(each, "t2", None) or np.inf for each in properties]),
            _duration(target, pairs),
            _duration(target, reading) + _duration(target, setting),
        )

    def role_losses(self, circuit: Circuit) -> np.ndarray:
        """Compute each qubit's loss in each role, two-qubit gates aside; `(N + M, qubits)`."""
        pulses = np.zeros(circuit.qubits)
        touching = np.zeros(circuit.qubits)
        for rotation in circuit.encoding:
            pulses[rotation.qubit] += _PULSES["RX"] * rotation.is_gate
        for gate in circuit.gates:
            native = _NATIVE_PAIRS.get(gate.name, 0)
            pulses[list(gate.qubits)] += _PULSES.get(gate.name, native)
            touching[list(gate.qubits)] += native
        is_channel = np.arange(circuit.qubits) < circuit.channels
        # Reported gate and readout errors contain the decay meanwhile: only waiting is added. Gates
        # follow one another in this estimate, and the memory waits while the channels are read.
        waiting = (touching.sum() / 2 - touching) * self.pair_duration
        waiting = (waiting + ~is_channel * self.readout_duration)[:, None]
        # Average fidelity of a qubit that waits, from relaxation and dephasing.
        kept = 1 / 2 + np.exp(-waiting / self.t1) / 6 + np.exp(-waiting / self.t2) / 3
        return np.outer(pulses, self.pulse) + np.outer(is_channel, self.readout) - np.log(kept)


def _gate_names(target: Target, qubits: int) -> list[str]:
    gates = [(name, gate) for name, gate in instructions(target) if isinstance(gate, Gate)]
    return [name for name, gate in gates if gate.num_qubits == qubits]


def _errors(
    target: Target, names: Iterable[str], places: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], float]:
    """Find the least error of every place where an instruction works; pairs in ascending order.

    Frame changes, which are without error everywhere, do not count.
    """
    works: set[tuple[int, ...]] = set()
    found: dict[tuple[int, ...], float] = {}
    for name in names:
        at = [place for place in places if target.instruction_supported(name, place)]
        works.update(tuple(sorted(place)) for place in at)
        errors = {place: getattr(target[name].get(place), "error", None) for place in at}
        if any(errors.values()):
            for place, error in errors.items():
                key = tuple(sorted(place))
                found[key] = min(found.get(key, 1.0), 1.0 if error is None else float(error))
    if not found:
        return dict.fromkeys(works, 0.0)
    return {place: error for place, error in found.items() if error < 1}


def _worst_errors(
    target: Target, names: Sequence[str], places: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], float]:
    """Find the largest error of every place where all instructions work."""
    each = [_errors(target, [name], places) for name in dict.fromkeys(names)]
    common = set(each[0]).intersection(*each)
    return {place: max(errors[place] for errors in each) for place in common}


def _duration(target: Target, names: Iterable[str]) -> float:
    each = [
        properties.duration
        for name in names
        if name in target
        for properties in target[name].values()
        if properties is not None and properties.duration is not None
    ]
    return float(np.median(each)) if each else 0.0


def _loss(error: float) -> float:
    return max(-np.log1p(-error), _LEAST_LOSS)


def _couplings(circuit: Circuit) -> Counter[tuple[int, int, int]]:
    """Count the uses of each pair of qubits: (qubit, qubit, native gates) -> uses."""
    placed = [gate for gate in circuit.gates if gate.name in _NATIVE_PAIRS]
    return Counter((gate.qubits[0], gate.qubits[1], _NATIVE_PAIRS[gate.name]) for gate in placed)


def _connected_sets(chip: _Chip, circuit: Circuit) -> np.ndarray:
    """List connected sets of usable qubits, `(sets, N + M)`: all of them, up to the limit."""
    neighbours = [set(np.flatnonzero(np.isfinite(row)).tolist()) for row in chip.pair]
    # A rough rank, for the limit alone: every qubit in its best role, gates along a tree.
    own = chip.role_losses(circuit).min(axis=0)
    natives = sum(uses * native for (_, _, native), uses in _couplings(circuit).items())
    pair = chip.pair * max(1, natives) / max(1, circuit.qubits - 1)
    ranks = {frozenset([qubit]): float(own[qubit]) for qubit in chip.usable}
    for _ in range(circuit.qubits - 1):
        grown: dict[frozenset[int], float] = {}
        for members, rank in ranks.items():
            for new in set().union(*(neighbours[member] for member in members)) - members:
                nearest = min(pair[new, member] for member in neighbours[new] & members)
                key = members | {new}
                grown[key] = min(grown.get(key, np.inf), rank + own[new] + nearest)
        ranks = _thinned(grown)
    return np.array(sorted(sorted(members) for members in ranks), int)


def _thinned(ranks: dict[frozenset[int], float]) -> dict[frozenset[int], float]:
    """Keep the best sets, and as many random ones from all over the chip, within the limit."""
    if len(ranks) <= _MOST_SETS:
        return ranks
    order = sorted(ranks, key=lambda members: (ranks[members], sorted(members)))
    half = _MOST_SETS // 2
    random = np.random.default_rng(0).choice(len(order) - half, half, replace=False) + half
    return {order[place]: ranks[order[place]] for place in [*range(half), *random.tolist()]}


def _arranged(sets: np.ndarray, chip: _Chip, circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    """Put every set in the order of roles that scores best, `(sets, N + M)`, with its score."""
    size, rows = circuit.qubits, np.arange(len(sets))
    couplings, roles = _couplings(circuit), chip.role_losses(circuit)
    edges = chip.pair[sets[:, :, None], sets[:, None, :]]
    links = {native: _link_losses(edges, native) for *_, native in couplings}

    def losses(places: np.ndarray) -> np.ndarray:  # (sets or 1, arrangements, N + M)
        each = rows[:, None]
        total = np.zeros((len(sets), places.shape[1]))
        for role in range(size):
            total += roles[role, sets[each, places[..., role]]]
        for (a, b, native), uses in couplings.items():
            total += uses * links[native][each, places[..., a], places[..., b]]
        return total

    tried = _arrangements(size)
    found = losses(tried[None])
    scores, order = found.min(axis=1), tried[found.argmin(axis=1)]
    # Where not all arrangements were tried, exchange two roles for as long as that helps.
    swaps = [_swapped(size, a, b) for a, b in itertools.combinations(range(size), 2)]
    better = np.full(len(sets), len(tried) < math.factorial(size))
    while better.any():
        near = order[:, swaps]
        found = losses(near)
        better = found.min(axis=1) < scores
        order = np.where(better[:, None], near[rows, found.argmin(axis=1)], order)
        scores = np.minimum(scores, found.min(axis=1))
    return sets[rows[:, None], order], scores


def _arrangements(size: int) -> np.ndarray:
    """List orders of the roles: all, or random ones to start from where there are too many."""
    if math.factorial(size) <= _MOST_ARRANGEMENTS:
        return np.array(list(itertools.permutations(range(size))))
    generator = np.random.default_rng(0)
    return np.array([generator.permutation(size) for _ in range(_STARTS)])


def _swapped(size: int, a: int, b: int) -> list[int]:
    order = list(range(size))
    order[a], order[b] = b, a
    return order


def _link_losses(edges: np.ndarray, natives: int) -> np.ndarray:
    """Compute the loss of a gate of `natives` native ones between any two; `(sets, k, k)`.

    One of the two is swapped along the cheapest way until it is a neighbour of the other.
    """
    size = edges.shape[1]
    way = np.where(np.eye(size, dtype=bool), 0.0, edges)
    for via in range(size):
        way = np.minimum(way, way[:, :, via, None] + way[:, via, None, :])
    last = _SWAP_GATES * way[:, :, :, None] + natives * edges[:, None, :, :]
    loss = last.min(axis=2)
    return np.minimum(loss, loss.transpose(0, 2, 1))


def _best_first(groups: np.ndarray, scores: np.ndarray, copies: int | None) -> list[int]:
    """Choose disjoint groups by index, each the best that the former ones leave."""
    chosen: list[int] = []
    taken: set[int] = set()
    for index in np.argsort(scores, kind="stable").tolist():
        if len(chosen) == copies:
            break
        if taken.isdisjoint(groups[index].tolist()):
            chosen.append(index)
            taken.update(groups[index].tolist())
    return chosen


def _most(groups: np.ndarray, scores: np.ndarray) -> list[int]:
    """Choose many disjoint groups by index, next the one with the qubit hardest to place."""
    chosen: list[int] = []
    left = np.arange(len(groups))
    while len(left):
        ways = np.bincount(groups[left].ravel())[groups[left]]  # groups left with each qubit
        first = np.lexsort((scores[left], ways.sum(axis=1), ways.min(axis=1)))[0]
        chosen.append(int(left[first]))
        left = left[~np.isin(groups[left], groups[chosen[-1]]).any(axis=1)]
    return chosen


def _exchanged(groups: np.ndarray, scores: np.ndarray, chosen: Sequence[int]) -> list[int]:
    """Exchange groups for better ones that the others leave free, until none improves."""
    chosen = list(chosen)
    busy = np.bincount(groups[chosen].ravel(), minlength=groups.max() + 1)
    improved = True
    while improved:
        improved = False
        for place, index in enumerate(chosen):
            busy[groups[index]] -= 1
            free = ~busy[groups].any(axis=1)
            best = int(np.where(free, scores, np.inf).argmin())
            if scores[best] < scores[index]:
                chosen[place], improved = best, True
            busy[groups[chosen[place]]] += 1
    return chosen
