"""From settings to the noise of a network: checked against the other settings, or from a device."""

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.noise import Noise
from sqsnn.training.config import Recipe
from sqsnn.training.noise_config import NoiseConfig

# Density matrices grow as 4**qubits; beyond this a run would take days.
MAX_TRAINED_QUBITS = 3


def build_noise(recipe: Recipe) -> Noise | None:
    """Build the noise that settings name.

    Args:
        recipe: the settings.

    Returns:
        the noise model, or None where every rate is 0.

    Raises:
        ConfigError: if the other settings do not go with noise, or the rates have not been taken
            from the device yet.
    """
    settings = recipe.noise
    if settings.is_open:
        raise ConfigError(
            f"the rates of noise_from {settings.noise_from!r} are not known yet; take them with "
            "sqsnn.training.noise.settle_noise"
        )
    if not any(settings.rates.values()):
        return None
    _refuse_misfits(recipe)
    return Noise(**settings.rates)


def settle_noise(settings: NoiseConfig, circuit: Circuit) -> NoiseConfig:
    """Write down the rates of the device that settings name, so that a run repeats without it.

    Args:
        settings: the settings of the noise; returned as they are where they name no device.
        circuit: the circuit of the neurons.

    Raises:
        HardwareError: if there is no such device, or it reports no error rates.
    """
    if not settings.is_open or settings.noise_from is None:
        return settings
    noise = device_noise(settings.noise_from, circuit).scaled(settings.noise_strength)
    rates = {name: float(getattr(noise, name)) for name in settings.rates}
    return settings.model_copy(update=rates)


def device_noise(name: str, circuit: Circuit) -> Noise:
    """The rates of a neuron's gates that stand for a typical place on a device.

    Args:
        name: the name of the device, e.g. fake_brisbane.
        circuit: the circuit of the neurons.

    Raises:
        HardwareError: if there is no such device, or it reports no error rates.
    """
    # Here and not above: runs without a device need no Qiskit.
    from sqsnn.hardware.calibration import effective_noise
    from sqsnn.hardware.devices import find

    device = find(name)
    if not device.has_chip:
        raise HardwareError(
            f"{name} reports no error rates; noise is taken from a device that does, e.g. "
            "fake_brisbane"
        )
    return effective_noise(device.target, circuit)


def _refuse_misfits(recipe: Recipe) -> None:
    model, rule = recipe.model, recipe.rule
    qubits = model.channels + model.memory_qubits
    if qubits > MAX_TRAINED_QUBITS:
        raise ConfigError(
            f"channels + memory_qubits is {qubits}, but noise is trained with for at most "
            f"{MAX_TRAINED_QUBITS}: it takes density matrices"
        )
    if recipe.training.compile:
        raise ConfigError("compile works without noise only")
    if rule.backend is not None:
        raise ConfigError(
            f"backend is {rule.backend!r}, which has its own noise: leave the rates out"
        )
    if rule.through_collapse:
        raise ConfigError("through_collapse works without noise only")
    if rule.rule == "local" and rule.score == "online":
        raise ConfigError("score 'online' works without noise only; use score exact")
