"""The settings of `sqsnn hardware`, checked when made; neither torch nor Qiskit here."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from sqsnn.training.rule_config import Section


class DeviceOptions(Section):
    """Where and how to run the network of a run."""

    backend: str = "aer"
    """Device: aer, a snapshot such as fake_brisbane, or ibm:NAME."""
    samples: Annotated[int, Field(ge=2)] = 50
    """Test samples, chosen by the seed."""
    shots: PositiveInt = 1
    """Inferences a sample, whose spikes are summed."""
    pack: PositiveInt | Literal["all"] = 1
    """Neurons side by side on the chip; all: as many as fit."""
    mitigate_readout: bool = False
    """Measure the readout errors first and take them out of currents and counts."""
    ideal: bool = False
    """[fake_...] Take the snapshot's chip without its noise."""
    mode: Literal["job", "batch", "session"] = "job"
    """[ibm:...] How jobs are sent: one by one, as a batch, or in a session of their own."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the choice of samples, their encoding and simulated outcomes; as done jobs are kept,
    new bits need another seed."""

    @model_validator(mode="after")
    def _consistent(self) -> "DeviceOptions":
        if self.ideal and not self.backend.startswith("fake_"):
            raise ValueError(f"ideal is for snapshots (fake_...), but backend is {self.backend!r}")
        if self.mode != "job" and not self.backend.startswith("ibm:"):
            raise ValueError(
                f"mode is {self.mode!r}, which is for ibm:NAME, but backend is {self.backend!r}"
            )
        if self.pack != 1 and self.backend == "aer":
            raise ValueError(f"pack is {self.pack!r}, but backend 'aer' has no chip to pack")
        return self

    @property
    def label(self) -> str:
        """A name for the folder of what comes out: the settings that differ from the defaults."""
        parts = [self.backend.replace(":", "-")]
        for name, value in self.model_dump(exclude={"backend", "mode"}).items():
            if value != type(self).model_fields[name].default:
                parts.append(name.replace("_", "-") if value is True else f"{name}-{value}")
        return "-".join(parts)
