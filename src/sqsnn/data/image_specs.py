"""The datasets of images; needs neither torch nor NumPy."""

from sqsnn.data.dataset_spec import DataFile, DatasetSpec, Source

_DIGITS = tuple("0123456789")
_LIBSVM = ("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",)


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


IMAGES = (
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
)
