"""What is equal for all networks that tell rhythms apart."""

from typing import Annotated

from pydantic import Field

from sqsnn.options import options


@options
class RhythmOptions:
    """What is equal for all networks."""

    parameters: Annotated[int, Field(ge=100)] = 900
    """Trained parameters of every network that is trained."""
    neurons: Annotated[int, Field(ge=1)] = 40
    """Neurons of every layer that is not trained."""
    steps: Annotated[int, Field(ge=2)] = 800
    """Batches of 64 fresh samples that train a network; half as many in each trial of a search."""
    seeds: Annotated[int, Field(ge=2)] = 5
    """Seeds that are tested, from 0 on."""
