from .lif import LIF as LIF
from .population import Population as Population
from .population import Record as Record
from .published_sqs import PublishedSQS as PublishedSQS
from .qlif import QLIF as QLIF
from .sqs import SQSNeurons as SQSNeurons
from .stepped import SteppedPopulation as SteppedPopulation
from .stochastic_lif import StochasticLIF as StochasticLIF
