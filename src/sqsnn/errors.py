"""The errors that a caller may want to catch by name.

A wrong argument raises a plain `ValueError` or `TypeError` that names it. The classes here are for
what goes wrong outside the call: files, runs, machines. Each is also the built-in error that fits.
"""


class SqsnnError(Exception):
    """Anything that sqsnn refuses for a reason outside the arguments of the call."""


class DataError(SqsnnError, OSError):
    """A dataset is absent, broken or half downloaded, and cannot be fetched."""


class ConfigError(SqsnnError, ValueError):
    """The settings of a run contradict each other, or the machine cannot serve them."""


class CheckpointError(SqsnnError, OSError):
    """A run folder or its checkpoint is missing, damaged or belongs to another configuration."""


class TrainingError(SqsnnError, RuntimeError):
    """Training cannot go on: a loss or a gradient is not finite."""


class TrackerError(SqsnnError, RuntimeError):
    """A tracker is not installed, cannot be reached, or refuses the figures of a training."""


class HardwareError(SqsnnError, RuntimeError):
    """A quantum backend is unknown, cannot run the circuits, or gave no whole result."""


class ProcessError(SqsnnError, RuntimeError):
    """Another process that shares the work has ended, or cannot be reached."""


class EndedError(ProcessError):
    """Another process that shares the work has ended, and said why."""


class WriteError(SqsnnError, OSError):
    """A file cannot be written: the disk is full, or its folder is read-only or gone."""
