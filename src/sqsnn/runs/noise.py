"""The noise of a device, read from its error rates."""

from functools import partial

from pydantic import ValidationError

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.options import explain
from sqsnn.processes import ALONE, Processes
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.noise import Noise
from sqsnn.settings.run import RunSettings
from sqsnn.training.build import require_circuit


def settle_noise(settings: RunSettings, processes: Processes = ALONE) -> RunSettings:
    """Write down the rates of the device that settings name, so that a run repeats without it.

    A device is measured anew from time to time: of several processes the first reads the rates.
    """
    device = settings.device_noise
    if not settings.needs_rates or device.noise_from is None:
        return settings
    circuit = require_circuit(settings)
    read = processes.of_first(partial(device_noise, device.noise_from, circuit))
    noise = read.scaled(device.noise_strength)
    try:
        neurons = type(settings.neurons).model_validate({**dict(settings.neurons), "noise": noise})
    except ValidationError as error:
        raise ConfigError(explain(error)) from None
    return settings.model_copy(update={"neurons": neurons})


def device_noise(name: str, circuit: Circuit) -> Noise:
    """Find the rates of a neuron's gates that stand for a typical place on a device."""
    # Here and not above: runs without a device need no Qiskit.
    from sqsnn import hardware

    device = hardware.find(name)
    if not device.has_chip:
        raise HardwareError(
            f"{name} reports no error rates; noise is taken from a device that does, e.g. "
            "fake_boston"
        )
    return hardware.effective_noise(device.target, circuit)
