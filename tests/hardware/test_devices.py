"""Devices by name, parts of devices, and what is refused: names, chips, accounts, a missing extra.

The laws of a part and of the whole chip are compared by 2000 shots of each, which a right part
fails at one seed in 100,000; the seed is fixed.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from hardware_reference import parameter_values, random_currents, random_neuron
from numpy.testing import assert_allclose
from qiskit import QuantumCircuit, transpile
from qiskit.providers import BackendV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SuperOp
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import IBMQuantumComputeService
from qiskit_ibm_runtime.exceptions import IBMNotAuthorizedError
from qiskit_ibm_runtime.fake_provider import FakeBerlin, FakeBrisbane, FakeManilaV2
from requests.exceptions import ConnectionError as RequestsConnectionError
from scipy.stats import chi2_contingency

from sqsnn.errors import HardwareError, SqsnnError
from sqsnn.hardware import ibm
from sqsnn.hardware.circuits import neuron_circuit
from sqsnn.hardware.devices import Device, find, require_reset, restrict

SHOTS = 2_000
GROUP = (64, 63, 62)  # a chain of FakeBrisbane, not in its own order


# Names


def test_aer_is_a_simulator_without_a_chip():
    device = find("aer")
    assert isinstance(device, Device)
    assert (device.name, device.kind, device.has_chip) == ("aer", "simulator", False)
    assert device.calibrated is None


@pytest.mark.parametrize(
    ("name", "qubits"), [("fake_boston", 156), ("fake_manila", 5), ("fake_torino", 133)]
)
def test_a_snapshot_is_found_by_name(name, qubits):
    device = find(name)
    assert (device.name, device.kind, device.has_chip) == (name, "fake", True)
    assert device.backend.num_qubits == device.target.num_qubits == qubits
    assert device.calibrated is not None
    assert 2015 < datetime.fromisoformat(device.calibrated).year < 2100


def test_a_hardware_error_is_one_of_the_packages():
    assert issubclass(HardwareError, SqsnnError)


@pytest.mark.parametrize("name", ["", "boston", "AER", "ibm_boston", "aer ", "qasm_simulator"])
def test_unknown_kinds_of_names_are_refused_with_the_known_ones(name):
    with pytest.raises(HardwareError, match=r"aer.*fake_boston.*ibm:") as refused:
        find(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", ["fake_", "fake_bosto", "fake_Boston", "fake_provider"])
def test_an_unknown_snapshot_is_refused_with_those_there_are(name):
    with pytest.raises(HardwareError, match=r"fake_boston.*fake_manila") as refused:
        find(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", ["fake_berlin", "fake_melbourne", "fake_armonk"])
def test_a_chip_without_reset_is_refused_by_name(name):
    with pytest.raises(HardwareError, match=rf"{name}.*no reset"):
        find(name)


def test_a_chip_without_measurement_and_reset_is_refused_for_both():
    bare = GenericBackendV2(2, basis_gates=["sx", "rz", "cx"])
    target = Target(num_qubits=2)
    for name in ("sx", "rz", "cx"):
        target.add_instruction(bare.target.operation_from_name(name), bare.target[name])
    bare._target = target
    with pytest.raises(HardwareError, match="blind offers no measure and no reset"):
        require_reset(Device("blind", bare, "fake"))


# Parts of devices


@pytest.mark.parametrize("qubits", [GROUP, (0,), (125, 126), (4, 3, 5, 6)])
def test_a_part_has_the_gates_errors_and_times_of_its_qubits(qubits):
    whole = FakeBrisbane()
    part = restrict(whole, qubits)
    assert part.num_qubits == len(qubits)
    assert part.dt == whole.dt
    place = {qubit: number for number, qubit in enumerate(qubits)}
    for number, qubit in enumerate(qubits):
        ours, theirs = part.target.qubit_properties[number], whole.target.qubit_properties[qubit]
        assert (ours.t1, ours.t2, ours.frequency) == (theirs.t1, theirs.t2, theirs.frequency)
    for name in ("sx", "x", "rz", "id", "ecr", "measure", "reset", "delay"):
        inside = {
            tuple(place[q] for q in pair): properties
            for pair, properties in whole.target[name].items()
            if set(pair) <= set(qubits)
        }
        if not inside:  # ecr on a single qubit, or on two that are no neighbours
            assert name == "ecr"
            assert name not in part.target.operation_names
            continue
        assert set(part.target[name]) == set(inside)
        for pair, properties in inside.items():
            ours = part.target[name][pair]
            if properties is None:
                assert ours is None
            else:
                assert (ours.error, ours.duration) == (properties.error, properties.duration)


def test_the_noise_of_a_part_is_that_of_its_qubits():
    # Every quantum error and readout error, as matrices: exact.
    whole, qubits = FakeManilaV2(), (3, 2, 1)
    ours = NoiseModel.from_backend(restrict(whole, qubits))
    theirs = NoiseModel.from_backend(whole)
    compared = 0
    for name, errors in ours._local_quantum_errors.items():
        for wires, error in errors.items():
            other = theirs._local_quantum_errors[name][tuple(qubits[w] for w in wires)]
            assert_allclose(SuperOp(error).data, SuperOp(other).data, rtol=0, atol=1e-12)
            compared += 1
    for wires, error in ours._local_readout_errors.items():
        other = theirs._local_readout_errors[tuple(qubits[w] for w in wires)]
        assert_allclose(error.probabilities, other.probabilities, rtol=0, atol=1e-12)
        compared += 1
    # sx, x, id, reset, measure and readout on three qubits, cx both ways on two pairs.
    assert compared >= 3 * 5 + 4


def native_pair(steps: int) -> tuple[QuantumCircuit, QuantumCircuit]:
    """A random neuron with its idle times, on the part and on the whole chip's same qubits."""
    whole = FakeBrisbane()
    rng = np.random.default_rng(3)
    neuron = random_neuron("bidirectional", 1, 2, rng)
    values = parameter_values(neuron, random_currents(1, steps, rng), per_occurrence=False)
    circuit = neuron_circuit("bidirectional", 1, 2, steps).assign_parameters(values)
    native = transpile(
        circuit,
        target=restrict(whole, GROUP).target,
        initial_layout=[0, 1, 2],
        optimization_level=1,
        scheduling_method="alap",
        seed_transpiler=0,
    )
    assert native.count_ops()["delay"] > 0
    placed = QuantumCircuit(whole.num_qubits, native.num_clbits)
    placed.compose(native, GROUP, range(native.num_clbits), inplace=True)
    return native, placed


def noisy(backend: BackendV2) -> AerSimulator:
    return AerSimulator.from_backend(backend, method="density_matrix")


def counts_of(simulator: AerSimulator, circuit: QuantumCircuit, seed: int) -> np.ndarray:
    seen = simulator.run(circuit, shots=SHOTS, seed_simulator=seed).result().get_counts()
    counts = np.zeros(2**circuit.num_clbits)
    for text, count in seen.items():
        counts[int(text, 2)] = count
    return counts


def test_the_law_of_a_part_is_that_of_the_whole_chip():
    native, placed = native_pair(steps=2)
    part = counts_of(noisy(restrict(FakeBrisbane(), GROUP)), native, seed=1)
    whole = counts_of(noisy(FakeBrisbane()), placed, seed=2)
    assert (part > 30).all()
    assert chi2_contingency([part, whole]).pvalue > 1e-5
    # And it can fail: without noise the law is another.
    perfect = counts_of(AerSimulator(), native, seed=3)
    assert chi2_contingency([part, perfect]).pvalue < 1e-9


def test_the_order_of_the_qubits_is_the_order_given():
    whole = FakeManilaV2()
    forward, backward = restrict(whole, [1, 2]), restrict(whole, [2, 1])
    one, other = (part.target.qubit_properties for part in (forward, backward))
    assert [p.t1 for p in one] == [p.t1 for p in other][::-1]
    assert one[0].t1 == whole.target.qubit_properties[1].t1 != one[1].t1


@pytest.mark.parametrize("qubits", [(0, 0), (5,), (-1,), (1, 2, 1)])
def test_impossible_parts_are_refused(qubits):
    with pytest.raises(
        HardwareError, match=r"qubits is .*different qubits in 0\.\.4 of fake_manila"
    ):
        restrict(FakeManilaV2(), qubits)


def test_a_part_runs_nothing_itself():
    with pytest.raises(HardwareError, match="cannot run circuits"):
        restrict(FakeManilaV2(), [0]).run(QuantumCircuit(1))


# Accounts. No test reaches a network: the service is replaced, or has no account to start from.

SECRET = "SECRET123"


def account_with(device: Callable[[str], BackendV2]) -> type[IBMQuantumComputeService]:
    """An account, without a network, whose devices are those of the function."""

    class Service(IBMQuantumComputeService):
        def __new__(cls) -> "Service":
            return object.__new__(cls)

        def __init__(self) -> None:
            pass

        def backend(self, name: str, **_options: object) -> BackendV2:
            return device(name)

    return Service


def message_of(name: str) -> str:
    """The refusal and all that a printed traceback of it would show."""
    with pytest.raises(HardwareError) as refused:
        find(name)
    error = refused.value
    return str(error) + "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "error",
    [
        IBMNotAuthorizedError(f"401: the token {SECRET} is not known"),
        RequestsConnectionError(f"https://auth.example/?apikey={SECRET} cannot be reached"),
        ValueError(f"Invalid header value: 'Bearer {SECRET}'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_account_that_fails_is_refused_with_a_hint_and_without_the_token(monkeypatch, error):
    def service(*_args, **_options):
        raise error

    monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)
    monkeypatch.setattr(ibm, "IBMQuantumComputeService", service)
    message = message_of("ibm:boston")
    assert SECRET not in message
    assert "QISKIT_IBM_TOKEN" in message
    assert "save_account" in message
    assert type(error).__name__ in message  # what happened is said


def test_a_device_that_the_account_lacks_is_refused_without_the_token(monkeypatch):
    def refuse(name: str):
        raise IBMNotAuthorizedError(f"{name}: no access with {SECRET}")

    monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)
    monkeypatch.setattr(ibm, "IBMQuantumComputeService", account_with(refuse))
    message = message_of("ibm:atlantis")
    assert "atlantis" in message
    assert SECRET not in message


def test_an_ibm_device_is_checked_for_reset_and_keeps_its_name(monkeypatch):
    offered = {"good": FakeManilaV2(), "lame": FakeBerlin()}
    monkeypatch.setattr(ibm, "IBMQuantumComputeService", account_with(offered.__getitem__))
    device = find("ibm:good")
    assert (device.name, device.kind, device.has_chip) == ("ibm:good", "ibm", True)
    assert device.backend is offered["good"]
    with pytest.raises(HardwareError, match=r"ibm:lame.*no reset"):
        find("ibm:lame")


def test_no_name_is_no_device(monkeypatch):
    # A service asked for the device "" may give any that it has.
    monkeypatch.setattr(ibm, "IBMQuantumComputeService", account_with(lambda _: FakeManilaV2()))
    with pytest.raises(HardwareError, match="ibm:"):
        find("ibm:")


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints, stdout and stderr, in a clean environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QISKIT_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_without_an_account_nothing_is_written_and_a_hint_given(tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    # The door to the network is shut: a request fails at once, as offline.
    code = f"""
import os, traceback
os.chdir({str(work)!r})
import requests
def shut(self, method, url, **options):
    raise requests.exceptions.ConnectionError("no network")
requests.Session.request = shut
from sqsnn.errors import HardwareError
from sqsnn.hardware.devices import find
for token in (None, {SECRET!r}):
    if token:
        os.environ["QISKIT_IBM_TOKEN"] = token
    try:
        find("ibm:boston")
    except HardwareError as error:
        print("REFUSED", error)
        traceback.print_exception(error)
"""
    said = python(code, HOME=str(home))
    assert said.count("REFUSED") == 2
    assert said.count("set QISKIT_IBM_TOKEN") >= 2
    assert SECRET not in said
    assert list(work.iterdir()) == []
    written = [path for path in home.rglob("*") if path.is_file()]
    assert not any(SECRET in path.read_text(errors="replace") for path in written)


# The extra


@pytest.mark.parametrize("missing", ["qiskit", "qiskit_aer", "qiskit_ibm_runtime"])
def test_without_the_extra_names_are_there_and_say_what_to_install_when_used(missing):
    code = f"""
import inspect, pydoc, sys
sys.modules[{missing!r}] = None  # as if it were not installed
import sqsnn
import sqsnn.hardware
assert hasattr(sqsnn, "hardware")
names = {{"Executor", "find", "ibm", "calibrate"}}
assert names <= set(dir(sqsnn.hardware)), dir(sqsnn.hardware)
assert names <= {{name for name, _ in inspect.getmembers(sqsnn.hardware)}}
assert hasattr(sqsnn.hardware, "Executor")
assert not hasattr(sqsnn.hardware, "Executer")
assert "Executor" in pydoc.render_doc(sqsnn.hardware)
from sqsnn.hardware import *
from sqsnn.hardware import ibm
assert not hasattr(ibm, "open_mode")
for use in (lambda: find("aer"), lambda: Executor(None), lambda: ibm.open_mode(None, "job")):
    try:
        use()
    except sqsnn.HardwareError as error:
        print(error)
    else:
        raise AssertionError("no error")
"""
    said = python(code)
    assert said.count("pip install 'sqsnn[hardware]'") == 3
    assert said.count(missing) >= 3


def test_importing_the_room_loads_no_qiskit():
    python("import sys, sqsnn.hardware; assert 'qiskit' not in sys.modules")
