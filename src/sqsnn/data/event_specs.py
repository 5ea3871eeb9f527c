"""The datasets of neuromorphic sensors; needs neither torch nor NumPy."""

from sqsnn.data.dataset_spec import DataFile, DatasetSpec, EventSpec, Sensor, Source

_DIGITS = tuple("0123456789")
_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
_HEIDELBERG = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")

EVENTS = (
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
    DatasetSpec(
        name="mnist-dvs",
        text="10,000 handwritten digits that move before an event camera, of which 26x26 pixels "
        "are used; Serrano-Gotarredona & Linares-Barranco 2015, doi:10.3389/fnins.2015.00481, "
        "no licence stated",
        class_names=_DIGITS,
        sources=(
            Source(
                "MNIST-DVS, scale 4",
                "aedat:open_mnist_dvs",
                "MNIST-DVS",
                tuple(DataFile(f"grabbed_data{digit}.zip") for digit in _DIGITS),
            ),
        ),
        train_size=9000,
        test_counts=(1000,),
        # Its cameras start their clocks anew, and bins do not need an order.
        events=EventSpec(
            Sensor(columns=26, rows=26, polarities=2), duration=2.0, pool=1, in_order=False
        ),
        hidden=(256,),
        sample_steps=80,
    ),
)
