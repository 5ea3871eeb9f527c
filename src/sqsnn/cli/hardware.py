"""`sqsnn hardware`: the network of a run on a quantum backend."""

# The classes of flags are made at run time.
# pyright: reportInvalidTypeForm=false

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from rich.table import Table
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn.cli.flags import flags_of, given
from sqsnn.cli.spending import asking
from sqsnn.runs.on_device import DeviceOptions
from sqsnn.settings import flat

if TYPE_CHECKING:
    from sqsnn.runs.on_device import LayerOnDevice, Outcome


_DEVICE = Group("Device")
DeviceFlags: Any = flags_of(DeviceOptions, dict.fromkeys(DeviceOptions.model_fields, _DEVICE))


def hardware(
    run: Path,
    /,
    *,
    options: Annotated[DeviceFlags | None, Parameter(name="*")] = None,
    yes: Annotated[bool, Parameter(show_default=False)] = False,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Run test samples through the network of a run on a quantum backend, beside the simulator.

    Parameters
    ----------
    run
        Folder of the run.
    yes
        Do not ask before device time is spent.
    data_dir
        Folder of the datasets [default: that of the training].
    """
    from sqsnn.runs import folder
    from sqsnn.runs.on_device import run_on_device

    console = Output()
    chosen = DeviceOptions.model_validate(flat.nest(DeviceOptions, given(options), {}))
    outcome, place = run_on_device(folder.find(run), chosen, data_dir, asking(console, yes))
    console.print(_table(outcome))
    for name in ("result.json", "bits.npz"):
        console.print(Text(str(place / name)), soft_wrap=True)


def _table(outcome: "Outcome") -> Table:
    table = Table(title=Text(f"{outcome.backend}, {outcome.samples} samples"), show_header=False)
    error = outcome.standard_error
    rows = {
        f"accuracy on {outcome.backend}": f"{outcome.accuracy:.1%}",
        "accuracy of the simulator, same samples": f"{outcome.simulator_accuracy:.1%}",
        "difference": f"{100 * outcome.difference:+.1f} ± {100 * error:.1f} points",
        "shots per sample": f"{outcome.shots}",
        "spikes per sample, layer by layer": _numbers(outcome.spikes_per_sample),
        "of the simulator": _numbers(outcome.simulator_spikes_per_sample),
        "jobs": _jobs(outcome),
        "circuits": f"{outcome.circuits:,}",
    }
    for number, layer in enumerate(outcome.layers, start=1):
        rows[f"layer {number}, a neuron"] = _neuron(layer)
    if outcome.estimated_seconds is not None:
        rows["device time, estimated"] = f"{outcome.estimated_seconds:.1f} s"
    if outcome.device_seconds is not None:
        rows["device time, billed"] = f"{outcome.device_seconds:.1f} s"
    if outcome.false_spike is not None and outcome.missed_spike is not None:
        rows["false, missed spikes (readout)"] = (
            f"{max(outcome.false_spike):.2%}, {max(outcome.missed_spike):.2%}"
        )
    if outcome.calibrated is not None:
        rows["calibrated"] = outcome.calibrated
    rows["time"] = f"{outcome.seconds:.1f} s"
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _neuron(layer: "LayerOnDevice") -> str:
    gates = ", ".join(f"{count} {name}" for name, count in layer.gates.items())
    said = f"{gates}; depth {layer.depth}"
    if layer.shot_microseconds is not None:
        said += f"; one shot {layer.shot_microseconds:.0f} us"
    if layer.feed_forward_microseconds:
        said += f", {layer.feed_forward_microseconds:.1f} of them waiting for own spikes"
    if layer.neurons_side_by_side > 1:
        said += f"; {layer.neurons_side_by_side} side by side"
    return said


def _jobs(outcome: "Outcome") -> str:
    kept = f", {outcome.resumed_jobs} done before" if outcome.resumed_jobs else ""
    return f"{outcome.jobs}{kept}"


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)
