"""The settings of a run under their flat names, and the command that trains it again."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args, get_origin

from sqsnn.data.dataset_spec import DatasetSpec
from sqsnn.data.specs import find_spec, is_own, own_spec
from sqsnn.quantum.noise import Noise
from sqsnn.readout import Traces
from sqsnn.settings import flat
from sqsnn.settings.data import require_spec
from sqsnn.settings.run import RunSettings, from_flat

# What the command names by itself or finds out, and a folder that other machines do not have.
_UNSAID = ("dataset", "source", "data_dir", "length", "circuit_gates", "begins_with")
# The parts that may change where a training begins with a network, beside the data.
_TRAINED = ("rule", "training")
_DEFAULT = re.compile(r" \[default: [^]]*\]")  # in words, for the help of the command line


class Setting(NamedTuple):
    """A setting of a run.

    Attributes:
        name: Its flat name.
        value: What it is.
        default: What it is where it is left out.
        meaning: What it decides, in words.
        is_chosen: Whether it differs from its default.
        part: The part of the settings that it belongs to.
    """

    name: str
    value: Any
    default: Any
    meaning: str
    is_chosen: bool
    part: str


def list_settings(settings: RunSettings) -> list[Setting]:
    """List all settings of a run but the dataset and its place, with their defaults."""
    mine, base = flat.flatten(RunSettings, settings.model_dump()), _defaults(settings)
    found = []
    for leaf in flat.leaves(RunSettings):
        applies = all(flat.is_kind(mine.get(choice), kind) for choice, kind in leaf.kinds.items())
        if applies and leaf.name not in _UNSAID:
            default = base.get(leaf.name, leaf.default)
            value = mine.get(leaf.name, leaf.default)
            meaning = _DEFAULT.sub("", " ".join((leaf.field.description or "").split()))
            chosen = value != default
            found.append(Setting(leaf.name, value, default, meaning, chosen, leaf.path[0]))
    return found


def train_command(settings: RunSettings) -> str:
    """Write the command that trains a run again.

    A training that began with a network names it, and says all that may be set beside it: what is
    left out is then as in the training of that network, and no default. A graph has no flags: the
    command reads the file of the run.
    """
    if settings.graph is not None and settings.begins_with is None:
        return "sqsnn train --config config.toml"
    words = ["sqsnn", "train", settings.data.dataset]
    begins_with = settings.begins_with
    if begins_with is not None:
        words += ["--from", str(begins_with)]
    device = settings.device_noise.noise_from
    rates = set() if device is None else set(flat.fields_of(Noise))
    for setting in list_settings(settings):
        is_said = setting.is_chosen
        if begins_with is not None:
            is_said = setting.part in _TRAINED or (setting.part == "data" and is_said)
        # The name of the device stands for its rates.
        if not is_said or setting.name in rates:
            continue
        words += _flags(setting, separately=setting.name in _pairs())
    return shlex.join(words)


def _defaults(settings: RunSettings) -> dict[str, Any]:
    """What the settings would be with nothing given but the dataset, under their flat names.

    Each is the default of the kinds that are chosen.
    """
    spec, data = _spec(settings), settings.data
    # The preset's steps follow from the blank ones, the polarity from the channels, and some
    # datasets have no default duration.
    given: dict[str, Any] = {} if spec.delay is None else {"cue_delay": data.cue_delay}
    duration = None if spec.events is None else spec.events.duration
    if spec.events is not None and duration is None:
        given["duration"] = data.duration
    mine = flat.flatten(RunSettings, settings.model_dump())
    choices = {choice for leaf in flat.leaves(RunSettings) for choice in leaf.kinds}
    kinds = {choice: mine[choice] for choice in sorted(choices & mine.keys())}

    def preset(chosen: Mapping[str, Any]) -> dict[str, Any]:
        return flat.flatten(RunSettings, from_flat(data.dataset, chosen, spec).model_dump())

    unchosen = preset(given)
    # Without them the preset may not fit, or neurons of one's own may not be built.
    kept = {name: mine[name] for name in ("channels", "neuron_options") if name in mine}
    same_kinds = preset(given | kinds | kept)
    defaults = {name: value for name, value in same_kinds.items() if name not in choices}
    defaults |= {choice: unchosen[choice] for choice in choices & unchosen.keys()}
    unset = {"cue_delay": spec.delay, "duration": duration, "channels": 1, "neuron_options": {}}
    return defaults | unset


def _spec(settings: RunSettings) -> DatasetSpec:
    """What is known about the dataset; a user's own file may be gone, so it is not opened."""
    data, readout = settings.data, settings.readout
    if not is_own(data.dataset):
        return find_spec(data.dataset) or require_spec(data.dataset)
    return own_spec(
        data.dataset,
        length=data.length,
        predicts_values=settings.reads_values,
        every_step=isinstance(readout, Traces) and readout.every_step,
    )


def _pairs() -> set[str]:
    """The settings of a fixed number of values, which the command line takes one by one."""
    annotations = {leaf.name: leaf.field.annotation for leaf in flat.leaves(RunSettings)}
    tuples = {name: get_args(it) for name, it in annotations.items() if get_origin(it) is tuple}
    return {name for name, values in tuples.items() if Ellipsis not in values}


def _flags(setting: Setting, *, separately: bool) -> list[str]:
    flag, value = "--" + setting.name.replace("_", "-"), setting.value
    if isinstance(value, dict):
        return [word for name, one in value.items() for word in (f"{flag}.{name}", _word(one))]
    if value is True:
        return [flag]
    if value is False:
        return [f"{flag}=false"]
    if value is None:  # what the dataset's preset would fill
        return [flag, "none"]
    if isinstance(value, tuple | list):
        texts = list(map(str, value))
        return [flag, *texts] if separately else [flag, ",".join(texts)]
    return [flag, str(value)]


def _word(value: bool | int | float | str) -> str:
    """Write an option as the command line reads it: a plain word stays as it is."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except json.JSONDecodeError:
            return value
    return json.dumps(value)
