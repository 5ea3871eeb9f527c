"""The settings of a run on a device: what is refused, and the name of what comes out."""

import re
from itertools import combinations

import pytest
from pydantic import ValidationError

from sqsnn.training.config import explain
from sqsnn.training.device_config import DeviceOptions

SNAPSHOT = "fake_manila"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"samples": 1}, "samples: .*greater than or equal to 2, but is 1"),
        ({"shots": 0}, "shots: .*greater than 0, but is 0"),
        ({"shots": 1.5}, "shots: .*integer"),
        ({"seed": -1}, "seed: .*greater than or equal to 0, but is -1"),
        ({"backend": SNAPSHOT, "pack": 0}, "pack.*greater than 0, but is 0"),
        ({"backend": SNAPSHOT, "pack": "most"}, "pack.*'all'"),
        ({"mode": "sessions", "backend": "ibm:x"}, "mode: .*'job', 'batch' or 'session'"),
        ({"ideal": True}, "ideal is for snapshots .*'aer'"),
        ({"ideal": True, "backend": "ibm:x"}, "ideal is for snapshots .*'ibm:x'"),
        ({"mode": "batch"}, "mode is 'batch'.*ibm:NAME.*'aer'"),
        ({"mode": "session", "backend": SNAPSHOT}, "mode is 'session'.*'fake_manila'"),
        ({"pack": 2}, "pack is 2.*'aer' has no chip"),
        ({"pack": "all"}, "pack is 'all'.*'aer' has no chip"),
        ({"packs": 2}, "packs: Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_what_cannot_be_or_would_not_be_looked_at_is_refused(settings, said):
    with pytest.raises(ValidationError) as refused:
        DeviceOptions(**settings)
    assert re.search(said, explain(refused.value))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"backend": SNAPSHOT, "ideal": True, "pack": "all"},
        {"backend": "ibm:x", "mode": "session", "pack": 7},
        {"mitigate_readout": True, "shots": 5, "samples": 2, "seed": 2**40},
    ],
    ids=str,
)
def test_what_goes_together_is_taken(settings):
    options = DeviceOptions(**settings)
    assert {name: getattr(options, name) for name in settings} == settings


def test_settings_never_change():
    with pytest.raises(ValidationError):
        DeviceOptions().shots = 2  # pyright: ignore[reportAttributeAccessIssue]


# Names of folders


def test_every_setting_that_changes_what_comes_out_changes_the_name():
    other = {
        "backend": "fake_lima",
        "samples": 7,
        "shots": 3,
        "pack": 2,
        "mitigate_readout": True,
        "ideal": True,
        "seed": 1,
    }
    # `mode` is how jobs are sent, not what they measure.
    assert set(other) | {"mode"} == set(DeviceOptions.model_fields)
    labels = [
        DeviceOptions(**{"backend": SNAPSHOT, **{name: other[name] for name in some}}).label
        for count in range(len(other) + 1)
        for some in combinations(other, count)
    ]
    labels += [DeviceOptions(backend=SNAPSHOT, pack=pack).label for pack in (3, "all")]
    labels += [DeviceOptions(backend=name).label for name in ("aer", "ibm:x", "ibm:manila")]
    assert len(set(labels)) == len(labels) == 2**7 + 5


def test_the_name_says_what_differs_from_the_defaults_and_is_a_folder_on_any_system():
    assert DeviceOptions().label == "aer"
    options = DeviceOptions(backend="ibm:brisbane", mitigate_readout=True, samples=9, pack="all")
    assert options.label == "ibm-brisbane-samples-9-pack-all-mitigate-readout"
    assert re.fullmatch(r"[\w-]+", options.label)
    batch = options.model_copy(update={"mode": "batch"})
    assert batch.label == options.label
