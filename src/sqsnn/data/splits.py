"""Which samples train, validate and test: stratified by class, or with groups kept together."""

import numpy as np

VALIDATION = 0.1  # share of the training samples
RANDOM_STATE = 42  # of every split and subset: a name and its options always mean the same samples


def split(
    chosen: np.ndarray,
    share: float,
    *,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split samples in two, always alike.

    Args:
        chosen: Indices of the samples, `(n,)`.
        share: Share of the second part; of groups, the share of the groups.
        classes: Classes of these samples, `(n,)`, whose shares both parts have; None for none.
        groups: Groups of these samples, `(n,)`: both parts have groups of their own. Groups come
            before classes.

    Returns:
        The indices of both parts.
    """
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    if groups is None:
        first, second = train_test_split(
            chosen, test_size=share, stratify=classes, random_state=RANDOM_STATE
        )
        return np.asarray(first), np.asarray(second)
    splitter = GroupShuffleSplit(1, test_size=share, random_state=RANDOM_STATE)
    first, second = next(iter(splitter.split(chosen, groups=groups)))
    return chosen[first], chosen[second]
