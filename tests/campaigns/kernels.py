"""Check that the installed package holds every kernel of its processor, and that one is loaded."""

import sys
import sysconfig
from pathlib import Path

from sqsnn.native import library


def main() -> str | None:
    """Print the folder of the kernels; give what is wrong."""
    installed = Path(sysconfig.get_path("platlib")).resolve()
    if not library.FOLDER.resolve().is_relative_to(installed):
        return f"the kernels lie in {library.FOLDER}; a wheel installs them in {installed}"
    # Loading a library runs none of its instructions, so that builds of others can be checked here.
    for capability in library.BUILDS:
        if (obstacle := library.open_build(capability).obstacle) is not None:
            return f"{capability}: {obstacle}"
    library.load()
    print(*sorted(path.stem for path in library.FOLDER.glob("_*.sha256")), "in", library.FOLDER)
    return None


if __name__ == "__main__":
    sys.exit(main())
