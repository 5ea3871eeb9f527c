"""The settings of a network's noise: its rates, or the device that they are taken from."""

from typing import Annotated

from pydantic import Field, model_validator

from sqsnn.training.rule_config import Section

_Rate = Annotated[float, Field(ge=0, le=1)]


class NoiseConfig(Section):
    """Imperfect gates, idling and readout, in training and in every test; none by default."""

    noise_from: str | None = None
    """Take the rates from this device's error rates, e.g. fake_brisbane, a snapshot."""
    noise_strength: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the device's rates."""

    depolarising_1q: _Rate = 0.0
    """Depolarising after gates on one qubit: rho -> (1 - p) rho + p 1/d."""
    depolarising_2q: _Rate = 0.0
    """Depolarising after gates on two qubits."""
    amplitude_damping_1q: _Rate = 0.0
    """Decay after gates on one qubit."""
    amplitude_damping_2q: _Rate = 0.0
    """Decay of each qubit after gates on two."""
    phase_damping_1q: _Rate = 0.0
    """Dephasing after gates on one qubit: coherence shrinks by sqrt(1 - rate)."""
    phase_damping_2q: _Rate = 0.0
    """Dephasing of each qubit after gates on two."""
    idle_depolarising: _Rate = 0.0
    """Depolarising of each memory qubit, once a step, while channels are measured and reset."""
    idle_amplitude_damping: _Rate = 0.0
    """Decay of each memory qubit meanwhile."""
    idle_phase_damping: _Rate = 0.0
    """Dephasing of each memory qubit meanwhile."""
    false_spike: _Rate = 0.0
    """Probability that a measured 0 is recorded as a spike."""
    missed_spike: _Rate = 0.0
    """Probability that a measured 1 is not recorded."""

    @property
    def rates(self) -> dict[str, float]:
        """The eleven rates by name."""
        return {name: getattr(self, name) for name in RATES}

    @property
    def is_open(self) -> bool:
        """Whether the rates have yet to be taken from the device."""
        return self.noise_from is not None and not self.model_fields_set.issuperset(RATES)

    @model_validator(mode="after")
    def _from_one_place(self) -> "NoiseConfig":
        given = [name for name in RATES if name in self.model_fields_set]
        # All of them beside their device: that is how they are written down once they are known.
        if self.is_open and given:
            raise ValueError(
                f"noise_from {self.noise_from!r} gives all rates, but {', '.join(given)} was given "
                "too: leave one or the other out"
            )
        if self.noise_from is None and self.noise_strength != 1:
            raise ValueError(
                f"noise_strength is {self.noise_strength}, but is looked at with noise_from only"
            )
        return self


RATES = tuple(
    name for name in NoiseConfig.model_fields if name not in ("noise_from", "noise_strength")
)
