"""Build the source distribution and from it the wheel, install that elsewhere, and test it there.

`make wheel` runs this. The tests are those that cibuildwheel runs on every platform; no file of the
source tree but them is within reach. `python tests/campaigns/wheel.py python3.12 python3.13` tests
the wheel with other Pythons: it is one for all.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
PROGRAMS = "Scripts" if sys.platform == "win32" else "bin"
# What the source distribution holds: the package's files of these kinds, and those around it.
SUFFIXES = {".cpp", ".h", ".html", ".py", ".pyi", ".typed"}
AROUND = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"}
AROUND |= {"pyproject.toml", "setup.cfg", "setup.py"}
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


def check_contents(archive: Path) -> None:
    """End this program if the source distribution lacks a file of the package, or holds others.

    Args:
        archive: The source distribution.
    """
    with tarfile.open(archive) as opened:
        files = (Path(member.name) for member in opened.getmembers() if member.isfile())
        held = {Path(*file.parts[1:]).as_posix() for file in files}
    package = {file for file in (ROOT / "src" / "sqsnn").rglob("*") if file.suffix in SUFFIXES}
    own = {file.relative_to(ROOT).as_posix() for file in package}
    more = {name for name in held - own - AROUND if ".egg-info/" not in name}
    wrong = (own - held) | more
    if wrong:
        sys.exit(f"{archive.name} lacks these files, or should not hold them: {sorted(wrong)}")


def new_environment(interpreter: str, folder: Path) -> list[str | Path]:
    """Make a virtual environment without pip, and give the command that installs into it.

    Args:
        interpreter: The Python of the environment.
        folder: Where the environment is made.
    """
    call([interpreter, "-m", "venv", "--without-pip", folder], ROOT, folder)
    python = folder / PROGRAMS / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    return [*pip, "install", "--quiet", "-c", ROOT / "constraints.txt"]


def check_description(dist: Path, folder: Path) -> None:
    """Check that an index would show the description of both distributions.

    Args:
        dist: The folder of the distributions.
        folder: Where an environment for twine is made.
    """
    call([*new_environment(sys.executable, folder), "twine"], ROOT, folder)
    call([folder / PROGRAMS / "twine", "check", "--strict", *sorted(dist.iterdir())], ROOT, folder)


def test(wheel: Path, folder: Path, interpreter: str) -> None:
    """Install a wheel into a new environment and run the tests of cibuildwheel, and a training.

    Args:
        wheel: The wheel.
        folder: An empty folder for the environment and copies of the tests.
        interpreter: The Python of the environment.
    """
    environment, sources = folder / "environment", folder / "sources"
    python = environment / PROGRAMS / "python"
    install = new_environment(interpreter, environment)
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
    check_contents(*built.parent.glob("*.tar.gz"))
    with tempfile.TemporaryDirectory() as temporary:
        check_description(built.parent, Path(temporary))
    for chosen in sys.argv[1:] or [sys.executable]:
        with tempfile.TemporaryDirectory() as temporary:
            test(built, Path(temporary), chosen)
        print(f"dist/{built.name} works with {chosen}")
