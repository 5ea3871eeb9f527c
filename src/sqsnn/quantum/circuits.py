"""Named circuits: the six of the package, and those of users, registered or in their modules."""

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from sqsnn.checks import check_positive_int, from_module
from sqsnn.quantum.circuit import Circuit, Encoded, Gate, Normal, check_qubits

__all__ = ["Circuit", "CircuitFactory", "Encoded", "Gate", "Normal", "get", "names", "register"]

# factory(channels, memory_qubits, **options)
CircuitFactory = Callable[..., Circuit]
_REGISTRY: dict[str, CircuitFactory] = {}


def register(name: str) -> Callable[[CircuitFactory], CircuitFactory]:
    """Make `factory(channels, memory_qubits, **options)` known under a name (a decorator).

    A name that is registered again, as a notebook does, means the new circuit from then on; a
    warning says so.

    Raises:
        ValueError: If a circuit of the package has this name.

    Example:
        >>> @register("kick_and_read")
        ... def kick_and_read(channels: int, memory_qubits: int) -> Circuit:
        ...     memory = range(channels, channels + memory_qubits)
        ...     pairs = [(n, m) for m in memory for n in range(channels)]
        ...     kicks = [("CRX", (n, m), Normal(1.0, 0.3)) for n, m in pairs]
        ...     reads = [("CRX", (m, n), Normal(1.0, 0.3)) for n, m in pairs]
        ...     return Circuit.build(channels, memory_qubits, kicks + reads)
        >>> get("kick_and_read", 1, 2).gate_counts()
        {'CRX': 4, 'RX': 1}
    """

    def remember(factory: CircuitFactory) -> CircuitFactory:
        if is_of_the_package(name):
            raise ValueError(
                f"circuit {name!r} belongs to the package, whose published figures it stands for; "
                "choose another name"
            )
        if name in _REGISTRY:
            warnings.warn(
                f"circuit {name!r} was registered before; from now on the name means the new one",
                stacklevel=2,
            )
        _REGISTRY[name] = factory
        return factory

    return remember


def names() -> tuple[str, ...]:
    """The names of all registered circuits."""
    return tuple(_REGISTRY)


def is_of_the_package(name: str) -> bool:
    """Whether a name is that of a circuit of the package."""
    return getattr(_REGISTRY.get(name), "__module__", None) == __name__


def get(
    circuit: str | Circuit | CircuitFactory, channels: int, memory_qubits: int, **options: object
) -> Circuit:
    """The circuit of a name for N channels and M memory qubits, or the one given.

    Args:
        circuit: A registered name; "module:function" for a function that makes circuits, in a
            module that can be imported; such a function itself; or a `Circuit` made for these
            numbers of qubits.
        channels: N.
        memory_qubits: M.
        **options: Further options of the named circuit (e.g. `layers` of `hardware_efficient`).

    Raises:
        ValueError: If the name, the module or the function is unknown, a `Circuit` has other
            numbers of qubits or comes with options, or a function makes no such circuit.
        TypeError: If the named circuit does not take these options.

    Example:
        >>> get("bidirectional", 1, 2).parameters
        8
    """
    if isinstance(circuit, Circuit):
        if options:
            raise ValueError(
                f"options {sorted(options)} go with a circuit's name; circuit {circuit.name!r} is "
                "built already"
            )
        if (circuit.channels, circuit.memory_qubits) != (channels, memory_qubits):
            raise ValueError(
                f"circuit {circuit.name!r} has channels={circuit.channels}, memory_qubits="
                f"{circuit.memory_qubits}, but the neurons have {channels} and {memory_qubits}"
            )
        return circuit
    check_qubits(channels, memory_qubits)
    build = _find(circuit) if isinstance(circuit, str) else circuit
    if not callable(build):
        raise TypeError(f"circuit is {circuit!r}; it may be a name, a Circuit or a function")
    name = circuit if isinstance(circuit, str) else getattr(build, "__name__", "custom")
    try:
        inspect.signature(build).bind(channels, memory_qubits, **options)
    except TypeError as error:
        known = ", ".join(list(inspect.signature(build).parameters)[2:]) or "none"
        raise TypeError(f"circuit {name!r} has the options: {known}; but {error}") from None
    made: Any = build(channels, memory_qubits, **options)
    if not isinstance(made, Circuit):
        raise ValueError(
            f"circuit {name!r}: the function must return a Circuit, as Circuit.build makes it, but "
            f"returned {made!r}"
        )
    if (made.channels, made.memory_qubits) != (channels, memory_qubits):
        raise ValueError(
            f"circuit {name!r}: the function was called with channels={channels}, memory_qubits="
            f"{memory_qubits}, but made a circuit of {made.channels} and {made.memory_qubits}"
        )
    return replace(made, name=name)


def _find(name: str) -> CircuitFactory:
    """The function behind a registered name or "module:function"."""
    if name in _REGISTRY:
        return _REGISTRY[name]
    if ":" not in name:
        raise ValueError(
            f"circuit is {name!r}; it may be one of {', '.join(_REGISTRY)}, one of your own after "
            "an import of the module that registers it, or 'module:function'"
        )
    return from_module("circuit", name, "function", callable)


@register("crx")
def crx(channels: int, memory_qubits: int) -> Circuit:
    """The paper's neuron: the memory controls the channels and turns by itself."""
    io, memory = _wires(channels, memory_qubits)
    start = Normal(0.0, 0.5)
    placements = [
        *(("CRX", (m, n), start) for m in memory for n in io),
        *(("RX", (m,), start) for m in memory),
        *(("RX", (n,), Normal(0.3, 0.5)) for n in io),
    ]
    return Circuit.build(channels, memory_qubits, placements)


@register("bidirectional")
def bidirectional(channels: int, memory_qubits: int, coupling: float = 0.3 * math.pi) -> Circuit:
    """A memory that the input writes, that holds, and that the channels read.

    `coupling` is the size of the initial write and read angles: 0.3 pi, or 0.6 pi for tasks in
    which a cue must be remembered over a delay. 0 starts all angles near 0, which suits a leaky
    drive. Exactly 0 would be a saddle, and at a small angle below 0 a channel fires less the more
    it is turned: a neuron that should fire more would be pushed into silence, so channels start at
    0.1.
    """
    io, memory = _wires(channels, memory_qubits)
    coupled = Normal(coupling, 0.3, random_sign=True)
    starts = coupled, Normal(0.0, 0.1), Normal(0.0, 0.05), Normal(0.3)
    pair, chain, on_memory, on_channel = (
        starts if coupling else [Normal(0.0, 0.02)] * 3 + [Normal(0.1)]
    )
    placements = [
        *(("CRX", (n, m), pair) for m in memory for n in io),
        *(("CRX", (a, a + 1), chain) for a in memory[:-1]),
        *(("RX", (m,), on_memory) for m in memory),
        *(("CRX", (m, n), pair) for m in memory for n in io),
        *(("RX", (n,), on_channel) for n in io),
    ]
    return Circuit.build(channels, memory_qubits, placements)


@register("integrate_and_fire")
def integrate_and_fire(channels: int, memory_qubits: int) -> Circuit:
    """The memory integrates the current coherently, and the neuron's own spike flips it back."""
    if memory_qubits < 1:
        raise ValueError(
            "memory_qubits is 0; circuit 'integrate_and_fire' integrates on its memory and needs "
            "at least 1 ('crx', 'bidirectional' and 'hardware_efficient' also work without)"
        )
    io, memory = _wires(channels, memory_qubits)

    def coupled(angle: float, m: int, n: int) -> Normal:
        return Normal(angle if (m - channels) % channels == n else 0.0, 0.1)

    placements = [
        *(("CRX", (m, n), coupled(math.pi / 2, m, n)) for m in memory for n in io),
        *(("CRX", (n, m), coupled(math.pi, m, n)) for m in memory for n in io),
        *(("RX", (m,), Normal(0.0, 0.1)) for m in memory),
        *(("RX", (n,), Normal(0.0, 0.1)) for n in io),
    ]
    encoding = _on_memory_and_channels(channels, memory_qubits)
    return Circuit.build(channels, memory_qubits, placements, encoding)


@register("hardware_efficient")
def hardware_efficient(channels: int, memory_qubits: int, layers: int = 1) -> Circuit:
    """`layers` of RX and RZ on all qubits and a ring of CZ, then RX on the channels; complex."""
    check_positive_int("layers", layers, high=1000)
    io, memory = _wires(channels, memory_qubits)
    wires = [*io, *memory]
    start = Normal(0.0, 0.5)
    ring = [(q, q + 1) for q in wires[:-1]] + ([(wires[-1], 0)] if len(wires) > 2 else [])
    layer = [
        *(("RX", (q,), start) for q in wires),
        *(("RZ", (q,), start) for q in wires),
        *(("CZ", pair, None) for pair in ring),
    ]
    placements = [*layer * layers, *(("RX", (n,), start) for n in io)]
    return Circuit.build(channels, memory_qubits, placements)


@register("clock")
def clock(channels: int, memory_qubits: int, layers: int | None = None) -> Circuit:
    """A memory that turns by itself, is read weakly, and is set back by the neuron's own spike.

    It generates regular spike trains without input. With one memory qubit it has the gates of
    `integrate_and_fire`; more are coupled along a chain, in both directions. By default there is 1
    layer for one memory qubit, and 3 for more: with one channel and two memory qubits, these have
    as many free directions as all real instruments.
    """
    if memory_qubits < 1:
        raise ValueError(
            "memory_qubits is 0; circuit 'clock' keeps the time in its memory and needs at least 1"
        )
    if layers is None:
        layers = 1 if memory_qubits == 1 else 3
    check_positive_int("layers", layers, high=1000)
    io, memory = _wires(channels, memory_qubits)
    # A clock that turns little per step, is read by a quarter turn and set back by a half: from
    # there the fit finds what random strong gates hide from it.
    read, reset, turn = (Normal(angle / layers, 0.3) for angle in (math.pi / 2, math.pi, 0.3))
    layer = [
        *(("CRX", (m, n), read) for m in memory for n in io),
        *(("CRX", (n, m), reset) for m in memory for n in io),
        *(("CRX", (a, a + 1), Normal(0.0, 0.3)) for a in memory[:-1]),
        *(("CRX", (a + 1, a), Normal(0.0, 0.3)) for a in memory[:-1]),
        *(("RX", (m,), turn) for m in memory),
        *(("RX", (n,), Normal(0.0, 0.3)) for n in io),
    ]
    return Circuit.build(
        channels, memory_qubits, layer * layers, _on_memory_and_channels(channels, memory_qubits)
    )


@register("universal")
def universal(channels: int, memory_qubits: int, layers: int | None = None) -> Circuit:
    """A brickwork of two-qubit gates, each in its canonical form; complex.

    RZ RX RZ on every qubit; then `layers` times, for each pair of neighbours, RXX RYY RZZ and RZ RX
    RZ on both. One block is any gate on two qubits (Kraus and Cirac, Phys. Rev. A 63, 062309,
    2001), so that one channel and one memory qubit make, with 15 angles, any instrument that keeps
    the memory pure. By default there is 1 layer on two qubits, and n layers on more: on three, the
    instruments have as many free directions as all instruments.
    """
    io, memory = _wires(channels, memory_qubits)
    wires = [*io, *memory]
    if layers is None:
        layers = 1 if len(wires) <= 2 else len(wires)
    check_positive_int("layers", layers, high=1000)
    start = Normal(0.0, 0.1)  # near the identity, as in `clock`

    def turn(*qubits: int) -> list[tuple[str, tuple[int, ...], Normal]]:
        return [(name, (q,), start) for q in qubits for name in ("RZ", "RX", "RZ")]

    layer = [
        gate
        for pair in pairwise(wires)
        for gate in [*((name, pair, start) for name in ("RXX", "RYY", "RZZ")), *turn(*pair)]
    ]
    return Circuit.build(channels, memory_qubits, [*turn(*wires), *layer * layers])


def _wires(channels: int, memory_qubits: int) -> tuple[range, range]:
    return range(channels), range(channels, channels + memory_qubits)


def _on_memory_and_channels(channels: int, memory_qubits: int) -> list[Encoded]:
    """The encoding of currents that turn the memory, and in the end the channels as well."""
    io, memory = _wires(channels, memory_qubits)
    return [
        *(Encoded(n, n, 0.0, trainable=True) for n in io),
        *(Encoded(m, (m - channels) % channels, 1.0, trainable=True) for m in memory),
    ]
