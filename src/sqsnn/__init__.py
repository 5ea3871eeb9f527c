"""Stochastic quantum spiking neural networks: the public names, nothing else."""

from typing import TYPE_CHECKING

from sqsnn.lazy import lazy_names

__version__ = "0.1.0"

_MODULES = {
    "BackpropRule": "sqsnn.learning.backprop",
    "LIF": "sqsnn.neurons.lif",
    "Noise": "sqsnn.quantum.noise",
    "PublishedSQS": "sqsnn.neurons.published_sqs",
    "QLIF": "sqsnn.neurons.qlif",
    "Record": "sqsnn.neurons.population",
    "Run": "sqsnn.network",
    "SQSNNClassifier": "sqsnn.training.classifier",
    "SQSNeurons": "sqsnn.neurons.sqs",
    "SpikingNetwork": "sqsnn.network",
    "StochasticLIF": "sqsnn.neurons.stochastic_lif",
    "circuits": "sqsnn.quantum.circuits",
    "data": "sqsnn.data",
    "encoding": "sqsnn.encoding",
    "hardware": "sqsnn.hardware",
    "learning": "sqsnn.learning",
    "noise": "sqsnn.quantum.noise",
    "readout": "sqsnn.readout",
    "training": "sqsnn.training",
}

# Static checkers read the imports; at run time each name loads its module on first use, so that
# `import sqsnn` and `sqsnn --help` do not wait for torch.
if TYPE_CHECKING:
    from sqsnn import data as data
    from sqsnn import encoding as encoding
    from sqsnn import hardware as hardware
    from sqsnn import learning as learning
    from sqsnn import readout as readout
    from sqsnn import training as training
    from sqsnn.learning.backprop import BackpropRule as BackpropRule
    from sqsnn.network import Run as Run
    from sqsnn.network import SpikingNetwork as SpikingNetwork
    from sqsnn.neurons.lif import LIF as LIF
    from sqsnn.neurons.population import Record as Record
    from sqsnn.neurons.published_sqs import PublishedSQS as PublishedSQS
    from sqsnn.neurons.qlif import QLIF as QLIF
    from sqsnn.neurons.sqs import SQSNeurons as SQSNeurons
    from sqsnn.neurons.stochastic_lif import StochasticLIF as StochasticLIF
    from sqsnn.quantum import circuits as circuits
    from sqsnn.quantum import noise as noise
    from sqsnn.quantum.noise import Noise as Noise
    from sqsnn.training.classifier import SQSNNClassifier as SQSNNClassifier
else:
    __all__ = ["__version__", *_MODULES]
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
