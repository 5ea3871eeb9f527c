"""Synapses: spikes in, currents out, by linear maps; option objects and what they build."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
