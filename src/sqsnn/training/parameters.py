"""The parameters of the scikit-learn estimators, made from the settings of a training."""

from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import Any, no_type_check

from sqsnn.settings import flat
from sqsnn.settings.run import Recipe

# They belong to a command line or a device, or have a parameter of their own; `score` is a method
# of every estimator.
_LEFT_OUT = {"seed", "final_learning_rate", "noise_from", "noise_strength", "score", "readout"}

OWN = {
    "random_state": None,
    "shots": 10,
    "warm_start": False,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "patience": 10,
    "callbacks": (),
    "verbose": 0,
}


def parameters(own: Mapping[str, Any], left_out: set[str]) -> dict[str, Any]:
    """The parameters of an estimator: settings by their flat names, and its own.

    A setting whose default depends on another one is None, and left to it.

    Args:
        own: Parameters that are no settings, with their defaults.
        left_out: Settings that the estimator has no use for.
    """
    found: dict[str, Any] = {}
    for leaf in flat.leaves(Recipe):
        default = None if leaf.default == {} else leaf.default
        if leaf.name not in _LEFT_OUT | left_out and "score" not in leaf.kinds:
            same = leaf.name not in found or found[leaf.name] == default
            found[leaf.name] = default if same else None
    # They depend on whether the samples are series.
    return found | {"encoding": None, "steps": None} | dict(own)


def constructor(defaults: Mapping[str, Any]) -> Any:
    """Make the `__init__` of an estimator, from which scikit-learn reads its parameters."""

    @no_type_check  # scikit-learn: whatever the parameters are, only `fit` complains
    def initialise(self, hidden=(64,), **settings) -> None:
        if unknown := settings.keys() - defaults.keys():
            known = ", ".join(defaults)
            raise TypeError(
                f"there is no parameter {', '.join(sorted(unknown))}; there are {known}"
            )
        for name, default in defaults.items():
            setattr(self, name, settings.get(name, default))
        self.hidden = hidden

    initialise.__signature__ = Signature(
        [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            Parameter("hidden", Parameter.POSITIONAL_OR_KEYWORD, default=(64,)),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=default)
                for name, default in defaults.items()
                if name != "hidden"
            ),
        ]
    )
    return initialise
