"""What holds for every test: checked annotations, one thread, untouched global state, devices.

Without a GPU, `pytest --elsewhere tests/neurons` runs the tests of physics on a second device that
`elsewhere.py` simulates: it finds what would fail on a GPU because it lies on two devices.
"""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jaxtyping
import numpy  # noqa: F401 (its BLAS must be there before its threads are limited)
import pytest
import torch
from elsewhere import THERE, elsewhere
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook
from threadpoolctl import threadpool_limits
from torch import Tensor

# Before anything imports sqsnn: from here on every annotated shape and type is checked at run time.
install_import_hook("sqsnn", "beartype.beartype")

# One thread, in torch and in the BLAS of NumPy and scikit-learn: sums are then added in one order,
# and parallel test processes do not compete.
torch.set_num_threads(1)
_POOLS = threadpool_limits(1)

settings.register_profile(
    "sqsnn",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # one device serves all examples
)
settings.load_profile("sqsnn")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests that take a `device` run on the simulated one."""
    told = "run tests that take a device on a second device that is simulated, and there alone"
    parser.addoption("--elsewhere", action="store_true", help=told)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test on a device that is not there, or for which it is not made."""
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    for name, devices in {
        "cpu_only": ("cuda", "elsewhere"),
        "not_elsewhere": ("elsewhere",),
    }.items():
        mark = item.get_closest_marker(name)
        if mark and _runs_on(item, *devices):
            pytest.skip(mark.args[0])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `device` on each that is there."""
    marks = metafunc.definition.iter_markers("parametrize")
    own = any("device" in str(mark.args[0]) for mark in marks)  # which may be quantum processors
    if "device" in metafunc.fixturenames and not own:
        devices = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
        if metafunc.config.getoption("elsewhere"):
            devices = ["elsewhere"]
        metafunc.parametrize("device", devices, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave one test of each module to be seen skipped where there is no GPU, deselect the others.

    Thousands would bury what else is skipped.
    """
    if torch.cuda.is_available():
        return
    first = {item.path: item for item in reversed(items) if _runs_on(item, "cuda")}
    dropped = [it for it in items if _runs_on(it, "cuda") and it is not first[it.path]]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [it for it in items if not _runs_on(it, "cuda") or it is first[it.path]]


def _runs_on(item: pytest.Item, *devices: str) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("device") in devices


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """The device of a test, on which everything is made that names none.

    A module whose tests all run on each device says
    `pytestmark = pytest.mark.usefixtures("device")`, and `@pytest.mark.cpu_only("why")` on those
    that cannot, or `not_elsewhere` where only the simulated device cannot.
    """
    if request.param == "cpu":  # the default already; saying so would slow each call down
        yield torch.device("cpu")
        return
    simulated = request.param == "elsewhere"
    where = THERE if simulated else torch.device(request.param)
    with elsewhere() if simulated else nullcontext(), where:
        yield where


@pytest.fixture(autouse=True)
def global_state_untouched() -> Iterator[None]:
    """Fail the test that leaves torch's global state other than it found it."""
    cuda = torch.cuda.is_initialized()  # else a test that starts CUDA would seem to change it
    generator, cuda_generators = _generators(cuda)
    settings_before = _settings()
    yield
    changed = [name for name, value in _settings().items() if value != settings_before[name]]
    generator_after, cuda_generators_after = _generators(cuda)
    if not torch.equal(generator, generator_after):
        changed.append("the random generator")
    if not all(map(torch.equal, cuda_generators, cuda_generators_after)):
        changed.append("a CUDA random generator")
    # Every later test would else start from the changed state, and hide a change of its own.
    torch.set_default_dtype(settings_before["default dtype"])
    torch.set_num_threads(settings_before["number of threads"])
    torch.use_deterministic_algorithms(settings_before["deterministic algorithms"])
    torch.set_grad_enabled(settings_before["gradient mode"])
    assert not changed, f"the test changed torch's global state: {', '.join(changed)}"


@pytest.fixture(autouse=True)
def own_modules_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test wrote and imported: another may write one of the same name."""
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path_factory.getbasetemp()):
            del sys.modules[name]


@pytest.fixture
def own_checks() -> Iterator[None]:
    """Let wrong arguments through to our own checks, which users meet without the type checker."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def _settings() -> dict[str, Any]:
    return {
        "default dtype": torch.get_default_dtype(),
        "number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "gradient mode": torch.is_grad_enabled(),
    }


def _generators(cuda: bool) -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if cuda else []
