"""Circuits whose bits are certain, and samplers that answer, or fail, as a device would.

Angles of 0 and pi make a neuron classical logic, in which a single bit in a wrong place shows.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import Delay, Measure, Parameter, Reset
from qiskit.circuit.library import ECRGate, RZGate, SXGate
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from sqsnn import hardware
from sqsnn.hardware import executor, ibm
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.devices import Device
from sqsnn.quantum.circuit import Circuit, Normal


def zeros(circuit: Circuit, steps: int, rows: int = 1) -> np.ndarray:
    return np.zeros((rows, len(parameter_names(circuit, steps, per_occurrence=True))))


# Logic circuits: the channels flip the memory where a rotation is pi, and the memory the channels


def logic(channels: int) -> Circuit:
    memory = channels
    gates = [("CRX", (n, memory), Normal()) for n in range(channels)]
    gates += [("CRX", (memory, n), Normal()) for n in range(channels)]
    return Circuit.build(channels, 1, gates)


def programs(channels: int, steps: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random rotations by 0 or pi, (rows, parameters), and the bits that they must give."""
    rng = np.random.default_rng(seed)
    inputs = rng.random((rows, steps, channels)) < 0.5
    writes = rng.random((rows, steps, channels)) < 0.5
    reads = rng.random((rows, steps, channels)) < 0.5
    expected = np.zeros_like(inputs)
    memory = np.zeros(rows, bool)
    for t in range(steps):
        for n in range(channels):
            memory ^= inputs[:, t, n] & writes[:, t, n]
        for n in range(channels):
            expected[:, t, n] = inputs[:, t, n] ^ (memory & reads[:, t, n])
    gates = np.concatenate([writes, reads], axis=2)  # (rows, T, 2 N)
    table = np.concatenate([inputs.reshape(rows, -1), gates.reshape(rows, -1)], axis=1)
    return table * np.pi, expected


# Stand-ins


class Job:
    """A finished job of a device: a result, or the error that waiting for it raises."""

    def __init__(self, number: str, result: Any, tags: Sequence[str] = ()) -> None:
        self.number, self._result, self.tags = number, result, list(tags)

    def job_id(self) -> str:
        return self.number

    def usage(self) -> float:
        return 2.0

    def status(self) -> str:
        return "ERROR" if isinstance(self._result, FridgeError) else "DONE"

    def result(self) -> Any:
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class FridgeError(Exception):
    """What a broken machine raises."""


def tag_options(tags: Sequence[str] | None = None) -> Any:
    """Options of a sampler of IBM's that hold the tags of its jobs."""
    return SimpleNamespace(environment=SimpleNamespace(job_tags=tags))


class StubSampler:
    """Answers every block by a function of it, or raises the exception that the function raises.

    It is the account as well, which finds a job by its number or its tag.
    """

    def __init__(self, answer: Callable[[Any, int], Any]) -> None:
        self.answer = answer
        self.blocks: list[Any] = []
        self.seeds: list[int] = []
        self.sent: dict[str, Job] = {}
        self.options = tag_options()

    def __call__(self, seed: int) -> "StubSampler":
        self.seeds.append(seed)
        return self

    def run(self, blocks: Sequence[Any]) -> Job:
        (block,) = blocks
        self.blocks.append(block)
        number = f"job-{len(self.blocks)}"
        tags = self.options.environment.job_tags or ()
        self.sent[number] = Job(number, self.answer(block, len(self.blocks)), tags)
        return self.sent[number]

    def job(self, number: str) -> Job:
        return self.sent[number]

    def jobs(self, *, job_tags: Sequence[str], instance: str | None) -> list[Job]:
        return [job for job in self.sent.values() if set(job_tags) <= set(job.tags)]

    def instances(self) -> list[dict[str, str]]:
        return [{"crn": "crn:v1:test"}]


def rows_of(block: Any) -> int:
    (values,) = block[1].values()
    return len(values)


def result_of(registers: dict[str, BitArray], rows: int) -> PrimitiveResult:
    return PrimitiveResult([SamplerPubResult(DataBin(**registers, shape=(rows,)))])


def silence(
    block: Any,
    *,
    rows: int | None = None,
    shots: int | None = None,
    bits: int | None = None,
    rename: str | None = None,
) -> PrimitiveResult:
    """A result of bits that are all 0, whole unless an argument changes it."""
    rows = rows_of(block) if rows is None else rows
    shots = block[2] if shots is None else shots
    registers = {}
    for register in block[0].cregs:
        size = register.size if bits is None else bits
        empty = np.zeros((rows, shots, -(-size // 8)), np.uint8)
        registers[rename or register.name] = BitArray(empty, size)
    return result_of(registers, rows)


def perfect(block: Any, seed: int) -> PrimitiveResult:
    """What a device without errors would answer."""
    circuit, values, shots = block
    return AerSampler(seed=seed).run([(circuit, values, shots)]).result()


def ibm_device(name: str = "ibm:test") -> Device:
    return Device(name, FakeManilaV2(), "ibm")


def play_ibm(patch: pytest.MonkeyPatch, answer: Callable[[Any, int], Any]) -> StubSampler:
    """Put a device of IBM's in the place of every backend; it keeps what it was sent.

    Args:
        patch: Takes it away again.
        answer: The answer to a block and its number.
    """
    sampler = StubSampler(answer)
    patch.setattr(hardware, "find", ibm_device)
    patch.setattr(executor, "sampler_for", lambda *args, **options: sampler)
    patch.setattr(ibm, "account", lambda: sampler)
    return sampler


# Devices with chosen rates


def small_target(error: float, time: float, t1: float, t2: float) -> Target:
    """Two qubits with ECR from 0 to 1."""
    target = Target(dt=1e-9, qubit_properties=[QubitProperties(t1=t1, t2=t2)] * 2)
    both = {(q,): InstructionProperties(time, error) for q in range(2)}
    target.add_instruction(SXGate(), dict(both))
    frame = dict.fromkeys(both, InstructionProperties(0.0, 0.0))
    target.add_instruction(RZGate(Parameter("a")), frame)
    target.add_instruction(ECRGate(), {(0, 1): InstructionProperties(time, error)})
    target.add_instruction(Delay(Parameter("t")), dict.fromkeys(both))
    target.add_instruction(Measure(), {(q,): InstructionProperties(time, 0.1) for q in range(2)})
    target.add_instruction(Reset(), both)
    return target
