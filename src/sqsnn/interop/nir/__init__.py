"""Networks as graphs of NIR, the Neuromorphic Intermediate Representation (extra `nir`).

graph = sqsnn.interop.nir.to_nir(network);   nir.write("network.nir", graph)
network = sqsnn.interop.nir.from_nir(nir.read("network.nir"), generator=generator)

NIR: Pedersen et al., Nature Communications 15, 8122 (2024), arXiv:2311.14641. Importing this module
teaches `nir.read` the nodes of quantum neurons.
"""

try:
    import nir as _nir  # noqa: F401
except ImportError as error:
    raise ImportError("sqsnn.interop.nir needs nir: pip install 'sqsnn[nir]'") from error

from sqsnn.interop.nir.nodes import SQS
from sqsnn.interop.nir.reading import Reset, from_nir
from sqsnn.interop.nir.writing import to_nir

__all__ = ["SQS", "Reset", "from_nir", "to_nir"]
