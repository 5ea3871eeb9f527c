from .backprop import Backprop as Backprop
from .bit_source import Backend as Backend
from .bit_source import BitSource as BitSource
from .bit_source import SimulatedBits as SimulatedBits
from .bit_source import run_network as run_network
from .estimators import Geometric as Geometric
from .estimators import Laplace as Laplace
from .local import Local as Local
from .online import Online as Online
from .rule import Rule as Rule
from .scores import Exact as Exact
from .scores import Measured as Measured
from .signals import Both as Both
from .signals import Feedback as Feedback
from .signals import NoSignal as NoSignal
from .signals import Reinforce as Reinforce

__all__ = [
    "Backend",
    "Backprop",
    "BitSource",
    "Both",
    "Exact",
    "Feedback",
    "Geometric",
    "Laplace",
    "Local",
    "Measured",
    "NoSignal",
    "Online",
    "Reinforce",
    "Rule",
    "SimulatedBits",
    "run_network",
]
