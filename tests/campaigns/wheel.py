"""Build the source distribution and from it the wheel, install that elsewhere, and test it there.

`make wheel` runs this. The tests are those that cibuildwheel runs on every platform; no file of the
source tree but them is within reach.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
PROGRAMS = "Scripts" if sys.platform == "win32" else "bin"
LEFT_THE_CHECKOUT = """
import sys, sqsnn
from pathlib import Path
place = Path(sqsnn.__file__)
sys.exit(None if place.is_relative_to(sys.prefix) else f"sqsnn was imported from {place}")
"""


def call(command: list[str | Path] | str, folder: Path, environment: Path) -> None:
    """Run a command in a folder, with the programs of an environment; a failure ends this program.

    Args:
        command: The program and its arguments, or a line for the shell.
        folder: Where it runs.
        environment: The folder of a virtual environment.
    """
    print("+", command if isinstance(command, str) else " ".join(map(str, command)), flush=True)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["PATH"] = f"{environment / PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=variables, shell=isinstance(command, str))
    if done.returncode:
        sys.exit(f"the command failed with exit status {done.returncode}")


def build(dist: Path) -> Path:
    """Fill a folder with the source distribution and the wheel that is built from it.

    Args:
        dist: The folder; what it held is removed.

    Returns:
        The wheel; on Linux with the tag of the oldest system that it runs on.
    """
    shutil.rmtree(dist, ignore_errors=True)
    own = Path(sys.prefix)
    call([sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, ROOT], ROOT, own)
    (wheel,) = dist.glob("*.whl")
    if sys.platform != "linux":
        return wheel
    call([sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", dist, wheel], ROOT, own)
    wheel.unlink()
    (wheel,) = dist.glob("*.whl")
    return wheel


def test(wheel: Path, folder: Path) -> None:
    """Install a wheel into a new environment and run the tests of cibuildwheel, and a training.

    Args:
        wheel: The wheel.
        folder: An empty folder for the environment and copies of the tests.
    """
    environment, sources = folder / "environment", folder / "sources"
    python = environment / PROGRAMS / "python"
    call([sys.executable, "-m", "venv", "--without-pip", environment], folder, environment)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    install = [*pip, "install", "--quiet", "-c", ROOT / "constraints.txt"]
    call([*install, "torch"], folder, environment)
    call([*install, wheel, *SETTINGS["test-requires"]], folder, environment)
    sources.mkdir()
    for name in SETTINGS["test-sources"]:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, sources / name)
    call([python, "-c", LEFT_THE_CHECKOUT], sources, environment)
    for command in SETTINGS["test-command"]:
        call(command, sources, environment)
    call("sqsnn train digits --epochs 1", sources, environment)


if __name__ == "__main__":
    built = build(ROOT / "dist")
    with tempfile.TemporaryDirectory() as temporary:
        test(built, Path(temporary))
    print(f"dist/{built.name} works")
