"""All datasets that sqsnn knows, each described once; needs neither torch nor NumPy."""

from collections.abc import Mapping

from sqsnn.data.dataset_spec import (
    DataFile,
    DatasetSpec,
    EventSpec,
    Sensor,
    Series,
    Source,
    Task,
)
from sqsnn.data.own import SUFFIXES

TONIC = "tonic:"  # before the name of a dataset that the library tonic reads
_DIGITS = tuple("0123456789")
_LIBSVM = ("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",)
_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
_HEIDELBERG = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")


def find_spec(name: str) -> DatasetSpec | None:
    """Find the description of a dataset; None where the name is unknown.

    Args:
        name: One of `names()`, or "tonic:" and the name of any dataset of the library tonic.
    """
    if not name.startswith(TONIC):
        return SPECS.get(name)
    return DatasetSpec(
        name=name,
        text="Events that the library tonic reads",
        class_names=(),
        sources=(Source(name, "tonic_sets:open_part", "tonic"),),
        train_size=0,
        test_counts=(),
        hidden=(128,),
        events=EventSpec(sensor=None, duration=None, pool=2),
    )


def is_own(name: str) -> bool:
    """Whether a name is the path of a file of one's own, by its suffix."""
    return name.lower().endswith(SUFFIXES)


def own_spec(
    name: str,
    *,
    length: int | None,
    predicts_values: bool,
    every_step: bool = False,
    features: int = 1,
) -> DatasetSpec:
    """Describe a file of one's own by what is known of it.

    Args:
        name: Its path.
        length: Steps of its series; None for samples that do not change in time.
        predicts_values: Whether real values are to be predicted, not classes.
        every_step: Whether there is a value to predict for each step.
        features: Values per sample, or per step.
    """
    series = None
    if length is not None or predicts_values:
        series = Series(
            length,
            features=features,
            target_names=("y",) if predicts_values else (),
            every_step=every_step,
            report_steps=1 if predicts_values and not every_step else None,
        )
    return DatasetSpec(
        name=name,
        text="A file of one's own",
        class_names=(),
        sources=(Source(name, ""),),
        train_size=0,
        test_counts=(),
        hidden=(64,),
        batch_size=32,
        series=series,
    )


def names() -> tuple[str, ...]:
    """Name all datasets but those that the library tonic reads."""
    return tuple(SPECS)


def _idx(
    name: str,
    text: str,
    class_names: tuple[str, ...],
    test_counts: tuple[int, ...],
    folder: str,
    mirrors: tuple[str, ...],
    sums: tuple[str, str, str, str],
) -> DatasetSpec:
    """A dataset in MNIST's format: 70,000 images of 28x28 pixels in four IDX files."""
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = zip(parts, sums, strict=True)
    return DatasetSpec(
        name=name,
        text=text,
        class_names=class_names,
        sources=(
            Source(
                f"{folder} IDX files",
                "images:read_idx",
                folder,
                tuple(DataFile(f"{part}-ubyte.gz", md5, mirrors) for part, md5 in files),
            ),
        ),
        train_size=60_000,
        test_counts=test_counts,
        image_shape=(28, 28),
        hidden=(256,),
        sample_steps=5,
        epochs=10,
        batch_size=128,
        learning_rate=0.003,
    )


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


_ALL = (
    DatasetSpec(
        name="digits",
        text="1,797 handwritten digits of 8x8 pixels, part of scikit-learn; "
        "Alpaydin & Kaynak 1998, UCI, doi:10.24432/C50P49, CC BY 4.0",
        class_names=_DIGITS,
        sources=(Source("scikit-learn", "images:read_digits"),),
        train_size=1437,
        test_counts=(36, 36, 35, 37, 36, 37, 36, 36, 35, 36),
        image_shape=(8, 8),
        hidden=(64,),
        reset_steps=3,
        rates={"lif": 0.02},
    ),
    _idx(
        "mnist",
        "70,000 handwritten digits of 28x28 pixels; "
        "LeCun, Bottou, Bengio & Haffner 1998, doi:10.1109/5.726791, CC BY-SA 3.0",
        _DIGITS,
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        "MNIST",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    _idx(
        "fashion-mnist",
        "70,000 pictures of clothes of 28x28 pixels; "
        "Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747, MIT",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        (1000,) * 10,
        "FashionMNIST",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    _idx(
        "kmnist",
        "70,000 cursive Japanese characters of 28x28 pixels; "
        "Clanuwat et al. 2018, arXiv:1812.01718, CC BY-SA 4.0",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        (1000,) * 10,
        "KMNIST",
        (
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    DatasetSpec(
        name="usps",
        text="9,298 digits from envelopes of 16x16 pixels; "
        "Hull 1994, doi:10.1109/34.291440, no licence stated",
        class_names=_DIGITS,
        sources=(
            Source("usps.h5", "images:read_usps_h5", "USPS", (DataFile("usps.h5"),)),
            Source(
                "usps.bz2 and usps.t.bz2",
                "images:read_usps_libsvm",
                "USPS",
                (
                    DataFile("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197", _LIBSVM),
                    DataFile("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118", _LIBSVM),
                ),
            ),
        ),
        train_size=7291,
        test_counts=(359, 264, 198, 166, 200, 160, 170, 147, 166, 177),
        image_shape=(16, 16),
        hidden=(64,),
        reset_steps=3,
    ),
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
    DatasetSpec(
        name="nmnist",
        text="70,000 handwritten digits seen by an event camera of 34x34 pixels in three saccades; "
        "Orchard, Jayawant, Cohen & Thakor 2015, doi:10.3389/fnins.2015.00437",
        class_names=_DIGITS,
        sources=(
            Source(
                "N-MNIST",
                "nmnist:open_nmnist",
                "NMNIST",
                (
                    DataFile(
                        "Train.zip",
                        "20959b8e626244a1b502305a9e6e2031",
                        (f"{_MENDELEY}39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",),
                    ),
                    DataFile(
                        "Test.zip",
                        "69ca8762b2fe404d9b9bad1103e97832",
                        (f"{_MENDELEY}05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",),
                    ),
                ),
            ),
        ),
        train_size=60_000,
        test_counts=(10_000,),
        events=EventSpec(Sensor(columns=34, rows=34, polarities=2), duration=0.31, pool=2),
        hidden=(64,),
    ),
    DatasetSpec(
        name="shd",
        text="10,420 spoken digits in English and German as spikes of an artificial cochlea of 700 "
        "channels; Cramer, Stradmann, Schemmel & Zenke 2020, doi:10.1109/TNNLS.2020.3044364, "
        "CC BY 4.0",
        class_names=tuple(map(str, range(20))),  # their numbers, until the files name them
        sources=(
            Source(
                "Spiking Heidelberg Digits",
                "hdf5_recordings:open_hdf5",
                "SHD",
                (
                    DataFile(
                        "shd_train.h5", "d47c9825dee33347913e8ce0f2be08b0", _HEIDELBERG, ".gz"
                    ),
                    DataFile("shd_test.h5", "3062a80ec0c5719404d5b02e166543b1", _HEIDELBERG, ".gz"),
                ),
            ),
        ),
        train_size=8156,
        test_counts=(2264,),
        # Its authors promise no order of the times, and bins do not need one.
        events=EventSpec(Sensor(columns=700), duration=1.4, pool=5, in_order=False),
        hidden=(256,),
        sample_steps=50,
        epochs=5,
    ),
    DatasetSpec(
        name="braille",
        text="5,400 Braille letters and spaces felt by a fingertip of 24 event channels; "
        "Mueller-Cleve et al. 2022, doi:10.3389/fnins.2022.951164",
        class_names=tuple(map(str, range(27))),
        sources=(
            Source(
                "Braille letters",
                "hdf5_recordings:open_hdf5",
                "Braille",
                (DataFile("braille_train.h5"), DataFile("braille_test.h5")),
            ),
        ),
        train_size=4320,
        test_counts=(1080,),
        events=EventSpec(Sensor(columns=24), duration=1.3, pool=1),
        hidden=(64,),
        sample_steps=26,
        loss_on="count",
        rates={"lif": 0.02, "stochastic_lif": 0.04},
    ),
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
SPECS: Mapping[str, DatasetSpec] = {spec.name: spec for spec in _ALL}
