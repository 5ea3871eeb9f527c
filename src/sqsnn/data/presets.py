"""Good first settings and a one-line description for each dataset; needs no torch, so that the
command line can offer them at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class Preset:
    """Settings with which a dataset trains well in minutes.

    Args:
        hidden: neurons of each hidden layer.
        steps: time steps of a sample; where there is a delay, with the one in `DELAYS`.
        epochs: passes over the training data.
        batch: samples a training step.
        learning_rate: highest learning rate of the one-cycle schedule.
        encoding: how values become spikes; "spikes" where the samples are spike trains.
        report_steps: how many of the last steps are the network's answer; None for all.
    """

    hidden: tuple[int, ...]
    steps: int
    epochs: int
    batch: int = 64
    learning_rate: float = 0.01
    encoding: Literal["rate", "spikes"] = "rate"
    report_steps: int | None = None


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "digits": Preset(hidden=(64,), steps=10, epochs=30),
        "mnist": Preset(hidden=(256,), steps=5, epochs=10, batch=128, learning_rate=0.003),
        "fashion-mnist": Preset(hidden=(256,), steps=5, epochs=10, batch=128, learning_rate=0.003),
        "kmnist": Preset(hidden=(256,), steps=5, epochs=10, batch=128, learning_rate=0.003),
        "usps": Preset(hidden=(64,), steps=10, epochs=30),
        "recall": Preset(hidden=(32,), steps=7, epochs=30, encoding="spikes", report_steps=1),
        "order": Preset(hidden=(32,), steps=8, epochs=30, encoding="spikes", report_steps=1),
        "xor": Preset(hidden=(32,), steps=7, epochs=30, encoding="spikes", report_steps=1),
        "duration": Preset(hidden=(32,), steps=10, epochs=30, encoding="spikes", report_steps=1),
        "nmnist": Preset(hidden=(64,), steps=10, epochs=30, encoding="spikes"),
        "shd": Preset(hidden=(256,), steps=50, epochs=5, encoding="spikes"),
        "braille": Preset(hidden=(64,), steps=26, epochs=30, encoding="spikes"),
    }
)

# Blank steps between cue and report where none are asked for, of each dataset that has a delay.
DELAYS: Mapping[str, int] = MappingProxyType({"recall": 5, "order": 3, "xor": 3, "duration": 3})


@dataclass(frozen=True)
class EventPreset:
    """How the events of a dataset become spike trains where nothing else is asked for.

    Args:
        duration: seconds that the time steps span; None where it must be given.
        pool: so many neighbouring rows and columns are merged.
        polarities: 2 where events are ON or OFF, 1 where they are not; None where that is found
            out when the data are read.
    """

    duration: float | None
    pool: int
    polarities: int | None


EVENTS: Mapping[str, EventPreset] = MappingProxyType(
    {
        "nmnist": EventPreset(duration=0.31, pool=2, polarities=2),
        "shd": EventPreset(duration=1.4, pool=5, polarities=1),
        "braille": EventPreset(duration=1.3, pool=1, polarities=1),
    }
)

TONIC = "tonic:"  # before the name of a dataset that the library tonic reads
_TONIC_PRESET = Preset(hidden=(128,), steps=10, epochs=30, encoding="spikes")
_TONIC_EVENTS = EventPreset(duration=None, pool=2, polarities=None)


def find_preset(name: str) -> Preset | None:
    """The preset of a dataset; None where there is no such dataset.

    Args:
        name: its name, of tonic's datasets any with the prefix.
    """
    return _TONIC_PRESET if name.startswith(TONIC) else PRESETS.get(name)


def find_events(name: str) -> EventPreset | None:
    """How a dataset's events become spike trains; None where it has none.

    Args:
        name: its name, of tonic's datasets any with the prefix.
    """
    return _TONIC_EVENTS if name.startswith(TONIC) else EVENTS.get(name)


DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "1,797 handwritten digits of 8x8 pixels, part of scikit-learn; "
        "Alpaydin & Kaynak 1998, UCI, doi:10.24432/C50P49, CC BY 4.0",
        "mnist": "70,000 handwritten digits of 28x28 pixels; "
        "LeCun, Bottou, Bengio & Haffner 1998, doi:10.1109/5.726791, CC BY-SA 3.0",
        "fashion-mnist": "70,000 pictures of clothes of 28x28 pixels; "
        "Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747, MIT",
        "kmnist": "70,000 cursive Japanese characters of 28x28 pixels; "
        "Clanuwat et al. 2018, arXiv:1812.01718, CC BY-SA 4.0",
        "usps": "9,298 digits from envelopes of 16x16 pixels; "
        "Hull 1994, doi:10.1109/34.291440, no licence stated",
        "recall": "5,000 spike trains on 3 lines: a cue, a delay, and at the last step the report "
        "of which cue it was; lines flip with probability 0.01, so that 99 % is the best possible",
        "order": "5,000 spike trains on 3 lines: two lines fire once each at two of four steps, a "
        "delay, and the report of which came first; lines flip with probability 0.01, so that "
        "98.99 % is the best possible",
        "xor": "5,000 spike trains on 3 lines: two bits one after the other, a delay, and the "
        "report of whether they differ; lines flip with probability 0.01, so that 98.02 % is the "
        "best possible",
        "duration": "5,000 spike trains on 2 lines: a line fires for two or for four of six steps, "
        "a delay, and the report of which; lines flip with probability 0.01, so that 98.68 % is "
        "the best possible",
        "nmnist": "70,000 handwritten digits seen by an event camera of 34x34 pixels in three "
        "saccades; Orchard, Jayawant, Cohen & Thakor 2015, doi:10.3389/fnins.2015.00437",
        "shd": "10,420 spoken digits in English and German as spikes of an artificial cochlea of "
        "700 channels; Cramer, Stradmann, Schemmel & Zenke 2020, doi:10.1109/TNNLS.2020.3044364, "
        "CC BY 4.0",
        "braille": "5,400 Braille letters and spaces felt by a fingertip of 24 event channels; "
        "Mueller-Cleve et al. 2022, doi:10.3389/fnins.2022.951164",
    }
)
