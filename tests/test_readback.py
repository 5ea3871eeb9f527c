"""One transfer per call: what is asked together is judged together, in order, under its name."""

import pytest
import torch

from sqsnn import readback
from sqsnn.checks import check_finite, check_magnitude, check_none, check_unit_interval
from sqsnn.network import SpikingNetwork

IS_THERE = readback._is_there
GOOD, BAD = torch.zeros(3), torch.tensor([0.0, torch.nan, 2.0])


@pytest.fixture
def transfers(monkeypatch):
    """What has been read back, transfer by transfer."""
    made, transfer = [], readback.transfer

    def noted(figures):
        made.append(transfer(figures))
        return made[-1]

    monkeypatch.setattr(readback, "transfer", noted)
    return made


@pytest.fixture(autouse=True)
def far(monkeypatch):
    """Take the numbers of the CPU for those of a device that has to be waited for."""
    monkeypatch.setattr(readback, "_is_there", lambda _: False)


def test_on_a_cpu_a_check_is_judged_at_once(transfers, monkeypatch):
    monkeypatch.setattr(readback, "_is_there", IS_THERE)
    with readback.together():
        with pytest.raises(ValueError, match="first must be finite"):
            check_finite("first", BAD)
        check_finite("second", GOOD)
    assert not transfers


def test_a_check_alone_is_judged_at_once():
    with pytest.raises(ValueError, match="first must be finite"):
        check_finite("first", BAD)


def test_checks_of_a_call_take_one_transfer(transfers):
    with readback.together():
        check_finite("first", GOOD)
        with readback.together():
            check_magnitude("second", GOOD, 1.0)
            check_unit_interval("third", GOOD)
        check_none(GOOD > 0, lambda: "never said")
        assert not transfers
    assert len(transfers) == 1


def test_the_first_fault_is_the_one_that_is_named():
    with pytest.raises(ValueError, match="second must be finite"), readback.together():
        check_finite("first", GOOD)
        check_finite("second", BAD)
        check_magnitude("third", BAD, 1.0)


def test_a_fault_explains_the_failure_that_it_causes():
    with pytest.raises(ValueError, match="index must lie in") as caught, readback.together():
        check_unit_interval("index", torch.tensor([7.0]))
        GOOD[7]
    assert isinstance(caught.value.__context__, IndexError)


def test_without_a_fault_a_failure_stays_what_it_is():
    with pytest.raises(IndexError), readback.together():
        check_finite("first", GOOD)
        GOOD[7]


def test_figures_come_with_the_verdict(transfers):
    with readback.together():
        check_finite("first", GOOD)
        assert readback.read(torch.tensor(2.5), torch.tensor(3)) == [2.5, 3.0]
    assert len(transfers) == 1
    with pytest.raises(ValueError, match="first must be finite"), readback.together():
        check_finite("first", BAD)
        readback.read(torch.tensor(1.0))


def test_a_name_is_kept_until_the_verdict():
    with pytest.raises(ValueError, match=r"^layer 'a': z must be finite"), readback.together():
        with readback.naming("layer 'a'"):
            check_finite("z", BAD)
        check_finite("w", BAD)
    with pytest.raises(ValueError, match=r"^layer 'a': at once"), readback.naming("layer 'a'"):
        raise ValueError("at once")


def test_a_name_is_kept_where_the_call_fails():
    said = r"^layer 'a': z must be finite"
    with pytest.raises(ValueError, match=said), readback.together(), readback.naming("layer 'a'"):
        check_finite("z", BAD)
        GOOD[7]


def test_a_call_after_a_failed_one_starts_empty():
    with pytest.raises(RuntimeError), readback.together():
        raise RuntimeError
    with readback.together():
        check_finite("first", GOOD)


def test_a_network_names_the_population_whose_currents_are_wrong(transfers):
    generator = torch.Generator().manual_seed(0)
    network = SpikingNetwork([4, 3, 2], generator=generator)
    network(torch.ones(5, 2, 4, 1), generator=generator)
    assert len(transfers) == 1
    with torch.no_grad():
        network.pathways[1].synapses.weight.fill_(torch.inf)
    with pytest.raises(ValueError, match=r"^population 'output': currents must be finite"):
        network(torch.ones(5, 2, 4, 1), generator=generator)
