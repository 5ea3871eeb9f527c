"""How gradients are made: every rule fills .grad by one contract and returns figures."""

from typing import TYPE_CHECKING

from sqsnn.lazy import lazy_names

_MODULES = {
    "BackpropRule": "sqsnn.learning.backprop",
    "Estimator": "sqsnn.learning.estimators",
    "ExactScore": "sqsnn.learning.scores",
    "LearningSignal": "sqsnn.learning.signals",
    "LocalRule": "sqsnn.learning.local",
    "MeasuredScore": "sqsnn.learning.scores",
    "OnlineLocalRule": "sqsnn.learning.online",
    "Rule": "sqsnn.learning.rule",
    "SimulatedBits": "sqsnn.learning.bit_source",
}

if TYPE_CHECKING:
    from sqsnn.learning.backprop import BackpropRule as BackpropRule
    from sqsnn.learning.bit_source import SimulatedBits as SimulatedBits
    from sqsnn.learning.estimators import Estimator as Estimator
    from sqsnn.learning.local import LocalRule as LocalRule
    from sqsnn.learning.online import OnlineLocalRule as OnlineLocalRule
    from sqsnn.learning.rule import Rule as Rule
    from sqsnn.learning.scores import ExactScore as ExactScore
    from sqsnn.learning.scores import MeasuredScore as MeasuredScore
    from sqsnn.learning.signals import LearningSignal as LearningSignal
else:
    __all__ = [*_MODULES]
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
