"""The house: imports go one way, files stay short, every door has a sign, imports stay cheap."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from statistics import median

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sqsnn

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
FILES = sorted(SOURCE.rglob("*.py"))

# From the ground up: a room may import itself and whatever stands before it.
ROOMS = (
    "errors",
    "options",
    "readback",
    "placing",
    "checks",
    "storage",
    "readfile",
    "ownership",
    "launch",
    "native",
    "quantum",
    "processes",
    "uniforms",
    "neurons",
    "synapses",
    "network",
    "nn",
    "encoding",
    "readout",
    "learning",
    "data",
    "settings",
    "hardware",
    "training",
    "reports",
    "runs",
    "spike_trains",
    "plots",
    "trackers",
    "interop",
    "cli",
    "__main__",
)
# What the physics may know of the rest of the package.
BELOW_PHYSICS = {"checks", "errors", "native", "options", "placing", "quantum"}
MAXIMUM_LINES, MEDIAN_LINES, ALL_LINES = 350, 130, 39_190


def module_name(path: Path) -> str:
    """`src/sqsnn/quantum/gates.py` -> `sqsnn.quantum.gates`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): ast.parse(path.read_text(), str(path)) for path in FILES}


def room(module: str) -> str:
    """The first part of a module's name below the package; empty for the package itself."""
    return module.removeprefix("sqsnn").removeprefix(".").partition(".")[0]


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every import from the package, wherever in the module it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            for alias in node.names:
                # The version is a plain constant, which a room may ask the package for.
                if (node.module, alias.name) != ("sqsnn", "__version__"):
                    yield node.lineno, f"{node.module}.{alias.name}"


def package_imports(module: str) -> list[tuple[int, str]]:
    """Line and room of every import of another part of the package."""
    found = [(line, name) for line, name in imports(MODULES[module]) if name.startswith("sqsnn")]
    return [(line, room(name)) for line, name in found]


def test_every_room_has_a_place_in_the_order():
    rooms = {room(module) for module in MODULES} - {""}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("module", [name for name in MODULES if room(name)])
def test_imports_go_one_way(module):
    own = ROOMS.index(room(module))
    upward = [
        f"line {line}: {other or 'the package itself'}"
        for line, other in package_imports(module)
        if other not in ROOMS[: own + 1]
    ]
    assert not upward, f"{module} imports upward: {upward}"


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "quantum"])
def test_physics_knows_no_networks(module):
    assert {other for _, other in package_imports(module)} <= BELOW_PHYSICS


def test_files_are_short_and_the_house_is_small():
    lines = {module_name(path): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: count for name, count in lines.items() if count > MAXIMUM_LINES}
    assert median(lines.values()) <= MEDIAN_LINES
    assert sum(lines.values()) <= ALL_LINES


def test_the_library_does_not_name_its_laboratory():
    texts = {path: path.read_text("utf-8") for path in FILES}
    assert not [path for path, text in texts.items() if re.search(r"sqsnn[-_]bench", text)]


# Words that made readers stop; the fields have plainer ones.
ODD = re.compile(
    r"\b(nobody|anybody|((is|are|was|were) (told|looked at|asked for))|looks at|of before"
    r"|(line|one|shots|spikes|circuit|value|file|step)s? an? (epoch|step|neuron|sample|seed"
    r"|gate|layer|trial))\b"
)
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").glob("*.md")]


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_english_is_plain(path):
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    odd = [f"line {number}: {line.strip()}" for number, line in lines if ODD.search(line)]
    assert not odd, "\n".join(odd)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring(module):
    tree = MODULES[module]
    bare = [] if ast.get_docstring(tree) else ["the module"]
    bare += [name for name, node in public_definitions(tree) if not ast.get_docstring(node)]
    assert not bare, f"{module}: no docstring on {bare}"


def public_definitions(
    parent: ast.Module | ast.ClassDef, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Public functions and classes of a module, and public methods of its public classes."""
    for node in parent.body:
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node, f"{prefix}{node.name}.")


LAZY = [
    "sqsnn",
    "sqsnn.data",
    "sqsnn.encoding",
    "sqsnn.hardware",
    "sqsnn.learning",
    "sqsnn.neurons",
    "sqsnn.synapses",
    "sqsnn.trackers",
]


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_loads(package):
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


def test_the_circuits_load_without_anything_else():
    assert loaded("import sqsnn; sqsnn.circuits.get('crx', 1, 1)", ("torch", *OPTIONAL)) == {
        "torch"
    }


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="No sqsnn attribute Perceptron"):
        sqsnn.Perceptron  # noqa: B018


def test_the_package_can_be_explored_without_qiskit():
    code = """
import sys
for name in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit_qasm3_import"):
    sys.modules[name] = None
import inspect, pydoc
import sqsnn
from sqsnn import *
assert hasattr(sqsnn, "hardware") and Local is sqsnn.Local
assert {"train", "load", "Population", "ConfigError"} <= {n for n, _ in inspect.getmembers(sqsnn)}
assert "Local" in pydoc.render_doc(sqsnn)
"""
    assert loaded(code, ()) == set()


# Each is slow to import or optional: none may come along unasked.
OPTIONAL = (
    "qiskit",
    "tonic",
    "matplotlib",
    "sklearn",
    "h5py",
    "pooch",
    "optuna",
    "pandas",
    "pyarrow",
    "nir",
    "neurobench",
    "pennylane",
    "snntorch",
    "hmmlearn",
    "nitime",
    "statsmodels",
    "tensorboard",
    "wandb",
    "mlflow",
)


def loaded(code: str, modules: tuple[str, ...]) -> set[str]:
    """Which of the modules a fresh interpreter has loaded after running the code."""
    report = f"\nimport sys\nprint(*(set(sys.modules) & set({modules!r})), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("\n")) & set(modules)


def test_importing_the_package_loads_nothing_heavy():
    assert loaded("import sqsnn", ("torch", "numpy", *OPTIONAL)) == set()


def test_neurons_and_networks_need_torch_alone():
    code = "import sqsnn; sqsnn.SpikingNetwork, sqsnn.SQSNeurons, sqsnn.encoding, sqsnn.readout"
    assert loaded(code, ("torch", *OPTIONAL)) == {"torch"}


def run_help(*command: str) -> str:
    """Code that prints the help of a command."""
    return f"""
from sqsnn.cli.main import main
try:
    main([*{command!r}, "--help"])
except SystemExit as stop:
    assert not stop.code, stop.code
"""


@pytest.mark.parametrize("command", [(), ("spikes",), ("spikes", "fit")])
def test_help_does_not_wait_for_torch(command):
    assert loaded(run_help(*command), ("torch", "numpy", *OPTIONAL)) == set()


@pytest.mark.parametrize("command", ["train", "evaluate", "hardware", "inspect", "export"])
def test_the_help_of_a_command_loads_no_optional_package(command):
    assert loaded(run_help(command), OPTIONAL) <= {"pooch"}  # which loads at once


@pytest.mark.skipif(torch.version.cuda is not None, reason="the CPU build of torch is pinned")
def test_constraints_pin_everything_that_an_installation_brings():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    wanted: list[str] = []
    for file in (ROOT / "pyproject.toml", ROOT / "bench" / "pyproject.toml"):
        settings = tomllib.loads(file.read_text())
        project, groups = settings["project"], settings.get("dependency-groups", {})
        extras = [*project["optional-dependencies"].values(), *groups.values()]
        wanted += [*project["dependencies"], *(name for extra in extras for name in extra)]
    wanted = [name for name in wanted if not name.startswith("sqsnn")]
    assert with_requirements(wanted) <= pinned


def with_requirements(wanted: list[str]) -> set[str]:
    """The packages wanted and, as far as they are installed, all that they require."""
    found: set[str] = set()
    while wanted:
        requirement = Requirement(wanted.pop())
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and name not in found:
            found.add(name)
            with suppress(metadata.PackageNotFoundError):
                wanted += metadata.requires(name) or []
    return found
