"""The command `sqsnn`: its subcommands, and how errors and interrupts look."""

import signal
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from sqsnn import __version__
from sqsnn.cli.compare import compare
from sqsnn.cli.datasets import datasets
from sqsnn.cli.evaluate import evaluate
from sqsnn.cli.export import export
from sqsnn.cli.hardware import hardware
from sqsnn.cli.inspect import inspect
from sqsnn.cli.report import report
from sqsnn.cli.train import train
from sqsnn.errors import SqsnnError
from sqsnn.training.config import explain

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
app.command(train)
app.command(evaluate)
app.command(hardware)
app.command(export)
app.command(inspect)
app.command(compare)
app.command(report)
app.command(datasets)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Exit codes: 0 done; 2 the call, the settings or the files are wrong; 130 interrupted.

    Args:
        arguments: what was typed after `sqsnn`; None for the arguments of this process.
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
