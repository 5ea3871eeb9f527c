"""Names of datasets -> values and labels; presets."""

from typing import TYPE_CHECKING

from sqsnn.lazy import lazy_names

_MODULES = {
    "Binning": "sqsnn.data.events",
    "Dataset": "sqsnn.data.catalog",
    "Description": "sqsnn.data.catalog",
    "PRESETS": "sqsnn.data.presets",
    "Samples": "sqsnn.data.catalog",
    "describe": "sqsnn.data.catalog",
    "load": "sqsnn.data.catalog",
    "names": "sqsnn.data.catalog",
}

# Lazy, so that the configuration can read the presets without loading torch.
if TYPE_CHECKING:
    from sqsnn.data.catalog import Dataset as Dataset
    from sqsnn.data.catalog import Description as Description
    from sqsnn.data.catalog import Samples as Samples
    from sqsnn.data.catalog import describe as describe
    from sqsnn.data.catalog import load as load
    from sqsnn.data.catalog import names as names
    from sqsnn.data.events import Binning as Binning
    from sqsnn.data.presets import PRESETS as PRESETS
else:
    __all__ = [*_MODULES]
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
