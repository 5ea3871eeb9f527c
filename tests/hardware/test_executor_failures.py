"""Devices that fail, results that are not whole, arguments that do not fit: all are errors.

Nothing is ever filled in. Samplers that fail stand in for devices that do.
"""

import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hardware_stubs import FridgeError, StubSampler, ibm_device, logic, silence, zeros
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from tools import seeded

from sqsnn.errors import HardwareError
from sqsnn.hardware.devices import Device, find
from sqsnn.hardware.executor import Executor
from sqsnn.quantum import circuits

SECRET = "SECRET123"
FULL = np.full((6, 4, 1), 255, np.uint8), 6


# Devices that fail


def fails(
    answer: Callable[[Any, int], Any], device: Device | None = None, **options: Any
) -> HardwareError:
    circuit = logic(2)
    executor = Executor(device or find("aer"), sampler=StubSampler(answer), **options)
    with pytest.raises(HardwareError) as refused:
        executor.run(circuit, 3, zeros(circuit, 3, rows=6), 4, seeded(0))
    return refused.value


def test_the_stand_in_is_believed_where_it_answers_in_full():
    circuit = logic(2)
    executor = Executor(find("aer"), sampler=StubSampler(lambda block, _: silence(block)))
    spikes = executor.run(circuit, 3, zeros(circuit, 3, rows=6), 4, seeded(0))
    assert spikes.shape == (6, 4, 3, 2)
    assert not spikes.any()


@pytest.mark.parametrize("device", [find("aer"), ibm_device()], ids=["aer", "ibm"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"shots": 3}, r"3 shots.*4 shots"),
        ({"shots": 5}, r"5 shots.*4 shots"),
        ({"rows": 5}, r"\(5,\).*\(6,\)"),
        ({"rows": 0}, r"\(0,\).*\(6,\)"),
        ({"rename": "meas"}, r"registers \['meas'\], but no register 'spikes"),
        ({"bits": 5}, r"5 bits.*6"),
        ({"bits": 12}, r"12 bits.*6"),
    ],
    ids=str,
)
def test_a_result_that_is_not_whole_is_an_error_that_says_what_is_missing(device, changed, said):
    error = fails(lambda block, _: silence(block, **changed), device)
    assert error.args
    with pytest.raises(HardwareError, match=said):
        raise error


@pytest.mark.parametrize("copies", [0, 2])
def test_a_job_brings_one_result(copies):
    error = fails(lambda block, _: PrimitiveResult(list(silence(block)) * copies))
    assert f"{copies} results" in str(error)


def without_bits(block: Any, values: Any, *, twice: bool = False) -> PrimitiveResult:
    (name,) = (register.name for register in block[0].cregs)
    registers = {name: values, **({"more": values} if twice else {})}
    return PrimitiveResult([SamplerPubResult(DataBin(**registers, shape=(6,)))])


@pytest.mark.parametrize("device", [find("aer"), ibm_device()], ids=["aer", "ibm"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda block, _: None, "NoneType"),
        (lambda block, _: {"counts": {"000": 4}}, "dict"),
        (lambda block, _: [silence(block)], "list"),
        (lambda block, _: PrimitiveResult([None]), r"registers \[\]"),
        (lambda block, _: without_bits(block, np.zeros((6, 4, 6))), "ndarray"),
        (lambda block, _: without_bits(block, BitArray(*FULL), twice=True), "'more'"),
        (lambda block, _: without_bits(block, BitArray(*FULL)), "more than 6 bits"),
    ],
)
def test_a_result_of_another_type_is_refused_by_name(device, answer, said):
    assert re.search(said, str(fails(answer, device)))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_one_short_job_of_three_spoils_the_run(number):
    error = fails(lambda block, n: silence(block, shots=3 if n == number else None), max_rows=2)
    assert "3 shots" in str(error)


@pytest.mark.parametrize("device", [find("aer"), ibm_device()], ids=["aer", "ibm"])
@pytest.mark.parametrize("when", ["sent", "waited for"])
def test_a_job_that_fails_is_an_error_with_the_devices_name_and_reason(device, when):
    def answer(block, _):
        failure = FridgeError("the fridge is warm")
        if when == "sent":
            raise failure
        return failure

    error = fails(answer, device)
    assert device.name in str(error)
    assert "FridgeError: the fridge is warm" in str(error)


@pytest.mark.parametrize("when", ["sent", "waited for"])
def test_no_token_is_shown_where_a_job_fails(when, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)

    def answer(block, _):
        failure = FridgeError(f"Authorization: apikey {SECRET} has expired")
        if when == "sent":
            raise failure
        return failure

    error = fails(answer, ibm_device())
    shown = str(error) + "".join(traceback.format_exception(error))
    assert "has expired" in shown
    assert SECRET not in shown


# Arguments


@pytest.mark.parametrize("shots", [0, -1])
def test_no_shots_are_refused(shots):
    circuit = logic(1)
    with pytest.raises(ValueError, match="shots must be an integer of at least 1"):
        Executor(find("aer")).run(circuit, 2, zeros(circuit, 2), shots, seeded(0))


@pytest.mark.parametrize("shape", [(1, 5), (1, 7), (0, 6)], ids=str)
def test_tables_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"values has shape .*at least one row of 6 angles"):
        Executor(find("aer")).run(logic(1), 2, np.zeros(shape), 1, seeded(0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_angles_that_are_not_finite_are_refused(bad):
    circuit = logic(1)
    values = zeros(circuit, 2)
    values[0, 3] = bad
    with pytest.raises(ValueError, match="values must be finite"):
        Executor(find("aer")).run(circuit, 2, values, 1, seeded(0))


def test_side_by_side_needs_a_chip():
    with pytest.raises(HardwareError, match=r"pack is 2.*aer has no chip"):
        Executor(find("aer"), pack=2)


@pytest.mark.parametrize("pack", [1, None])
def test_a_neuron_larger_than_the_chip_is_refused_by_name(pack):
    circuit = circuits.get("crx", 3, 3)
    executor = Executor(find("fake_manila"), pack=pack)
    with pytest.raises(HardwareError, match="6") as refused:
        executor.run(circuit, 1, zeros(circuit, 1), 1, seeded(0))
    assert "qubits" in str(refused.value)


def test_more_neurons_than_the_chip_holds_are_refused():
    circuit = circuits.get("crx", 1, 1)
    with pytest.raises(HardwareError, match="3"):
        Executor(find("fake_manila"), pack=3).run(circuit, 1, zeros(circuit, 1), 1, seeded(0))
