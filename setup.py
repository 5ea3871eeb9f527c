"""Build the compiled kernel, once per instruction set, and the README as package indices show it.

Everything else stands in pyproject.toml.

The libraries are loaded by their path and know nothing of Python, so that one wheel per platform
serves every version of it. Without a C++ compiler the package installs all the same: the neurons
then run through torch.
"""

import hashlib
import os
import platform
import re
import shlex
import sys
import sysconfig
import tomllib
from copy import copy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

NATIVE = "src/sqsnn/native"
IS_WINDOWS = sys.platform == "win32"
# Rounding must not depend on the compiler: fused multiply-adds are written out, never contracted.
COMMON = ["-std=c++17", "-O3", "-g0", "-ffp-contract=off"]
COMMON += ["-fno-math-errno", "-fno-trapping-math"]
LINK = re.compile(r"(!?)\[([^]]*)\]\((?!\w+:|#)([^)\s]+)\)")  # of Markdown, to a file beside it
X86 = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
}
FLAGS = {"x86_64": X86, "amd64": X86, "aarch64": {"neon": []}, "arm64": {"neon": []}}


class BuildLibraries(build_ext):
    """Build libraries that are loaded by their path, not imported."""

    def get_ext_filename(self, fullname: str) -> str:
        """Name the file without the version of Python."""
        return fullname.replace(".", "/") + (".dll" if IS_WINDOWS else ".so")

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Export the interface; there is no module to initialise."""
        own = ["sqsnn_interface", "sqsnn_tasks", "sqsnn_run", "sqsnn_uniforms"]
        membranes = ["membrane_interface", "membrane_tasks", "membrane_run"]
        events = ["find_events", "turn_events", "event_tasks", "sum_events"]
        return own + [f"sqsnn_{name}" for name in membranes + events]

    def build_extension(self, ext: Extension) -> None:
        """Build, and write the file's digest beside it: loading a damaged library may crash."""
        own = copy(self)  # built side by side from the same sources: apart, or objects get mixed
        own.build_temp = str(Path(self.build_temp, ext.name))
        super(BuildLibraries, own).build_extension(ext)
        seal(Path(self.get_ext_fullpath(ext.name)))

    def copy_extensions_to_source(self) -> None:
        """Seal the copies of an editable installation."""
        super().copy_extensions_to_source()
        for ext in self.extensions:
            seal(Path("src", self.get_ext_filename(ext.name)))

    def build_extensions(self) -> None:
        """Compile side by side, with clang-cl on Windows: Microsoft's has no vector types."""
        self.parallel = True
        if IS_WINDOWS:
            self.compiler.initialize()
            self.compiler.cc = "clang-cl"
        super().build_extensions()


def seal(path: Path) -> None:
    """Write the digest of a library that was built."""
    if path.is_file():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".sha256").write_text(digest + "\n", "ascii")


class Wheel(bdist_wheel):
    """A wheel for every Python of a platform."""

    def get_tag(self) -> tuple[str, str, str]:
        """Tag the wheel by its platform alone."""
        return "py3", "none", super().get_tag()[2]


def processor() -> str:
    """Name the processor that is built for: on macOS it may be another than this machine's."""
    name = sysconfig.get_platform().rpartition("-")[2]
    if name == "universal2":  # a Python for two processors; no flags fit both
        name = platform.machine()
        os.environ["ARCHFLAGS"] = f"-arch {name}"
    return name


def libraries() -> list[Extension]:
    """Describe one library per instruction set of the processors that are built for."""
    common = [f"/clang:{flag}" for flag in COMMON] if IS_WINDOWS else COMMON
    own = shlex.split(os.environ.get("CXXFLAGS", ""))  # last, so that they override those here
    return [
        Extension(
            f"sqsnn.native._{name}",
            [f"{NATIVE}/{file}.cpp" for file in ("kernel", "random", "membranes", "events")],
            depends=[
                f"{NATIVE}/{file}"
                for file in (
                    *("kernel.h", "layout.h", "gates.h", "block.h", "back.h", "membranes.h"),
                    "vec.h",
                )
            ],
            extra_compile_args=[*common, *flags, *own],
            optional=True,
        )
        for name, flags in FLAGS.get(processor(), {}).items()
    ]


def description(readme: str, repository: str | None) -> str:
    """Make the README readable where its neighbours are absent: in a wheel, on a package index.

    Links to files go to the repository, and pictures are shown from there. Without a repository,
    links become plain text, and a picture becomes its description.
    """

    def replace(link: re.Match[str]) -> str:
        mark, text, path = link.groups()
        if repository is None:
            return f"*{text}*" if mark else text
        return f"{mark}[{text}]({repository}/{'raw' if mark else 'blob'}/HEAD/{path})"

    return LINK.sub(replace, readme)


setup(
    ext_modules=libraries(),
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": Wheel},
    long_description=description(
        Path("README.md").read_text("utf-8"),
        tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
        .get("urls", {})
        .get("Repository"),
    ),
    long_description_content_type="text/markdown",
)
