"""One set of rates for a device: medians, and the share of every gate of a neuron."""

from dataclasses import astuple

import numpy as np
import pytest
from hardware_stubs import small_target
from numpy.testing import assert_allclose
from qiskit.transpiler import InstructionProperties, Target

from sqsnn.errors import HardwareError
from sqsnn.hardware.calibration import effective_noise, typical_target
from sqsnn.hardware.devices import find
from sqsnn.quantum import circuits
from sqsnn.quantum.noise import Noise, damping_rates

BOSTON = find("fake_boston")


def test_a_simulator_has_no_rates_to_take_noise_from():
    with pytest.raises(HardwareError, match=r"reports no .* e\.g\. fake_boston"):
        effective_noise(find("aer").target, circuits.get("crx", 1, 1))


# One set of rates for a device


def test_a_typical_line_has_the_medians_of_the_device():
    line = typical_target(BOSTON.target, 3)
    assert set(line.qargs_for_operation_name("cz")) == {(0, 1), (1, 2), (1, 0), (2, 1)}
    errors = [properties.error for properties in BOSTON.target["sx"].values()]
    assert line["sx"][(2,)].error == np.median([error for error in errors if error < 1])
    assert line["reset"][(0,)].duration == BOSTON.target["reset_2"][(0,)].duration
    # A neuron is measured in the middle of a circuit.
    assert line["measure"][(0,)].error == np.median(
        [p.error for p in BOSTON.target["measure_2"].values()]
    )
    assert line.qubit_properties[1].t1 == np.median([q.t1 for q in BOSTON.target.qubit_properties])


def quiet_target(pair_error: float = 0.0) -> Target:
    """A target whose gates take no time; measuring takes 1 us and resetting 2 us."""
    target = small_target(0.0, 0.0, 80e-6, 50e-6)
    target.update_instruction_properties("ecr", (0, 1), InstructionProperties(0.0, pair_error))
    for qubit in range(2):
        measured, reset = InstructionProperties(1e-6, 0.03), InstructionProperties(2e-6)
        target.update_instruction_properties("measure", (qubit,), measured)
        target.update_instruction_properties("reset", (qubit,), reset)
    return target


def test_a_memory_qubit_idles_while_the_channels_are_measured_and_reset():
    found = effective_noise(quiet_target(), circuits.get("crx", 1, 1))
    decay, dephase = damping_rates(3e-6, 80e-6, 50e-6)
    expected = Noise(
        idle_amplitude_damping=decay,
        idle_phase_damping=dephase,
        false_spike=0.03,
        missed_spike=0.03,
    )
    assert_allclose(astuple(found), astuple(expected), atol=1e-12)


def test_a_controlled_rotation_is_two_native_gates_and_a_cz_one():
    rate = 4 / 3 * 0.03  # an average gate infidelity of 0.03 on two qubits
    twice = effective_noise(quiet_target(0.03), circuits.get("crx", 1, 1))
    once = effective_noise(quiet_target(0.03), circuits.get("hardware_efficient", 1, 1))
    assert twice.depolarising_2q == pytest.approx(1 - (1 - rate) ** 2)
    assert once.depolarising_2q == pytest.approx(rate)
    assert twice.depolarising_1q == once.depolarising_1q == 0


def test_without_memory_nothing_idles_and_no_pair_has_gates():
    found = effective_noise(BOSTON.target, circuits.get("hardware_efficient", 1, 0))
    assert found.depolarising_1q > 0
    assert found.idle_amplitude_damping == found.idle_phase_damping == 0
