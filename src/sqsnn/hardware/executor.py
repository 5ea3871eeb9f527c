"""Runs neurons on a device: rows of angles in, spikes out, in as few jobs as its limits allow.

A circuit is transpiled once for (circuit, steps) and bound to many rows of angles: a layer of a
network over a batch is one job. Every result is checked; a job that fails or is incomplete is an
error, and nothing is ever filled in.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from sqsnn.checks import check_positive_int
from sqsnn.errors import HardwareError
from sqsnn.hardware import feedforward, ibm
from sqsnn.hardware.calling import calling
from sqsnn.hardware.circuits import parameter_names, whole_spikes
from sqsnn.hardware.compile import Compiled, Groups, compile_neuron
from sqsnn.hardware.cost import Estimate, estimate
from sqsnn.hardware.devices import Device
from sqsnn.hardware.jobs import Journal, Note, job_key, new_tag
from sqsnn.hardware.packing import choose_groups
from sqsnn.hardware.resuming import earlier
from sqsnn.hardware.samplers import SamplerFactory, sampler_for
from sqsnn.quantum.circuit import Circuit

# Memory is the limit of a simulator.
MAX_ROWS_LOCALLY = 100_000

# Circuit, steps, reset_steps, and the circuit whose places are used.
_Key = tuple[Circuit, int, int, Circuit]


class Counts(NamedTuple):
    """What an executor has run."""

    jobs: int = 0  # sent to the device by this executor
    circuits: int = 0  # rows of angles bound, neurons side by side counted once
    shots: int = 0  # over all circuits
    transpilations: int = 0  # circuits transpiled
    resumed: int = 0  # jobs of an earlier executor: bits on the disk or fetched
    device_seconds: float = 0.0  # billed, as far as reported so far; 0 for a simulation


class _Program(NamedTuple):
    """The part that all jobs of a call share."""

    circuit: Circuit
    steps: int
    reset_steps: int
    shots: int
    compiled: Compiled
    sampler: SamplerFactory
    placed: bool  # on the qubits of another circuit, as calibrations are


class _Job(NamedTuple):
    """Some rows of angles, sent together."""

    values: np.ndarray
    seed: int
    key: str
    about: dict[str, Any]


class _Sent(NamedTuple):
    """A job under way, and the tag of its note; None where none is kept."""

    job: Any
    tag: str | None


class Executor:
    """A device with its transpiled circuits, its jobs and their number.

    Args:
        device: Where to run.
        pack: Neurons side by side on the chip; None for as many as fit.
        noisy: Whether a snapshot is imitated with its noise.
        threads: Threads of a simulator.
        journal: Keeps the jobs; None keeps nothing.
        sampler: Makes the sampler from a seed; None for the device's own.
        mode: The session or batch of an IBM device; None for single jobs.
        max_rows: Rows of angles per job; None for the device's own limit.

    Raises:
        HardwareError: If neurons are to stand side by side on a device without a chip.
    """

    def __init__(
        self,
        device: Device,
        *,
        pack: int | None = 1,
        noisy: bool = True,
        threads: int = 1,
        journal: Journal | None = None,
        sampler: SamplerFactory | None = None,
        mode: Any = None,
        max_rows: int | None = None,
    ) -> None:
        if pack != 1 and not device.has_chip:
            raise HardwareError(
                f"pack is {pack}, but {device.name} has no chip on which neurons could stand side "
                "by side; choose a snapshot such as fake_boston, or a device"
            )
        self.device = device
        self.counts = Counts()
        self.calibrations: set[str] = set()  # of the device, when the jobs were sent
        self.journal = journal
        self.mode = mode
        self._pack, self._noisy, self._threads = pack, noisy, threads
        self._sampler = sampler
        self._max_rows = max_rows
        self._groups: dict[Circuit, Groups] = {}
        self._compiled: dict[_Key, Compiled] = {}
        self._samplers: dict[_Key, SamplerFactory] = {}

    def compiled(
        self,
        circuit: Circuit,
        steps: int,
        *,
        reset_steps: int = 0,
        placed_like: Circuit | None = None,
    ) -> Compiled:
        """Transpile a circuit for the device, at the first call only; see `run`."""
        key = (circuit, steps, reset_steps, placed_like or circuit)
        if key not in self._compiled:
            groups = self._places(key[-1]) if self.device.has_chip else ()
            self._compiled[key] = compile_neuron(circuit, steps, self.device, groups, reset_steps)
            self._count(transpilations=1)
        return self._compiled[key]

    def estimate(
        self, circuit: Circuit, steps: int, rows: int, shots: int, *, reset_steps: int = 0
    ) -> Estimate:
        """Estimate the cost of `run` with this many rows of angles, before it runs."""
        compiled = self.compiled(circuit, steps, reset_steps=reset_steps)
        bound = math.ceil(rows / compiled.slots)
        return estimate(
            rows=rows,
            shots=shots,
            jobs=math.ceil(bound / self._rows_per_job(compiled, shots)),
            shot_duration=compiled.duration,
            feed_forward=compiled.feed_forward,
            conditions=feedforward.conditions(compiled.circuit),
            under_conditions=compiled.under_conditions,
            rep_delay=self.device.rep_delay,
            slots=compiled.slots,
        )

    def run(
        self,
        circuit: Circuit,
        steps: int,
        values: Float[np.ndarray, "rows parameters"],
        shots: int,
        generator: torch.Generator,
        *,
        reset_steps: int = 0,
        placed_like: Circuit | None = None,
    ) -> Bool[np.ndarray, "rows shots T N"]:
        """Run a neuron's circuit with every row of angles.

        Args:
            circuit: The neuron's circuit of one step.
            steps: T.
            values: Angles in radians, in the order of `parameter_names(per_occurrence=True)`.
            shots: Shots per row.
            generator: Seeds the outcomes where they are simulated.
            reset_steps: Own last spikes that choose the angles of the encoding.
            placed_like: Circuit whose best places on the chip are used; None for those of `circuit`
                itself. Row r stands in place r modulo `slots`.

        Raises:
            HardwareError: If a job failed, its result is incomplete, or another process holds the
                journal.
            ValueError: If the table has another number of columns, no rows, or angles that are not
                finite.
        """
        check_positive_int("shots", shots)
        wanted = len(parameter_names(circuit, steps, per_occurrence=True, reset_steps=reset_steps))
        if values.ndim != 2 or values.shape[1] != wanted or not len(values):
            raise ValueError(
                f"values has shape {values.shape}, but {steps} steps of circuit {circuit.name!r} "
                f"need at least one row of {wanted} angles"
            )
        if not np.isfinite(values).all():
            raise ValueError("values must be finite, but hold NaN or an infinity")
        compiled = self.compiled(circuit, steps, reset_steps=reset_steps, placed_like=placed_like)
        sampler = self._sampler_of((circuit, steps, reset_steps, placed_like or circuit))
        placed = placed_like is not None
        program = _Program(circuit, steps, reset_steps, shots, compiled, sampler, placed)
        jobs = list(self._jobs(program, compiled.side_by_side(values), generator))
        with nullcontext() if self.journal is None else self.journal.held():
            # All are sent before the first result is read: a service works on them meanwhile.
            sent = [self._send(program, job) for job in jobs]
            parts = [
                answer if isinstance(answer, np.ndarray) else self._receive(program, job, answer)
                for job, answer in zip(jobs, sent, strict=True)
            ]
        return np.concatenate(parts)[: len(values)]

    def _sampler_of(self, key: _Key) -> SamplerFactory:
        # Made when jobs are sent, not when their cost is estimated: a session opens in between.
        if key not in self._samplers:
            options = {"noisy": self._noisy, "threads": self._threads, "mode": self.mode}
            made = self._sampler or sampler_for(self.device, self._compiled[key], **options)
            self._samplers[key] = made
        return self._samplers[key]

    def _places(self, circuit: Circuit) -> Groups:
        if circuit not in self._groups:
            self._groups[circuit] = choose_groups(self.device.target, circuit, self._pack)
        return self._groups[circuit]

    def _jobs(
        self, program: _Program, values: np.ndarray, generator: torch.Generator
    ) -> Iterator[_Job]:
        compiled = program.compiled
        rows = self._rows_per_job(compiled, program.shots)
        for first in range(0, len(values), rows):
            some = values[first : first + rows]
            # Below 2**31, which all samplers take; random, since Aer goes on from it row by row.
            seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
            about = {
                "device": self.device.name,
                "noisy": self._noisy,
                "circuit": repr(program.circuit),
                "slots": compiled.slots,
                "steps": program.steps,
                "shots": program.shots,
                "seed": seed,
            }
            if program.reset_steps:
                about["reset_steps"] = program.reset_steps
            if program.placed:  # readout errors of other qubits would be of no use
                about["groups"] = compiled.groups
            yield _Job(some, seed, job_key(about, some), about)

    def _rows_per_job(self, compiled: Compiled, shots: int) -> int:
        if self._max_rows is not None:
            return self._max_rows
        if self.device.kind != "ibm":
            return MAX_ROWS_LOCALLY
        return ibm.rows_per_job(compiled.circuit, shots)

    def _send(self, program: _Program, job: _Job) -> _Sent | np.ndarray:
        """Send a job, or find what an earlier start has left of it: its spikes, or the job."""
        journal, compiled, device = self.journal, program.compiled, self.device
        rows, tag = len(job.values), None
        if journal is not None:
            shape = (rows * compiled.slots, program.shots, program.steps, program.circuit.channels)
            found = earlier(journal, job.key, shape, at_service=device.kind == "ibm")
            tag = found.tag
            if found.answer is not None:
                self._count(resumed=1)
                self.calibrations.update(filter(None, [found.calibrated]))
                kept = isinstance(found.answer, np.ndarray)
                return found.answer if kept else _Sent(found.answer, tag)
        # Not in the key: a new calibration of the device makes no other job. Read before the job is
        # sent, since nothing may come between sending and noting.
        calibrated = device.calibrated
        note = Note(calibrated=calibrated, about={**job.about, "groups": compiled.groups})
        if journal is not None and device.kind == "ibm":
            tag = tag or new_tag(job.key)
            journal.write(tag, note)
        block: Any = (compiled.circuit, {compiled.parameters: job.values}, program.shots)
        with calling(f"{device.name} did not take a job"):
            sent = ibm.send(program.sampler(job.seed), block, tag)
        if journal is not None and tag is not None:
            number = ibm.number(sent, device.name)
            journal.write(tag, note.model_copy(update={"job": number}))
        self._count(jobs=1, circuits=rows, shots=rows * program.shots)
        self.calibrations.update(filter(None, [calibrated]))
        return _Sent(sent, tag)

    def _receive(
        self, program: _Program, job: _Job, sent: _Sent
    ) -> Bool[np.ndarray, "rows shots T N"]:
        """Wait for the spikes of a job, row by row, neurons side by side one after another."""
        journal, noted = self.journal, None
        if journal is not None and sent.tag is not None:
            noted = journal.note(sent.tag)
        try:
            with calling(f"a job on {self.device.name} failed"):
                result = sent.job.result()
            spikes = whole_spikes(
                result,
                program.compiled.registers,
                rows=len(job.values),
                shots=program.shots,
                steps=program.steps,
                channels=program.circuit.channels,
            )
        except HardwareError as error:
            if noted is not None and ibm.is_lost(sent.job):
                noted.unlink(missing_ok=True)
            elif noted is not None:
                # It may be queued while the network is down, or its result cannot be read.
                again = "the next start asks for it again; to pay for the job again, remove"
                error.args = (f"{error}; {again} {noted}",)
            elif self.device.kind == "ibm":
                with suppress(HardwareError):
                    number = ibm.number(sent.job, self.device.name)
                    error.args = (f"{error}; at the service it is job {number}",)
            raise
        if journal is not None:
            journal.keep(job.key, spikes)
        if self.device.kind == "ibm":
            self._count(device_seconds=ibm.billed(sent.job))
        return spikes

    def _count(self, **more: int | float) -> None:
        self.counts = self.counts._replace(
            **{name: getattr(self.counts, name) + number for name, number in more.items()}
        )
