"""The command `sqsnn`: its subcommands, and how errors and interrupts look."""

import signal
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from sqsnn import __version__
from sqsnn.errors import SqsnnError
from sqsnn.options import explain

WRONG_USE = 2
INTERRUPTED = 130

app = App(
    name="sqsnn",
    help="Train stochastic quantum spiking neural networks.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    help_epilogue="Start with: sqsnn train digits",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
# Loaded when they are called: `sqsnn --help` waits for none of them.
for name, summary in {
    "train": "Train a network on a dataset, or go on with a run that was stopped.",
    "evaluate": "Test the best network of a run again, with any number of shots.",
    "hardware": "Run test samples through the network of a run on a quantum backend.",
    "export": "Write a trained neuron as an OpenQASM 3 program and as a drawing.",
    "inspect": "Take a closer look at a trained run.",
    "report": "Write a run as one HTML page.",
    "datasets": "List the datasets, and whether their files are there.",
}.items():
    app.command(f"sqsnn.cli.{name}:{name}", name=name, help=summary)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Exit codes: 0 done; 2 the call, the settings or the files are wrong; 130 interrupted.
    """
    # What stops a job politely (kill, a batch system) ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or "Interrupted.", "yellow")
        sys.exit(INTERRUPTED)
    except CycloptsError as error:
        cause = error.__cause__
        _say(
            explain(cause, flags=True) if isinstance(cause, ValidationError) else str(error), "red"
        )
        sys.exit(WRONG_USE)
    except (SqsnnError, ValueError, OSError) as error:
        _say(str(error), "red")
        sys.exit(WRONG_USE)


def _say(message: str, colour: str) -> None:
    # Not folded to the terminal's width: a command or a path in it is there to be copied.
    Console(stderr=True).print(Text(message, style=colour), soft_wrap=True)


if __name__ == "__main__":
    main()
