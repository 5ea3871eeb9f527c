"""Exchange with other packages: `interop.nir` (networks), `interop.neurobench` (benchmarks)."""

import lazy_loader

# Each needs an extra of its own, and is loaded on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["neurobench", "nir"])
