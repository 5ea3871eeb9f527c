"""What is equal for all models that classify series."""

from typing import Annotated

from pydantic import Field

from sqsnn.options import options


@options
class SeriesOptions:
    """What is equal for all models."""

    seeds: Annotated[int, Field(ge=2)] = 3
    """Seeds that are tested, from 0 on."""
    kernels: Annotated[int, Field(ge=1)] = 2000
    """Random convolutions, with two features each."""
