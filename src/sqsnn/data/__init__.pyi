from .catalog import Description as Description
from .catalog import describe as describe
from .catalog import load as load
from .dataset import Dataset as Dataset
from .dataset import Samples as Samples
from .dataset_spec import DatasetSpec as DatasetSpec
from .events import Binning as Binning
from .specs import find_spec as find_spec
from .specs import names as names
from .stored import StoredSpikes as StoredSpikes

__all__ = [
    "Binning",
    "Dataset",
    "DatasetSpec",
    "Description",
    "Samples",
    "StoredSpikes",
    "describe",
    "find_spec",
    "load",
    "names",
]
