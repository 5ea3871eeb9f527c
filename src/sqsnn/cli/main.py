"""The command `sqsnn`: its subcommands, and how errors and interrupts look."""

import sys
import time
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnusedCliTokensError
from pydantic import ValidationError

from sqsnn import __version__, launch
from sqsnn.cli import ends, help
from sqsnn.cli.allocation import keep_freed_memory
from sqsnn.data.specs import names
from sqsnn.errors import ConfigError, EndedError, ProcessError, SqsnnError
from sqsnn.options import explain

PATIENCE = 5.0  # seconds in which torchrun ends a process after another has ended
SHARED = ("train", "evaluate")  # commands whose work processes can share

app = App(
    name="sqsnn",
    help=f"Train stochastic quantum spiking neural networks.\n\n{ends.CODES}",
    version=__version__,
    default_parameter=Parameter(negative=()),
    help_flags=help.FLAGS,
    help_epilogue="Start with: sqsnn train digits",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
app["--help"].help = "Show this help, or that of a command; --help-all shows all its flags."
# Loaded when they are called: `sqsnn --help` waits for none of them, and shows the first lines.
for name, summary in {
    "train": """Train a network on a dataset or a file of your own, or go on with a run.

    What is left out comes from the dataset's preset; --help-all shows all.""",
    "predict": """Predict the labels, or the values, of the samples of a file.

    The file needs the features of the training, and no labels.""",
    "evaluate": """Test the network of a run again, on its test samples or on a file.

    On its test samples it writes evaluation.json into its folder, evaluation-shots-K.json for K
    shots.""",
    "hardware": """Run test samples through the network of a run on a quantum backend.

    The simulator runs the same samples for comparison. Writes result.json and bits.npz into the
    folder of the run. Jobs that are done are kept: the same command again goes on where it
    stopped.""",
    "export": """Write a trained neuron as an OpenQASM 3 program and as a drawing.

    Both files go into the folder of the run.""",
    "inspect": "Take a closer look at a trained run, or at neurons.",
    "report": """Write a run as one HTML page.

    It holds all figures and pictures of the run and loads nothing.""",
    "spikes": "Fit quantum neurons to recorded spike trains, and draw spike trains from them.",
    "datasets": "List the datasets, and whether their files are there.",
}.items():
    app.command(f"sqsnn.cli.{name}:{name}", name=name, help=summary)
app.command(
    "sqsnn.cli.completion:install",
    name="--install-completion",
    help="""Let the shell complete commands, flags, datasets and files.

    Call it again after an update of sqsnn.""",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code, see `ends.CODES`."""
    ends.stop_politely()
    keep_freed_memory()
    # For circuits and neurons of one's own; behind everything that is installed.
    if "" not in sys.path:
        sys.path.append("")
    typed = sys.argv[1:] if arguments is None else arguments
    try:
        _refuse_repetition(typed)
        with help.level(typed):
            app(typed, console=ends.Output(), exit_on_error=False, print_error=False)
    except KeyboardInterrupt as interrupt:
        if launch.rank() == 0:  # once is enough
            _say(str(interrupt) or "Interrupted.", "yellow")
        sys.exit(ends.INTERRUPTED)
    except ends.OutputError as error:
        _say(str(error), "red")
        sys.exit(ends.CLOSED if error.is_closed else ends.WRONG_USE)
    except (CycloptsError, SqsnnError, ValueError, OSError) as error:
        if not _is_told(error):
            _say(_reason(error), "red")
        sys.exit(ends.WRONG_USE)
    finally:
        ends.end_at_once()


def _refuse_repetition(typed: Sequence[str]) -> None:
    """Refuse a command that every process of torchrun would run again."""
    command = next((word for word in typed if not word.startswith("-")), None)
    if launch.is_launched() and command not in (None, *SHARED):
        raise ConfigError(
            f"{launch.processes()} processes were started, which share the work of "
            f"{' and '.join(SHARED)} only: call `sqsnn {command}` without torchrun"
        )


def _is_told(error: Exception) -> bool:
    """Whether the first process has the same error and tells it: torchrun then ends this one."""
    is_news = isinstance(error, ProcessError) and not isinstance(error, EndedError)
    if launch.rank() == 0 or is_news:
        return False
    try:
        time.sleep(PATIENCE)
    except KeyboardInterrupt:
        return True
    return False


def _reason(error: Exception) -> str:
    """What is wrong with the call, in one line."""
    cause = error.__cause__ if isinstance(error, CycloptsError) else error
    if isinstance(cause, ValidationError):
        return explain(cause, flags=True)
    if isinstance(error, UnusedCliTokensError):
        return f"these words are no flags and go with none: {' '.join(error.unused_tokens or ())}"
    if isinstance(error, UnknownCommandError):
        word = (error.unused_tokens or [""])[0]
        if word in names():
            return f"{word} is a dataset and no command: did you mean sqsnn train {word}?"
    return str(error)


def _say(message: str, colour: str) -> None:
    if launch.is_launched():
        message = f"process {launch.rank()} of {launch.processes()}: {message}"
    ends.say(message, colour)


if __name__ == "__main__":
    main()
