"""Series of the archives: dimensions, unequal lengths, the test part, and faults by their place."""

import numpy as np
import own_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsnn.data.own.reading import read_own
from sqsnn.errors import DataError

TS = """# A problem of two dimensions and unequal lengths
@problemName Walks
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true walk run
@data
1,2,3:4,5,6:walk
7.5:-8e-1:run
"""
FLAT = """% A problem of one dimension
@RELATION 'two steps'
@attribute 'att 0' numeric
@attribute att1 REAL

@attribute target {left, 'right; hand'}
@DATA
1,2,left
-3e1, 4 ,'right; hand'
5,?,left
"""
NESTED = """@relation walks
@attribute series relational
@attribute t0 numeric
@attribute t1 numeric
@end series
@attribute class {1,2}
@data
'1,2\\n3,4',1
"5,?\\n6,?",2
"""


@pytest.fixture
def write(tmp_path):
    def write(content, name="own.ts"):
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return write


def test_series_of_unequal_lengths_are_padded_with_0(write):
    data = read_own(write(TS))
    assert data.X.tolist() == [[[1, 4], [2, 5], [3, 6]], [[7.5, -0.8], [0, 0], [0, 0]]]
    assert data.lengths.tolist() == [3, 1] and data.y.tolist() == ["walk", "run"]
    assert data.label_name == "class" and data.feature_names == ("x0", "x1")


def test_the_test_part_beside_the_training_part_is_read(write):
    path = write(TS, "Walks_TRAIN.ts")
    assert read_own(path).X_test is None
    write(TS + "1,2,3,4:5,6,7,8:run\n", "Walks_TEST.ts")
    data = read_own(path)
    assert data.X.shape == (2, 4, 2) and data.X_test.shape == (3, 4, 2)
    assert data.lengths.tolist() == [3, 1] and data.lengths_test.tolist() == [3, 1, 4]
    assert data.y_test.tolist() == ["walk", "run", "run"]
    write(TS + "1:x:run\n", "Walks_TEST.ts")
    with pytest.raises(DataError, match=r"Walks_TEST\.ts, line 12, dimension 2, value 1: .* 'x'"):
        read_own(path)


def test_targets_are_numbers(write):
    data = read_own(write("@targetLabel true\n@data\n1,2:0.5\n3,4:-1\n"))
    assert data.y.tolist() == [0.5, -1] and data.label_name == "target" and data.lengths is None


def test_prediction_needs_no_labels(write):
    path = write("@classLabel false\n@data\n1,2:3,4\n")
    data = read_own(path, needs_labels=False)
    assert data.X.tolist() == [[[1, 3], [2, 4]]] and data.y is None
    with pytest.raises(DataError, match=r"own\.ts: expected labels"):
        read_own(path)


HEAD = "@problemName p\n@classLabel true a b\n@data\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "1,2:a\n\n1,x:a\n", "line 6, dimension 1, value 2: expected a number, found 'x'"),
        (HEAD + "1:2,?:a\n", r"line 4, dimension 2, value 2: .* found a missing value \('\?'\)"),
        (HEAD + "1,NaN:a\n", r"line 4, dimension 1, value 2: .* found a missing value \('NaN'\)"),
        (
            HEAD + "1,,2:a\n",
            "line 4, dimension 1, value 2: expected a number, found a missing value",
        ),
        (HEAD + "1,2:3:a\n", "line 4, dimension 2: expected 2 values as in dimension 1, found 1"),
        (HEAD + "1:a\n1:2:a\n", "line 5: expected as many dimensions as others .*1 in the first"),
        (
            HEAD + "1,2:c\n",
            "line 4: expected a declared class, found 'c'; it may be one of 'a', 'b'",
        ),
        (HEAD + "1,2\n", "line 4: expected a declared class, found '1,2'"),
        (HEAD + "a\n", "line 4: expected values, and the label behind a colon, found no colon"),
        (HEAD, "expected series after @data, found none"),
        ("@classLabel true a\n1:a\n", "line 2: expected a line of the header, found '1:a'"),
        (
            "@clasLabel true a\n",
            "line 1: expected a line of the header, .* did you mean '@classlabel'",
        ),
        ("@missing false\n@missing true\n", "line 2: expected one line @missing, found another"),
        ("@timeStamps true\n@data\n", "line 1: expected @timeStamps false, .* found true"),
        ("@univariate yes\n@data\n", "line 1: expected true or false after @univariate"),
        (
            "@classLabel true\n@data\n",
            "line 1: expected the names of the classes after @classLabel",
        ),
        ("@dimensions two\n@data\n", "line 1: expected a whole number after @dimensions"),
        ("@univariate true\n@data\n1:2\n", "line 3: expected as many dimensions as others .1 decl"),
        (
            "@equalLength true\n@data\n1,2\n3\n",
            r"line 4: expected 2 values \(@equalLength true\), found 1",
        ),
        ("@equalLength true\n@seriesLength 3\n@data\n1,2\n", "line 4: expected 3 values"),
        (HEAD + "1,\r2:a\n", "line 4: expected lines that end with a line feed, found a carriage"),
        ("@data 1\n", "line 1: expected nothing after @data on its line, found '@data 1'"),
        ("@missing false\n", "expected a line @data, found the end of the file"),
        (b"@problemName \xe9\n", "line 1: expected text in UTF-8"),
    ],
)
def test_a_fault_of_a_ts_file_is_named_by_line_and_dimension(write, content, message):
    with pytest.raises(DataError, match=rf"own\.ts.*{message}"):
        read_own(write(content))


def test_one_long_series_does_not_fill_the_memory(write):
    steps, count = 12_000, 12_000
    path = write(HEAD + ",".join(["1"] * steps) + ":a\n" + "1:b\n" * count)
    with pytest.raises(DataError, match=r"its padded series: .* found 1,152,096,000 bytes"):
        read_own(path)


def test_a_flat_arff_file_is_series_of_one_dimension(write):
    data = read_own(write(FLAT, "own.arff"))
    assert data.X[..., 0].tolist() == [[1, 2], [-30, 4], [5, 0]] and data.lengths.tolist() == [
        2,
        2,
        1,
    ]
    assert data.y.tolist() == ["left", "right; hand", "left"] and data.label_name == "target"


def test_a_relational_arff_file_is_series_of_several_dimensions(write):
    data = read_own(write(NESTED, "own.arff"))
    assert data.X.tolist() == [[[1, 3], [2, 4]], [[5, 6], [0, 0]]]
    assert data.lengths.tolist() == [2, 1] and data.y.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FLAT + "1,x,left\n", "line 11, dimension 1, value 2: expected a number, found 'x'"),
        (FLAT + "?,1,left\n", r"line 11, dimension 1, value 1: .* found a missing value \('\?'\)"),
        (FLAT + "1,left\n", "line 11: expected 3 entries, found 2"),
        (
            FLAT + "1,2,Left\n",
            "line 11: expected a declared class, found 'Left'; did you mean 'left'",
        ),
        (FLAT + "{0 1}\n", "line 11: expected 3 entries, found 1"),
        (FLAT + "1,2,'left\n", "line 11: expected entries, commas and pairs of quotation marks"),
        (
            FLAT.replace("REAL", "string"),
            "line 4: expected numeric steps, .* found '@attribute att1",
        ),
        (
            FLAT.replace("@attribute att1", "@column att1"),
            "line 4: expected @attribute, a name and",
        ),
        (FLAT.replace("@DATA", "@attribute a real"), "line 7: expected @data behind the class"),
        (FLAT.partition("@DATA")[0], "expected a line @data, found the end of the file"),
        (FLAT.partition("1,2")[0], "expected series after @data, found none"),
        (
            "@relation r\n@attribute a real\n@data\n1\n",
            "line 3: .* the class in braces as the last",
        ),
        (
            NESTED + "'1,2',1\n",
            "line 10: expected as many dimensions as the first series .2., found 1",
        ),
        (NESTED + "'1,2\\n3',1\n", "line 10, dimension 2: expected 2 values, found 1"),
        (NESTED + "'1,2\\n3,?',1\n", "line 10, dimension 2, value 2: .* found a missing value"),
        (
            NESTED.replace("@end series\n", ""),
            "line 5: expected numeric steps, .* found '@attribute",
        ),
    ],
)
def test_a_fault_of_an_arff_file_is_named_by_line_and_dimension(write, content, message):
    with pytest.raises(DataError, match=rf"own\.arff.*{message}"):
        read_own(write(content, "own.arff"))


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text("ab;_ü", min_size=1, max_size=4)


@st.composite
def problems(draw):
    features = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    series = [
        np.array(draw(st.lists(finite, min_size=features * length, max_size=features * length)))
        for length in lengths
    ]
    return [one.reshape(features, -1) for one in series], [draw(names) for _ in lengths]


@given(problems(), st.sampled_from(["own.ts", "own.arff"]))
def test_written_series_come_back_exactly(tmp_path_factory, problem, name):
    series, labels = problem
    equal = len({one.shape for one in series}) == 1
    text = own_files.ts_text(series, labels, equal)
    if name == "own.arff":
        text = own_files.arff_text(series, labels)
    path = tmp_path_factory.mktemp("series") / name
    path.write_text(text, "utf-8")
    data = read_own(path)
    steps = max(one.shape[1] for one in series)
    lengths = [one.shape[1] for one in series]
    assert lengths == ([steps] * len(series) if data.lengths is None else data.lengths.tolist())
    for found, length, expected in zip(data.X, lengths, series, strict=True):
        assert np.array_equal(found[:length], expected.T) and not found[length:].any()
    assert data.y.tolist() == labels
