"""What is equal for all models of spike trains that are compared."""

from typing import Annotated

from pydantic import Field

from sqsnn.options import options

WARM_UP = 64  # bins: four intervals of the processes that are compared, and the longest history
FOLDS = 10  # of the recording


@options
class CompareOptions:
    """How much data the models of spike trains are compared on."""

    seeds: Annotated[int, Field(ge=2, le=FOLDS)] = FOLDS
    """Seeds, from 0 on: trains drawn afresh, or a fold of the recording."""
    trains: Annotated[int, Field(ge=1)] = 20
    """Trains that are fitted."""
    held_out: Annotated[int, Field(ge=1)] = 100
    """Trains that are scored."""
    bins: Annotated[int, Field(gt=WARM_UP)] = 1000
    """Bins of a train."""
