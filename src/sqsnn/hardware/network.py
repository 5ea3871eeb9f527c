"""A whole network on a device, layer by layer: one shot an inference, as spikes come.

Synapses are computed here, neurons there: the spikes that a layer has fired on the device are the
currents of the next.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.hardware.mitigation import ReadoutErrors, without_errors
from sqsnn.learning.bit_source import BitSource, measured_record, require_circuits
from sqsnn.network import Run, SpikingNetwork
from sqsnn.neurons.population import Population, Record
from sqsnn.synapses import Synapses


@torch.no_grad()
def run_network(
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P N"],
    source: BitSource,
    generator: torch.Generator,
    *,
    errors: ReadoutErrors | None = None,
) -> Run:
    """Run a network with neurons on a source of bits.

    Args:
        network: The network.
        spikes: Encoded samples.
        source: Runs the neurons; see `bit_source.DeviceBits`.
        generator: Seeds the outcomes where they are simulated.
        errors: Readout errors to take out of the currents of hidden spikes and, in `probability`,
            of the outputs; None to believe what was recorded.

    Returns:
        A record a layer: the recorded spikes; `probability`, the same or with the readout errors
        taken out; `log_likelihood` NaN. The state is empty: a device keeps none.

    Raises:
        HardwareError: A job failed.
        TypeError: A layer is none of quantum circuits.
    """
    network.check_spikes(spikes)
    records: list[Record] = []
    for synapses, population in zip(
        cast(Sequence[Synapses], network.synapses),
        cast(Sequence[Population], network.populations),
        strict=True,
    ):
        neurons = require_circuits(population)
        record = measured_record(neurons, synapses(spikes), source, generator)
        if errors is not None:
            record = record._replace(probability=without_errors(record.spikes, errors))
        records.append(record)
        spikes = record.probability
    return Run(tuple(records), ())
