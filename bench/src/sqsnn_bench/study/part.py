"""A part of a study: some of its models on some of its groups, to repeat single rows of a table."""

from collections.abc import Iterable

from sqsnn.errors import ConfigError
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.search import origin


def part_of(study: Study, pairs: Iterable[str]) -> Study:
    """Leave out all but some models on some groups; data of other groups are not read.

    A group that takes the settings of another's search brings that group along.

    Args:
        study: The whole study.
        pairs: The rows that stay, as GROUP/MODEL; none for all.

    Raises:
        ConfigError: If the study has no such row.
    """
    known = {f"{group}/{model}": (group, model) for group, model in study.pairs()}
    chosen: dict[str, set[str]] = {}
    for pair in pairs:
        if pair not in known:
            raise ConfigError(f"--only must be one of {', '.join(known)}; but is {pair}")
        group, model = known[pair]
        for name in (group, origin(study, group)):
            chosen.setdefault(name, set()).add(model)
    if not chosen:
        return study
    groups = {
        name: dataset.model_copy(
            update={"models": tuple(model for model in study.models if model in chosen[name])}
        )
        for name, dataset in study.datasets.items()
        if name in chosen
    }
    return study.model_copy(update={"datasets": groups})
