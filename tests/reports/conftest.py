"""What the tests of pictures share: a run to draw, and proof that no setting is changed."""

import jaxtyping
import matplotlib
import pytest
import torch

from sqsnn.network import NetworkRecord
from sqsnn.neurons.population import Record


@pytest.fixture
def own_checks():
    """Let wrong arguments through to our own checks, which users meet without the type checker."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(autouse=True)
def matplotlib_untouched():
    """Fail the test in which drawing changes the user's settings of matplotlib."""
    yield
    assert rc_settings() == RC_SETTINGS


def rc_settings():
    # Through dict, because asking rcParams itself for its backend would load pyplot.
    return dict(dict.items(matplotlib.rcParams))


RC_SETTINGS = rc_settings()  # before anything is drawn, also by fixtures


def build_run(sizes, steps=5, batch=2, channels=1):
    """Make input spikes and a run of layers of the given sizes, the input's first."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for size in sizes:
        probability = torch.rand(steps, batch, size, channels, generator=generator)
        uniforms = torch.rand(probability.shape, generator=generator)
        spikes = (uniforms < probability).float()
        records.append(Record(spikes, probability, torch.zeros(steps, batch, size), None))
    hidden = [f"hidden_{place}" for place in range(1, len(sizes) - 1)]
    names = (*(["hidden"] if len(hidden) == 1 else hidden), "output")
    return records[0].spikes, NetworkRecord(tuple(records[1:]), None, names)


@pytest.fixture(scope="session")
def make_run():
    return build_run
