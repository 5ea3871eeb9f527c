"""One register: tensors in, tensors out; this room knows no networks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "circuit",
        "circuits",
        "density",
        "gates",
        "instrument",
        "noise",
        "replay",
        "sampled_noise",
        "shift_rules",
        "tangents",
        "trajectory",
        "unrolled",
    ],
)
