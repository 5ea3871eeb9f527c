"""Public names that load their module on first use (PEP 562), so that importing stays cheap."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and `__dir__` of a package whose names are imported when touched.

    Args:
        package: the `__name__` of the package.
        modules: public name -> the module that holds it; a name that equals the last part of its
            module stands for the module itself.

    Returns:
        The two functions, to be assigned in the package.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name])
        value = module if module.__name__.rpartition(".")[2] == name else getattr(module, name)
        # Kept in the package, so that only the first use comes through here.
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return load, names
