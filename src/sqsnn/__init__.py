"""Stochastic quantum spiking neural networks: the public names, nothing else."""

import lazy_loader

# Written here, not taken from git's tags: a shallow clone or an archive has none.
__version__ = "0.1.0"

# Each name loads its module on first use, so that `import sqsnn` and `sqsnn --help` do not wait for
# torch; the stub beside this file lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
