"""The network: named populations, and connections that carry spikes between them with delays."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
