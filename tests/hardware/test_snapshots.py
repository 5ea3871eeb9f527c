"""The table of snapshots in docs/hardware.md is what IBM's client ships and sqsnn makes of it."""

import inspect
from pathlib import Path

import pytest
from qiskit_ibm_runtime import fake_provider

from sqsnn.errors import HardwareError
from sqsnn.hardware.devices import Device, find, mid_circuit, require_conditions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hardware.md"
HEAD = "| snapshot | processor | calibrated | measurement + reset in a circuit, us | conditions |"
# What IBM has in service; older families are retired.
FAMILIES = ("Heron", "Nighthawk")


def snapshots() -> list[Device]:
    """Snapshots of processors in service, those without a reset too, by age of the processor."""
    found = []
    for member in vars(fake_provider).values():
        if inspect.isclass(member) and getattr(member, "backend_name", None):
            backend = member()
            about = getattr(backend.configuration(), "processor_type", None) or {}
            if about.get("family") in FAMILIES:
                found.append(Device(backend.name, backend, "fake"))
    return sorted(found, key=lambda each: (processor(each), each.name))


def processor(device: Device) -> str:
    about = device.backend.configuration().processor_type
    return f"{about['family']} r{about['revision']}"


def line(device: Device) -> str:
    names = [mid_circuit(device.target, name) for name in ("measure", "reset")]
    try:
        find(device.name)
    except HardwareError as error:
        assert "offers no reset" in str(error)
        lasts = "refused: no reset"
    else:
        times = [max(each.duration for each in device.target[name].values()) for name in names]
        lasts = " + ".join(f"{time * 1e6:.2f}" for time in times)
        if special := ", ".join(f"`{name}`" for name in names if name.endswith("_2")):
            lasts += f" ({special})"
    try:
        require_conditions(device)
    except HardwareError as error:
        assert "offers no if_else" in str(error)
        conditions = "no"
    else:
        conditions = "yes"
    day = (device.calibrated or "")[:10]
    return f"| `{device.name}` | {processor(device)} | {day} | {lasts} | {conditions} |"


@pytest.mark.filterwarnings("ignore:Properties of fake_nighthawk")  # as the page says below it
def test_the_table_lists_the_snapshots_of_processors_in_service():
    lines = [line(device) for device in snapshots()]
    assert len(lines) > 5
    table = "\n".join([HEAD, "|---|---|---|---|---|", *lines, ""])
    assert table in PAGE.read_text("utf-8"), f"the table of the page should be\n{table}"


@pytest.mark.parametrize("name", ["fake_boston"])
def test_the_snapshot_of_the_examples_can_do_all_that_they_ask(name):
    device = find(name)
    require_conditions(device)
    assert [mid_circuit(device.target, each) for each in ("measure", "reset")] == [
        "measure_2",
        "reset_2",
    ]
    for each in ("measure_2", "reset_2", "cz", "sx"):
        assert all(properties.duration for properties in device.target[each].values())
    assert device.rep_delay == 250e-6
