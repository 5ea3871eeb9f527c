"""Where circuits run: the Aer simulator, a snapshot of an IBM device, or an IBM device itself.

A snapshot (`fake_brisbane`) is a device's chip, gates and error rates of one day, which Aer
imitates. A part of a device is a device too: `restrict` gives a few of its qubits as a smaller
one, with the same gates and errors, which is simulated many times faster than the whole chip.
"""

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator

from sqsnn.errors import HardwareError

# Qiskit annotates neither properties() nor configuration(), which the backends of IBM have.
Backend = Any
Kind = Literal["simulator", "fake", "ibm"]

_IBM = "ibm:"
_NAMES = "'aer', a snapshot such as 'fake_brisbane', or 'ibm:NAME' for a device of your account"


@dataclass(frozen=True)
class Device:
    """A backend by the name that a user typed.

    name: The name.
    backend: Qiskit's.
    kind: "simulator" (no chip, no noise), "fake" (a snapshot) or "ibm".
    """

    name: str
    backend: Backend
    kind: Kind

    @property
    def target(self) -> Target:
        """Its gates, qubits, error rates and durations."""
        return self.backend.target

    @property
    def has_chip(self) -> bool:
        """Whether there are physical qubits to choose from."""
        return self.kind != "simulator"

    @property
    def calibrated(self) -> str | None:
        """When its error rates were measured, as an ISO date and time; None without a chip."""
        properties = self.backend.properties() if self.has_chip else None
        return None if properties is None else properties.last_update_date.isoformat()

    @property
    def rep_delay(self) -> float | None:
        """Seconds between two shots, by default; None where none is reported."""
        if not self.has_chip:
            return None
        return getattr(self.backend.configuration(), "default_rep_delay", None)


def find(name: str) -> Device:
    """The device of a name, checked for what a spiking neuron needs of it.

    Args:
        name: "aer", "fake_..." or "ibm:NAME".

    Raises:
        HardwareError: There is no such device, no account, or it cannot measure and reset a qubit
            in the middle of a circuit.
    """
    if name == "aer":
        return Device(name, AerSimulator(), "simulator")
    if name == _IBM:
        raise HardwareError(f"backend is {name!r}, which names no device; it may be {_NAMES}")
    if name.startswith("fake_"):
        device = Device(name, _snapshot(name), "fake")
    elif name.startswith(_IBM):
        from sqsnn.hardware import ibm

        device = Device(name, ibm.backend(name.removeprefix(_IBM)), "ibm")
    else:
        raise HardwareError(f"backend is {name!r}; it may be {_NAMES}")
    return require_reset(device)


def require_reset(device: Device) -> Device:
    """Refuse a device that cannot measure and reset a qubit in the middle of a circuit.

    Raises:
        HardwareError: Naming what is missing.
    """
    offered = device.target.operation_names
    missing = [name for name in ("measure", "reset") if name not in offered]
    if missing:
        raise HardwareError(
            f"backend {device.name} offers no {' and no '.join(missing)}; a spiking neuron is "
            f"measured and reset at every step. It offers {', '.join(sorted(offered))}"
        )
    return device


class Part(BackendV2):
    """Some qubits of a backend as a backend of its own, to transpile for and to simulate."""

    def __init__(self, whole: Backend, qubits: Sequence[int]) -> None:
        super().__init__(name=f"{whole.name}{list(qubits)}")
        self._target = _part_of(whole.target, qubits)

    @property
    def target(self) -> Target:
        """Gates, error rates and durations of these qubits."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """No limit."""
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        """Not possible: it is a description.

        Raises:
            HardwareError: Always.
        """
        raise HardwareError(f"{self.name} describes a part of a device; it runs nothing itself")


def restrict(backend: Backend, qubits: Sequence[int]) -> Backend:
    """The device that has these qubits alone, numbered from 0 in the order given.

    Args:
        backend: The whole device.
        qubits: Different qubits of it.

    Raises:
        HardwareError: A qubit that it does not have, or one named twice.
    """
    count = backend.num_qubits
    if len(set(qubits)) < len(qubits) or not all(0 <= qubit < count for qubit in qubits):
        raise HardwareError(
            f"qubits is {list(qubits)}; they must be different ones of 0..{count - 1} of "
            f"{backend.name}"
        )
    return Part(backend, qubits)


def _part_of(target: Target, qubits: Sequence[int]) -> Target:
    number = {qubit: place for place, qubit in enumerate(qubits)}
    known = target.qubit_properties
    part = Target(
        num_qubits=None if known else len(qubits),
        dt=target.dt,
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
        qubit_properties=[known[qubit] for qubit in qubits] if known else None,
    )
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if inspect.isclass(operation):  # control flow, which neurons do without
            continue
        placed = {
            tuple(number[qubit] for qubit in pair): properties
            for pair, properties in target[name].items()
            if pair is not None and all(qubit in number for qubit in pair)
        }
        if placed:
            part.add_instruction(operation, placed, name=name)
    return part


def _snapshot(name: str) -> Backend:
    from qiskit_ibm_runtime import fake_provider

    members = [member for member in vars(fake_provider).values() if inspect.isclass(member)]
    named: list[tuple[str, Any]] = [(getattr(m, "backend_name", None) or "", m) for m in members]
    classes = {title: member for title, member in named if title}
    if name not in classes:
        near = get_close_matches(name, classes)
        raise HardwareError(
            f"backend is {name!r}, but there is no such snapshot; "
            + (f"did you mean {' or '.join(near)}? " if near else "")
            + f"There are {', '.join(sorted(classes))}"
        )
    with warnings.catch_warnings():
        # Some snapshots warn that their rates are not typical: they are what they are.
        warnings.simplefilter("ignore")
        return classes[name]()
