"""Where circuits run: the simulators Aer and Braket's, a snapshot of an IBM device, or the device.

A snapshot (`fake_boston`) is a device's chip, gates and error rates of one day, which Aer
imitates. A part of a device is a device too: `restrict` gives a few of its qubits as a smaller
one, with the same gates and errors, which is simulated many times faster than the whole chip.
"""

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from qiskit.circuit import IfElseOp
from qiskit.providers import BackendV2, Options, QubitProperties
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator

from sqsnn.errors import HardwareError
from sqsnn.hardware import braket
from sqsnn.hardware.calling import calling

# Qiskit annotates neither properties() nor configuration(), which the backends of IBM have.
Backend = Any
Kind = Literal["simulator", "fake", "ibm"]

_IBM = "ibm:"
_NAMES = "'aer', 'braket', a snapshot such as 'fake_boston', or 'ibm:NAME' for a device of yours"


@dataclass(frozen=True)
class Device:
    """A backend under the name that a user typed.

    Args:
        name: The name.
        backend: Qiskit's backend.
        kind: "simulator" (no chip, no noise), "fake" (a snapshot) or "ibm".
    """

    name: str
    backend: Backend
    kind: Kind

    @property
    def target(self) -> Target:
        """Gates, qubits, error rates and durations."""
        with self._asked():
            return self.backend.target

    @property
    def has_chip(self) -> bool:
        """Whether there are physical qubits to choose from."""
        return self.kind != "simulator"

    @property
    def calibrated(self) -> str | None:
        """Date and time (ISO) of the measurement of its error rates; None without a chip."""
        if not self.has_chip:
            return None
        with self._asked():
            properties = self.backend.properties()
            return None if properties is None else properties.last_update_date.isoformat()

    @property
    def rep_delay(self) -> float | None:
        """Seconds between two shots, by default; None where the device reports none."""
        if not self.has_chip:
            return None
        with self._asked():
            return getattr(self.backend.configuration(), "default_rep_delay", None)

    def _asked(self) -> AbstractContextManager[None]:
        """Ask the service about the device, where it has one."""
        return calling(f"{self.name} cannot be described") if self.kind == "ibm" else nullcontext()


def find(name: str) -> Device:
    """Find a device by its name.

    Args:
        name: "aer", "braket", "fake_..." or "ibm:NAME".

    Raises:
        HardwareError: If there is no such device, no account, or the device cannot measure and
            reset a qubit in the middle of a circuit.
    """
    if name == "aer":
        return Device(name, AerSimulator(), "simulator")
    if name.partition(":")[0] == braket.NAME or "arn:" in name.lower():
        return Device(name, braket.backend(name), "simulator")
    if name == _IBM:
        raise HardwareError(
            f"backend is {name!r}, without the name of a device; it may be {_NAMES}"
        )
    if name.startswith("fake_"):
        device = Device(name, _snapshot(name), "fake")
    elif name.startswith(_IBM):
        from sqsnn.hardware import ibm

        device = Device(name, ibm.backend(name.removeprefix(_IBM)), "ibm")
    else:
        raise HardwareError(f"backend is {name!r}; it may be {_NAMES}")
    return require_reset(device)


def require_reset(device: Device) -> Device:
    """Refuse a device that cannot measure and reset a qubit in the middle of a circuit."""
    offered = device.target.operation_names
    missing = [name for name in ("measure", "reset") if name not in offered]
    if missing:
        raise HardwareError(
            f"backend {device.name} offers no {' and no '.join(missing)}; a spiking neuron is "
            f"measured and reset at every step. It offers {', '.join(sorted(offered))}"
        )
    return device


def require_conditions(device: Device) -> None:
    """Refuse a device on which no gate can depend on an earlier measurement."""
    if "if_else" not in device.target.operation_names:
        raise HardwareError(
            f"backend {device.name} offers no if_else, but the own spikes of a leaky neuron "
            "choose its angles in the middle of a circuit; choose a device "
            "that does, such as fake_boston, or train with reset_steps 0, or with memory_qubits "
            "0 and the whole membrane, which runs step by step"
        )


def mid_circuit(target: Target, name: str) -> str:
    """Name what a device has for `measure` or `reset` in the middle of a circuit.

    Newer chips of IBM have a shorter `measure_2` and `reset_2` there.
    """
    shorter = f"{name}_2"
    return shorter if shorter in target.operation_names else name


class Part(BackendV2):
    """Some qubits of a backend as a backend, to transpile for and to simulate."""

    def __init__(self, whole: Backend, qubits: Sequence[int]) -> None:
        super().__init__(name=f"{whole.name}{list(qubits)}")
        self._target = _part_of(whole.target, qubits)

    @property
    def target(self) -> Target:
        """Gates, error rates and durations of these qubits."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """None, that is no limit."""
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        """Refuse to run: a part is a description."""
        raise HardwareError(f"{self.name} describes a part of a device and cannot run circuits")


def restrict(backend: Backend, qubits: Sequence[int]) -> Backend:
    """Cut a device down to some of its qubits, numbered from 0 in the order given."""
    count = backend.num_qubits
    if len(set(qubits)) < len(qubits) or not all(0 <= qubit < count for qubit in qubits):
        raise HardwareError(
            f"qubits is {list(qubits)}, but must be different qubits in 0..{count - 1} of "
            f"{backend.name}"
        )
    return Part(backend, qubits)


def _part_of(target: Target, qubits: Sequence[int]) -> Target:
    number = {qubit: place for place, qubit in enumerate(qubits)}
    known = target.qubit_properties
    part = bare_target(target, len(qubits), [known[q] for q in qubits] if known else None)
    for name, operation in instructions(target):
        placed = {
            tuple(number[qubit] for qubit in pair): properties
            for pair, properties in target[name].items()
            if pair is not None and all(qubit in number for qubit in pair)
        }
        if placed:
            part.add_instruction(operation, placed, name=name)
    if "if_else" in target.operation_names and "if_else" not in part.operation_names:
        part.add_instruction(IfElseOp, name="if_else")
    return part


def bare_target(like: Target, qubits: int, properties: Sequence[QubitProperties] | None) -> Target:
    """Make a target without instructions that has the time grid of another one."""
    return Target(
        num_qubits=None if properties else qubits,
        dt=like.dt,
        granularity=like.granularity,
        min_length=like.min_length,
        pulse_alignment=like.pulse_alignment,
        acquire_alignment=like.acquire_alignment,
        qubit_properties=None if properties is None else list(properties),
    )


def instructions(target: Target) -> Iterator[tuple[str, Any]]:
    """Yield names and instructions of a target, without control flow."""
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if not inspect.isclass(operation):
            yield name, operation


def _snapshot(name: str) -> Backend:
    from qiskit_ibm_runtime import fake_provider

    members = [member for member in vars(fake_provider).values() if inspect.isclass(member)]
    named: list[tuple[str, Any]] = [(getattr(m, "backend_name", None) or "", m) for m in members]
    classes = {title: member for title, member in named if title}
    if name not in classes:
        near = get_close_matches(name, classes)
        raise HardwareError(
            f"backend is {name!r}, which is no known snapshot; "
            + (f"did you mean {' or '.join(near)}? " if near else "")
            + f"There are {', '.join(sorted(classes))}"
        )
    with warnings.catch_warnings():
        # Some snapshots warn that their rates are not typical, which a user who names them accepts.
        warnings.simplefilter("ignore")
        return classes[name]()
