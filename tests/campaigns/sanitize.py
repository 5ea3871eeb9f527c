"""Run the kernel's tests on builds that stop at bad memory accesses and undefined behaviour.

`make sanitize` runs this, on Linux with g++. It tests each build that this processor runs, after
that build was seen to stop at two errors made on purpose.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import torch

from sqsnn.native import library

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
TESTS = shlex.split(SETTINGS["test-command"][-1])[1:]  # those that every wheel has to pass
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"
FLAGS = f"{SANITIZE} -fno-omit-frame-pointer -O1 -g"

# Numbers drawn into an array that is one too short, or from a state that counts beyond its words.
ERROR = """
import ctypes, torch
from sqsnn.native import library
kernel = library.load()
assert str(library.FOLDER) == {folder!r}, library.FOLDER
state = torch.Generator().get_state()
array, given = torch.empty(10), ctypes.c_int64 * 1
if {overflow}:
    state[8:12] = torch.tensor([2, 0, 0, 0])  # numbers left
    state[16:24] = torch.tensor([0, 0, 0, 128, 0, 0, 0, 0])  # the next word
address = (ctypes.c_void_p * 1)(array.data_ptr())
kernel.sqsnn_uniforms(state.data_ptr(), 1, 1, address, given(10 if {overflow} else 11), 0)
"""
REPORTS = {False: "AddressSanitizer: heap-buffer-overflow", True: "signed integer overflow"}


def runtime(compiler: str, name: str) -> str:
    """Find a library of the compiler.

    Args:
        compiler: The compiler, such as g++.
        name: The file's name.

    Returns:
        Its path; the program ends where the compiler has none.
    """
    command = [compiler, f"-print-file-name={name}"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(path).is_absolute():
        sys.exit(f"{compiler} has no {name}: install it, or name another compiler in CXX")
    return path


def build(folder: Path, compiler: str) -> Path:
    """Build the package with sanitizers.

    Args:
        folder: An empty folder.
        compiler: The compiler.

    Returns:
        The folder from which Python imports it.
    """
    flags = {"CC": compiler, "CXX": compiler, "CXXFLAGS": FLAGS, "LDFLAGS": SANITIZE}
    parts = ["--build-base", folder / "base", "--build-lib", folder / "lib"]
    command = [sys.executable, "setup.py", "--quiet", "build", *parts]
    quiet = subprocess.DEVNULL  # what the compiler says goes to the other stream
    subprocess.run(command, cwd=ROOT, env={**os.environ, **flags}, stdout=quiet, check=True)
    return folder / "lib"


def check(package: Path, capability: str, preload: str) -> None:
    """Test one build; the program ends at the first error.

    Args:
        package: The folder with the package.
        capability: The instruction set, by torch's name of it.
        preload: The libraries that have to be loaded before Python's own.
    """
    variables = {
        **os.environ,
        "LD_PRELOAD": preload,
        # Python itself frees little at its end.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(package),
        "ATEN_CPU_CAPABILITY": capability.lower(),
    }
    for overflow, report in REPORTS.items():
        program = ERROR.format(folder=str(package / "sqsnn" / "native"), overflow=overflow)
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode == 0 or report not in done.stderr:
            sys.exit(f"{capability}: an error made on purpose was not found\n{done.stderr}")
    # Reports go past pytest, which would lose them with the process.
    command = [sys.executable, *TESTS, "--verbose", "--capture=sys"]
    if subprocess.run(command, cwd=ROOT, env=variables).returncode:
        sys.exit(f"{capability}: failed; the report stands above")
    print(f"{capability}: clean", flush=True)


def main() -> None:
    """Build, then test what this processor runs."""
    if sys.platform != "linux":
        sys.exit(f"the platform is {sys.platform}: sanitizers run on linux alone")
    compiler = os.environ.get("CXX", "g++")
    # Errors of torch are thrown through the sanitizer, which must find the C++ library by then.
    preload = ":".join(runtime(compiler, name) for name in ("libasan.so", "libstdc++.so"))
    best = torch.backends.cpu.get_cpu_capability()
    builds = list(library.BUILDS)
    with tempfile.TemporaryDirectory() as folder:
        package = build(Path(folder).resolve(), compiler)
        for capability in builds[builds.index(best) :] if best in builds else [best]:
            check(package, capability, preload)


if __name__ == "__main__":
    main()
