"""The house: nobody imports upward, files stay short, every door has a sign, imports stay cheap."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path

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
    "lazy",
    "errors",
    "options",
    "checks",
    "storage",
    "quantum",
    "uniforms",
    "neurons",
    "synapses",
    "network",
    "encoding",
    "readout",
    "learning",
    "data",
    "hardware",
    "reports",
    "training",
    "study",
    "cli",
    "__main__",
)
# What the physics may know of the rest of the package.
BELOW_PHYSICS = {"checks", "errors", "options", "quantum"}
MAXIMUM_LINES = 350


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
def test_nobody_imports_upward(module):
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


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= MAXIMUM_LINES


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


LAZY = ["sqsnn", "sqsnn.data", "sqsnn.hardware", "sqsnn.learning", "sqsnn.training"]


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_loads(package):
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


@pytest.mark.parametrize("package", LAZY)
def test_the_names_for_static_checkers_are_those_of_the_table(package):
    seen = {
        alias.asname
        for node in ast.walk(MODULES[package])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } - {None}
    assert seen == set(import_module(package).__all__) - {"__version__"}


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="'sqsnn' has no attribute 'Perceptron'"):
        sqsnn.Perceptron  # noqa: B018


# Each is slow to import or optional: none may come along unasked.
OPTIONAL = ("qiskit", "tonic", "matplotlib", "sklearn", "h5py", "pooch", "optuna")


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


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["train", "--help"],
        ["inspect", "gradients", "--help"],
        ["inspect", "noise", "--help"],
        ["inspect", "costs", "--help"],
        ["hardware", "--help"],
        ["export", "--help"],
        ["compare", "--help"],
        ["report", "--help"],
    ],
    ids=" ".join,
)
def test_help_does_not_wait_for_torch(command):
    code = f"""
from sqsnn.cli.main import main
import sys
sys.argv = ["sqsnn", *{command!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    assert loaded(code, ("torch", *OPTIONAL)) == set()


@pytest.mark.skipif(torch.version.cuda is not None, reason="the CPU build of torch is pinned")
def test_constraints_pin_everything_that_an_installation_brings():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    # One extra brings another, and all are looked at.
    wanted = [name for name in wanted if not name.startswith("sqsnn[")]
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
