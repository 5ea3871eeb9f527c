"""What a fit begins with: a quantum neuron with first values, a part of the trains, a seed."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn

from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.spike_trains.process import Observed, PointProcess, observe
from sqsnn.spike_trains.recording import Recording, pieces

if TYPE_CHECKING:
    from sqsnn.spike_trains.model import SpikeTrainModel

# As much of the data as tells a good start from a bad one, in pieces of some bins.
PILOT_SPIKES, PILOT_BINS, PIECE = 500, 50_000, 1000


def seed_of(random_state: Any) -> int:
    """Draw a seed from what scikit-learn calls a random state, or a generator of numpy."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    return int(check_random_state(random_state).randint(2**31))


def quantum_process(
    model: "SpikeTrainModel", units: int, features: int, generator: torch.Generator
) -> PointProcess:
    """Make a neuron that is not fitted, and its filter of so many features, lags included."""
    neurons = SQSNeurons(
        1,
        channels=units,
        memory_qubits=model.memory_qubits,
        circuit=model.circuit,
        circuit_options=model.circuit_options,
        drive=model.drive,
        encoding_slope="exact",  # another slope is no gradient of the likelihood
        generator=generator,
        dtype=torch.float64,
    )
    if isinstance(model.drive, Leaky):
        # At rest on the clip, where the slope is 0, a membrane would never be found.
        with torch.no_grad():
            nn.init.uniform_(neurons.get_parameter("bias"), 0.01, 0.3, generator=generator)
    return PointProcess(neurons, features, generator)


def pilot(recording: Recording, warm_up: int, generator: np.random.Generator) -> list[Observed]:
    """Take pieces of all trains at random that hold enough spikes to compare starts."""
    trains, length = recording.trains, warm_up + PIECE
    places = [
        (number, first)
        for number, train in enumerate(trains)
        for first in range(0, len(train), length)
        if len(train) - first > warm_up
    ]
    spikes, bins, kept = 0, 0, []
    for which in generator.permutation(len(places)):
        number, first = places[which]
        piece = slice(first, first + length)
        kept.append((number, piece))
        scored = trains[number][piece][warm_up:]
        spikes, bins = spikes + int(scored.sum()), bins + len(scored)
        if spikes >= PILOT_SPIKES or (bins >= PILOT_BINS and spikes):
            break
    return observe(pieces(recording, kept), warm_up)
