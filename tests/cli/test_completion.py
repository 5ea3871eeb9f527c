"""Completion installs into the user's home, and offers commands, flags, datasets and files."""

import shutil
import subprocess
import sys

import pytest
from cyclopts import completion
from cyclopts.completion.detect import ShellDetectionError

PLACES = {
    "bash": ".local/share/bash-completion/completions/sqsnn",
    "zsh": ".zsh/completions/_cyclopts_sqsnn",
    "fish": ".config/fish/completions/sqsnn.fish",
}
# What a shell does when the user presses Tab, for words that are typed as the arguments.
TAB = """
. "$HOME/.bashrc"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_sqsnn
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("ZSH", "ZSH_CUSTOM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the home of a user lies elsewhere")
@pytest.mark.parametrize("shell", PLACES)
def test_completion_installs_for_a_shell(sqsnn, home, shell):
    done = sqsnn("--install-completion", "--shell", shell)
    assert (done.code, done.err) == (0, "")
    assert PLACES[shell] in done.out
    script = (home / PLACES[shell]).read_text("utf-8")
    for word in ("train", "memory-qubits", "fashion-mnist", "stochastic_lif", "help-all"):
        assert word in script
    # Beside the names of the datasets, files.
    offered = {
        "bash": "complete -o default -F _sqsnn sqsnn",
        "zsh": "sines; _files}",
        "fish": "= 0' -a 'digits mnist",
    }
    assert offered[shell] in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n", home / PLACES[shell]], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_flags_datasets_and_choices(sqsnn, home):
    sqsnn("--install-completion", "--shell", "bash")
    for typed, expected in {
        "sqsnn tr": "train",
        "sqsnn train bra": "braille",
        "sqsnn train digits --hid": "--hidden",
        "sqsnn train digits --rule lo": "local",
        "sqsnn inspect n": "noise",
    }.items():
        command = ["bash", "-c", TAB, "bash", *typed.split(" ")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [expected], typed


def test_an_unknown_shell_is_refused_in_one_line(refused, home, monkeypatch):
    assert "Choose from" in refused("--install-completion", "--shell", "tcsh")

    def fails():
        raise ShellDetectionError

    monkeypatch.setattr(completion, "detect_shell", fails)
    assert "name it, e.g. --shell bash" in refused("--install-completion")
    assert not list(home.iterdir())
