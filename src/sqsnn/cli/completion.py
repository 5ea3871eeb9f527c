"""`sqsnn --install-completion`: the shell completes commands, flags, datasets and files."""

from typing import Literal

from cyclopts.completion.detect import ShellDetectionError
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn.data.specs import names
from sqsnn.errors import ConfigError
from sqsnn.storage import writing


def install(*, shell: Literal["bash", "zsh", "fish", "powershell"] | None = None) -> None:
    """Let the shell complete commands, flags, datasets and files.

    Call it again after an update of sqsnn.

    Parameters
    ----------
    shell
        The shell [default: the one that this command was typed in].
    """
    from cyclopts.completion import detect_shell

    from sqsnn.cli.main import app  # which knows this command

    try:
        shell = shell or detect_shell()
    except ShellDetectionError:
        raise ConfigError("your shell is not known: name it, e.g. --shell bash") from None
    path = app.install_completion(shell=shell)
    text = _offer_files(path.read_text("utf-8"))
    with writing(path):
        path.write_text(text, "utf-8")
    console = Output()
    console.print(Text(str(path)), soft_wrap=True)
    console.print(Text("Open a new terminal, type sqsnn and press Tab twice."))
    if shell == "zsh":
        console.print(Text("Your ~/.zshrc has to have the line: autoload -Uz compinit && compinit"))


def _offer_files(script: str) -> str:
    """Offer files beside the names of the datasets, where cyclopts offers the names alone."""
    known = " ".join(names())
    for alone, with_files in {
        "\ncomplete -F ": "\ncomplete -o default -F ",  # bash
        f":({known})": f":{{compadd {known}; _files}}",  # zsh
        f" -f -a '{known}'": f" -a '{known}'",  # fish
    }.items():
        script = script.replace(alone, with_files)
    return script
