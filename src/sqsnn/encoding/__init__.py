"""From values to spikes or currents: one function and one object of settings per encoding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
