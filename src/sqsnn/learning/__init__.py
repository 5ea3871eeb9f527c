"""How gradients are made: every rule fills .grad by one contract and returns figures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
