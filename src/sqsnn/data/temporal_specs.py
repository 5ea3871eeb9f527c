"""The generated datasets: tasks in time, and series; needs neither torch nor NumPy."""

from sqsnn.data.dataset_spec import DatasetSpec, Series, Source, Task


def _task(name: str, text: str, class_names: tuple[str, ...], task: Task) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        text=text,
        class_names=class_names,
        sources=(Source("generated", "temporal:generate"),),
        train_size=4000,
        test_counts=(500, 500),
        hidden=(32,),
        task=task,
    )


def _values(
    name: str,
    text: str,
    law: str,
    target_names: tuple[str, ...] = ("y",),
    trace_decay: float = 0.5,
) -> DatasetSpec:
    """A generated series with a value to predict at every step but the first 20."""
    return DatasetSpec(
        name=name,
        text=f"250 series of 100 steps: {text}",
        class_names=(),
        sources=(Source("generated", "series_sets:generate"),),
        train_size=200,
        test_counts=(50,),
        hidden=(128,),
        batch_size=20,
        series=Series(
            100,
            law,
            target_names=target_names,
            every_step=True,
            report_steps=80,
            trace_decay=trace_decay,
        ),
    )


TASKS = (
    # Which line fires, in a window of one step?
    _task(
        "recall",
        "5,000 spike trains on 3 lines: a cue, a delay, and at the last step the report of which "
        "cue it was; lines flip with probability 0.01, so that 99 % is the best possible",
        ("cue 0", "cue 1"),
        Task(0, ("0", "1"), delay=5),
    ),
    # Which of two lines fires first? Both fire once, so the number of spikes tells nothing, and the
    # window's most telling step alone is right three times in four.
    _task(
        "order",
        "5,000 spike trains on 3 lines: two lines fire once each at two of four steps, a delay, "
        "and the report of which came first; lines flip with probability 0.01, so that 98.99 % is "
        "the best possible",
        ("0 before 1", "1 before 0"),
        Task(1, ("01.. 0.1. 0..1 .01. .0.1 ..01", "10.. 1.0. 1..0 .10. .1.0 ..10"), delay=3),
    ),
    # Do two bits differ? Either alone tells nothing, and no line is likelier to fire at any step
    # under one of the answers.
    _task(
        "xor",
        "5,000 spike trains on 3 lines: two bits one after the other, a delay, and the report of "
        "whether they differ; lines flip with probability 0.01, so that 98.02 % is the best "
        "possible",
        ("same", "different"),
        Task(2, ("0.0 1.1", "0.1 1.0"), delay=3),
    ),
    # For how many steps does a line fire? The most telling step alone is right four times in five;
    # the number of spikes tells it.
    _task(
        "duration",
        "5,000 spike trains on 2 lines: a line fires for two or for four of six steps, a delay, "
        "and the report of which; lines flip with probability 0.01, so that 98.68 % is the best "
        "possible",
        ("short", "long"),
        Task(3, ("00.... .00... ..00.. ...00. ....00", "0000.. .0000. ..0000"), delay=3),
    ),
)

SERIES = (
    _values(
        "narma5",
        "a nonlinear moving average of order 5 of random inputs; Atiya & Parlos 2000",
        "narma5",
    ),
    _values(
        "narma10",
        "a nonlinear moving average of order 10 of random inputs; Atiya & Parlos 2000, "
        "doi:10.1109/72.846741",
        "narma10",
    ),
    _values(
        "mackey-glass",
        "a chaotic series, to be predicted 6 steps ahead; Mackey & Glass 1977, "
        "doi:10.1126/science.267326",
        "mackey-glass",
    ),
    _values(
        "memory-capacity",
        "random inputs, and the inputs of 1 to 10 steps ago as targets; Jaeger 2001",
        "memory-capacity",
        tuple(f"{k} steps ago" for k in range(1, 11)),
        trace_decay=0.0,
    ),
    DatasetSpec(
        name="parity",
        text="5,000 random bit trains of 20 steps, and whether the number of ones is odd",
        class_names=("even", "odd"),
        sources=(Source("generated", "series_sets:generate"),),
        train_size=4000,
        test_counts=(500, 500),
        hidden=(32,),
        series=Series(20, "parity", report_steps=1, are_spikes=True),
    ),
    DatasetSpec(
        name="sines",
        text="1,500 noisy sine waves of 150 steps with random phase; the class is the period: 10, "
        "15 or 22 steps",
        class_names=("10 steps", "15 steps", "22 steps"),
        sources=(Source("generated", "series_sets:generate"),),
        train_size=1200,
        test_counts=(100, 100, 100),
        hidden=(64,),
        batch_size=32,
        epochs=10,
        learning_rate=0.003,
        series=Series(150, "sines"),
    ),
)
