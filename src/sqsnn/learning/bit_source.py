"""Where measured bits come from: one interface, served by the simulator and by a device alike.

Whoever learns from bits sees nothing else of a neuron: no state, no probability.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import replay
from sqsnn.quantum.shift_rules import Setting
from sqsnn.uniforms import draw_uniforms

# Neurons simulated side by side: more would not fit the processor's caches.
AT_ONCE = 2**18
MATRIX_ELEMENTS = 2**24


@runtime_checkable
class BitSource(Protocol):
    """Runs a population's circuits from fresh memory and says what was measured."""

    def sample(
        self,
        neurons: SQSNeurons,
        currents: Float[Tensor, "W B H N"],
        settings: Sequence[Setting],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "settings shots W B H N"]:
        """Spikes of W steps from memory |0..0>, each neuron alone, shot by shot.

        Args:
            neurons: The population.
            currents: What drives it.
            settings: What is turned in each circuit; () is the circuit as it is.
            shots: Independent repetitions, in the order in which they were measured.
            generator: Draws the outcomes where they are simulated.

        Returns:
            Measured (with readout error: recorded) spikes, (settings, shots, W, B, H, N).
        """
        ...


def measured_record(
    neurons: SQSNeurons,
    currents: Float[Tensor, "T B H N"],
    source: BitSource,
    generator: torch.Generator,
) -> Record:
    """What a population did on a source of bits, in one shot.

    Spikes are all that is known: `probability` is the spikes, its unbiased estimate from one shot,
    and `log_likelihood` is NaN.
    """
    (bits,) = source.sample(neurons, currents, [()], 1, generator)  # (1, T, B, H, N)
    spikes = bits[0].to(currents.dtype)
    return Record(spikes, spikes, spikes.new_full(spikes.shape[:-1], torch.nan))


class SimulatedBits:
    """The simulator as a source of bits, with the population's noise."""

    def sample(
        self,
        neurons: SQSNeurons,
        currents: Float[Tensor, "W B H N"],
        settings: Sequence[Setting],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "settings shots W B H N"]:
        """See `BitSource.sample`.

        Raises:
            TypeError: The population is not one of quantum circuits.
            ValueError: No shot is asked for.
        """
        require_circuits(neurons)
        check_positive_int("shots", shots)
        neurons.check_currents(currents, "steps", "batch")
        steps, batch = currents.shape[:2]
        each = batch * neurons.size
        some_shots = min(shots, max(1, AT_ONCE // each))
        # Every setting has matrices of its own, whose size large registers decide.
        matrices = neurons.size * 4**neurons.circuit.qubits
        some_settings = max(1, min(AT_ONCE // (each * some_shots), MATRIX_ELEMENTS // matrices))
        rows = []
        for start in range(0, len(settings), some_settings):
            chosen = settings[start : start + some_settings]
            pieces = []
            for first in range(0, shots, some_shots):
                count = min(some_shots, shots - first)
                uniforms = draw_uniforms(
                    steps,
                    count * batch,
                    len(chosen) * neurons.size,
                    generator,
                    currents.dtype,
                    currents.device,
                )
                pieces.append(_replay(neurons, currents, chosen, uniforms))
            rows.append(torch.cat(pieces, dim=1))
        return torch.cat(rows)


@torch.no_grad()
def _replay(
    neurons: SQSNeurons, currents: Tensor, settings: Sequence[Setting], uniforms: Tensor
) -> Tensor:
    return replay.sample(
        neurons.circuit,
        neurons.angles,
        torch.stack(neurons.encoding_angles(currents), dim=-1),
        settings,
        uniforms.unflatten(1, (-1, currents.shape[1])),
        noise=neurons.noise,
        driven=neurons.driven(currents),
    )


def require_circuits(population: Population) -> SQSNeurons:
    """Refuse neurons that are no quantum circuits: nothing of theirs can be shifted.

    Raises:
        TypeError: Naming what came.
    """
    if not isinstance(population, SQSNeurons):
        raise TypeError(
            f"this needs neurons that are circuits (SQSNeurons), but the population is a "
            f"{type(population).__name__}; score 'exact' works for every population"
        )
    return population
