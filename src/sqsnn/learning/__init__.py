"""How gradients are made: every rule fills .grad by one contract and returns figures."""

from typing import TYPE_CHECKING

from sqsnn.lazy import lazy_names

_MODULES = {
    "BackpropRule": "sqsnn.learning.backprop",
    "Rule": "sqsnn.learning.rule",
}

if TYPE_CHECKING:
    from sqsnn.learning.backprop import BackpropRule as BackpropRule
    from sqsnn.learning.rule import Rule as Rule
else:
    __all__ = [*_MODULES]
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
