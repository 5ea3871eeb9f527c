"""What is equal for all reservoirs that are compared."""

from typing import Annotated

from pydantic import Field

from sqsnn.options import options


@options
class ReservoirOptions:
    """What is equal for all reservoirs."""

    features: Annotated[int, Field(ge=1)] = 100
    """Features, one per neuron."""
    runs: Annotated[int, Field(ge=1)] = 50
    """Runs over which random spikes are averaged."""
    seeds: Annotated[int, Field(ge=2)] = 5
    """Seeds that are tested, from 0 on."""
