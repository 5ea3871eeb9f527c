"""Where measured bits come from: one interface for the simulator and for devices.

Measured bits are all that it gives of a neuron: no state, no probability.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.errors import HardwareError
from sqsnn.network import Component, NetworkRecord, Pass, SpikingNetwork
from sqsnn.network.passing import joined
from sqsnn.neurons.drive import Membrane, settle
from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.options import Count, options
from sqsnn.processes import whole_batch
from sqsnn.quantum import replay
from sqsnn.quantum.shift_rules import Shifts
from sqsnn.uniforms import draw_uniforms

# Neurons simulated side by side: more would not fit the processor's caches.
AT_ONCE = 2**18
MATRIX_ELEMENTS = 2**24


@options
class Backend:
    """The device that measures all spikes of a network."""

    backend: str = "aer"
    """Device: aer or braket (simulators without noise), a snapshot (fake_boston), or ibm:NAME."""
    pack: Count | Literal["all"] = 1
    """Neurons side by side on the chip; all: as many as fit."""
    mode: Literal["job", "batch", "session"] = "job"
    """How jobs reach an ibm:NAME device: one by one, as a batch, or in a session of their own."""

    def __post_init__(self) -> None:
        if self.pack != 1 and self.backend in ("aer", "braket"):
            raise ValueError(f"pack is {self.pack!r}, but backend {self.shown} has no chip to pack")
        if self.mode != "job" and not self.backend.startswith("ibm:"):
            raise ValueError(
                f"mode is {self.mode!r}, which applies to ibm:NAME only, but backend is "
                f"{self.shown}"
            )

    @property
    def shown(self) -> str:
        """The name in messages; an ARN of Amazon, which may hold an account's number, is cut."""
        return "'braket:...'" if "arn:" in self.backend.lower() else repr(self.backend)


@runtime_checkable
class BitSource(Protocol):
    """Runs a population's circuits from fresh memory and returns the measured bits."""

    def run(
        self, neurons: SQSNeurons, currents: Float[Tensor, "T B H N"], generator: torch.Generator
    ) -> Bool[Tensor, "T B H N"]:
        """Measure the spikes of a free run in one shot: a leaky drive follows the measured spikes.

        Args:
            neurons: The population.
            currents: Currents of T steps.
            generator: Draws the outcomes where they are simulated.

        Returns:
            Measured (with readout error: recorded) spikes, (T, B, H, N).
        """
        ...

    def sample(
        self,
        neurons: SQSNeurons,
        potentials: Float[Tensor, "W B H N"],
        shifts: Sequence[Shifts],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "shifts shots W B H N"]:
        """Measure the spikes of W steps from memory |0..0>, each neuron alone, shot by shot.

        The angles are fixed beforehand: no spike of a shot turns a later gate.

        Args:
            neurons: The population.
            potentials: What is encoded at W steps, from `neurons.potentials`.
            shifts: The shifted angles of each circuit; () leaves it unchanged.
            shots: Independent repetitions, in the order of their measurement.
            generator: Draws the outcomes where they are simulated.

        Returns:
            Measured (with readout error: recorded) spikes, (shifts, shots, W, B, H, N).
        """
        ...


def measured_record(
    neurons: SQSNeurons,
    currents: Float[Tensor, "T B H N"],
    source: BitSource,
    generator: torch.Generator,
) -> Record:
    """Record one shot of a population on a source of bits.

    Only spikes are known: `probability` holds them too, its unbiased estimate from one shot, and
    `log_likelihood` is NaN.
    """
    return _from_bits(source.run(neurons, currents, generator).to(currents.dtype))


@torch.no_grad()
def run_network(
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P N"],
    source: BitSource,
    generator: torch.Generator,
    *,
    correct: Sequence[Callable[[Tensor], Tensor]] | None = None,
) -> NetworkRecord:
    """Run a network population by population, in one shot, with neurons on a source of bits.

    Synapses are computed here: the spikes that the source returns for a population make the
    currents of those that it feeds. Populations on a cycle run step by step, without memory qubits.

    Args:
        network: The network, with neurons that are circuits.
        spikes: Encoded samples.
        source: Runs the neurons.
        generator: Seeds the outcomes where they are simulated.
        correct: Per population, turns recorded spikes, `(T, B, H, N)`, into numbers that are fed
            onward and stand as `probability`, for example without readout errors; None for the
            spikes themselves.

    Returns:
        One record per population, with `log_likelihood` NaN, and no state, since a device keeps
        none.

    Raises:
        HardwareError: If a job failed, or neurons on a cycle have memory qubits.
        TypeError: If the neurons of a population are no circuits.
    """
    network.check_spikes(spikes)
    running = Pass(network, spikes)
    records: dict[str, Record] = {}

    def corrected(name: str, record: Record) -> Record:
        if correct is None:
            return record
        return record._replace(probability=correct[network.names.index(name)](record.spikes))

    for component in network.components:
        records |= measure(running, component, source, generator, corrected)
    return NetworkRecord(tuple(records[name] for name in network.names), None, network.names)


def measure(
    running: Pass,
    component: Component,
    source: BitSource,
    generator: torch.Generator,
    corrected: Callable[[str, Record], Record] = lambda name, record: record,
) -> dict[str, Record]:
    """Measure the populations of a component; those on a cycle run one step at a time.

    Each step is then a circuit of its own, and the membrane of a leaky drive is integrated between
    two steps. What `corrected` gives as `probability` is fed onward.

    Raises:
        HardwareError: If a population on a cycle has memory qubits.
    """
    circuits = {
        name: require_circuits(running.network.population(name)) for name in component.names
    }
    if component.is_cyclic:
        refuse_memory_on_cycle(circuits)
    membranes: dict[str, Membrane | None] = {}
    records: dict[str, list[Record]] = {name: [] for name in circuits}

    def fire(name: str, steps: slice, currents: Tensor) -> Tensor:
        neurons = circuits[name]
        if component.is_cyclic:
            if not steps.start:
                membranes[name] = neurons.start_of_drive(currents[0], None)
            spikes, membranes[name] = measured_step(
                neurons, currents[0], membranes[name], source, generator
            )
            record = _from_bits(spikes[None])
        else:
            record = measured_record(neurons, currents, source, generator)
        records[name].append(corrected(name, record))
        return records[name][-1].probability

    running.run(component, fire)
    return {name: joined(pieces) for name, pieces in records.items()}


def measured_step(
    neurons: SQSNeurons,
    currents: Float[Tensor, "B H N"],
    membrane: Membrane | None,
    source: BitSource,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "B H N"], Membrane | None]:
    """Measure one step from fresh memory, the membrane of a leaky drive integrated before it."""
    potential = currents
    if membrane is not None:
        potential, membrane = neurons.integrate(currents, membrane)
    spikes = source.sample(neurons, potential[None], [()], 1, generator)[0, 0, 0].to(currents.dtype)
    return spikes, None if membrane is None else settle(membrane, spikes)


def refuse_memory_on_cycle(circuits: Mapping[str, SQSNeurons]) -> None:
    """Refuse to measure populations on a cycle whose memory would have to wait.

    Raises:
        HardwareError: If one has memory qubits.
    """
    for name, neurons in circuits.items():
        if neurons.memory_qubits:
            raise HardwareError(
                f"population {name!r} lies on a cycle and has memory_qubits "
                f"{neurons.memory_qubits}: its currents need other neurons' spikes of the step "
                "before, and the circuit that holds the memory cannot wait for them; use "
                "memory_qubits 0, which runs step by step"
            )


def _from_bits(spikes: Float[Tensor, "T B H N"]) -> Record:
    return Record(spikes, spikes, spikes.new_full(spikes.shape[:-1], torch.nan))


class SimulatedBits:
    """The simulator as a source of bits, with the population's noise."""

    @torch.no_grad()
    def run(
        self, neurons: SQSNeurons, currents: Float[Tensor, "T B H N"], generator: torch.Generator
    ) -> Bool[Tensor, "T B H N"]:
        """Simulate the spikes of a free run; see `BitSource.run`."""
        record, _ = require_circuits(neurons)(currents, generator=generator)
        return record.spikes > 0

    @torch.no_grad()
    def sample(
        self,
        neurons: SQSNeurons,
        potentials: Float[Tensor, "W B H N"],
        shifts: Sequence[Shifts],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "shifts shots W B H N"]:
        """Simulate the spikes; see `BitSource.sample`."""
        require_circuits(neurons).check_parameters()
        check_positive_int("shots", shots)
        neurons.check_currents(potentials, "steps", "batch", name="potentials")
        steps, batch = potentials.shape[:2]
        each = whole_batch(generator, batch) * neurons.size  # all processes draw the same pieces
        some_shots = min(shots, max(1, AT_ONCE // each))
        # Every circuit has its own matrices, which large registers make large.
        matrices = neurons.size * 4**neurons.circuit.qubits
        some_circuits = max(1, min(AT_ONCE // (each * some_shots), MATRIX_ELEMENTS // matrices))
        rotations = torch.stack(neurons.encoding_angles(potentials), dim=-1)
        driven = neurons.driven(potentials)
        rows = []
        for start in range(0, len(shifts), some_circuits):
            chosen = shifts[start : start + some_circuits]
            pieces = []
            for first in range(0, shots, some_shots):
                runs = min(some_shots, shots - first) * batch
                circuits = len(chosen) * neurons.size
                uniforms = draw_uniforms(
                    steps, runs, circuits, generator, potentials.dtype, potentials.device
                )
                bits = replay.sample(
                    neurons.circuit,
                    neurons.angles,
                    rotations,
                    chosen,
                    uniforms.unflatten(1, (-1, batch)),
                    noise=neurons.noise,
                    driven=driven,
                )
                pieces.append(bits)
            rows.append(torch.cat(pieces, dim=1))
        return torch.cat(rows)


def require_circuits(population: Population, who: str = "this") -> SQSNeurons:
    """Refuse neurons that are no quantum circuits, which `who` needs."""
    if not isinstance(population, SQSNeurons):
        raise TypeError(
            f"{who} needs neurons that are circuits (SQSNeurons), but the population is a "
            f"{population.class_name}; score 'exact' works for every population"
        )
    return population
