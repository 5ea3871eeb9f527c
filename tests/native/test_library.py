"""A kernel that is missing, damaged or another's is named, and never called."""

import hashlib
import platform
import shutil
import subprocess
import sys

import pytest
import torch

from sqsnn.native import library
from sqsnn.neurons.sqs import SQSNeurons

CAPABILITY = torch.backends.cpu.get_cpu_capability()
BUILD = library.open_build(CAPABILITY)
needs_kernel = pytest.mark.skipif(BUILD.obstacle is not None, reason=str(BUILD.obstacle))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which the kernel is looked for, with the built ones in it."""
    for pattern in ("_*.so*", "_*.dll*"):
        for file in library.FOLDER.glob(pattern):
            shutil.copy(file, tmp_path)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    return tmp_path


def kernel_in(folder):
    name = "neon" if platform.machine().lower() in library.ARM else library.BUILDS[CAPABILITY]
    return next(p for p in folder.glob(f"_{name}.*") if p.suffix != ".sha256")


def seal(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(digest)


@pytest.mark.parametrize("capability", ["DEFAULT", "VSX"])  # torch's names of the best set
def test_processors_without_vectors_have_no_kernel(capability, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    obstacle = str(library.open_build(capability).obstacle)
    assert f"no compiled kernel for processors with {capability}" in obstacle


@needs_kernel
def test_a_missing_kernel_is_named_with_what_to_do(folder):
    path = kernel_in(folder)
    path.unlink()
    obstacle = str(library.open_build(CAPABILITY).obstacle)
    assert str(path) in obstacle
    assert "install g++ or clang" in obstacle


@needs_kernel
@pytest.mark.parametrize("size", [0, 1, 64, 4096])
def test_a_truncated_kernel_is_refused(folder, size):
    path = kernel_in(folder)
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path} is damaged" in str(library.open_build(CAPABILITY).obstacle)


@needs_kernel
def test_a_kernel_without_its_digest_is_refused(folder):
    path = kernel_in(folder)
    path.with_name(path.name + ".sha256").unlink()
    assert f"{path} is damaged" in str(library.open_build(CAPABILITY).obstacle)


@needs_kernel
def test_a_kernel_of_another_processor_is_refused(folder):
    path = kernel_in(folder)
    content = bytearray(path.read_bytes())
    # The machine in the header of ELF, of macOS, and of Windows, where byte 60 says where it lies.
    windows = int.from_bytes(content[60:64], "little") + 4
    content[{"darwin": 4, "win32": windows}.get(sys.platform, 18)] = 0x08  # as of MIPS
    path.write_bytes(content)
    seal(path)
    assert f"{path} cannot be loaded" in str(library.open_build(CAPABILITY).obstacle)


@needs_kernel
def test_a_kernel_of_another_version_is_refused(folder, monkeypatch):
    monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    assert "is of another version" in str(library.open_build(CAPABILITY).obstacle)
    monkeypatch.undo()
    monkeypatch.setattr(library, "FOLDER", folder)
    fields = [*library.PassStruct._fields_, ("more", library.PassStruct._fields_[0][1])]
    longer = type("PassStruct", (library.PassStruct.__base__,), {"_fields_": fields})
    monkeypatch.setattr(library, "PassStruct", longer)
    assert "is of another version" in str(library.open_build(CAPABILITY).obstacle)


@needs_kernel
def test_a_foreign_library_is_refused(folder):
    path = kernel_in(folder)
    shutil.copy(torch._C.__file__, path)
    seal(path)
    assert "is no kernel of sqsnn" in str(library.open_build(CAPABILITY).obstacle)


def test_without_a_kernel_neurons_run_through_torch_and_say_so_once(monkeypatch):
    gone = library.Library(None, "there is no kernel here")
    monkeypatch.setattr(library, "open_build", lambda capability: gone)
    library.current.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="through torch, .* there is no kernel") as told:
            neurons = SQSNeurons(2, generator=torch.Generator().manual_seed(0))
            neurons(torch.zeros(2, 1, 2, 1), uniforms=torch.zeros(2, 1, 2))
        assert not neurons.runs_fused
        assert len(told) == 1
        with pytest.raises(ValueError, match="backend is 'fused', but there is no kernel here"):
            SQSNeurons(2, backend="fused", generator=torch.Generator().manual_seed(0))
    finally:
        library.current.cache_clear()


def test_importing_the_package_loads_no_kernel():
    program = "import sqsnn.native.library as l; print(l.current.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr
