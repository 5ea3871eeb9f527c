"""The parameters of the scikit-learn estimators, made from the settings of a training."""

from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import Any

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


def signature(defaults: Mapping[str, Any]) -> Signature:
    """Make the signature of an `__init__`, from which scikit-learn reads the parameters."""
    return Signature(
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


def keep(estimator: object, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Set parameters as they are; scikit-learn wants only `fit` to complain."""
    if unknown := given.keys() - defaults.keys():
        known = ", ".join(defaults)
        raise TypeError(f"there is no parameter {', '.join(sorted(unknown))}; there are {known}")
    for name, default in defaults.items():
        setattr(estimator, name, given.get(name, default))
