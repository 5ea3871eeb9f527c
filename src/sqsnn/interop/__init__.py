"""Exchange with other packages: networks (`nir`), benchmarks (`neurobench`), QNodes (`pennylane`).

Each needs an extra of its own and is loaded on first use; without it, an error says what to
install.
"""

from typing import Any

import lazy_loader

from sqsnn.errors import SqsnnError

_load, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["neurobench", "nir", "pennylane"]
)


class _MissingError(SqsnnError, AttributeError):
    """An AttributeError, so that `hasattr` and `inspect` find nothing instead of failing."""


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ImportError as error:
        raise _MissingError(str(error)) from error
