"""Tables: every number and label comes back exactly, and what is wrong is named by its place."""

import csv
import io
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sqsnn.data.own.reading import read_own
from sqsnn.errors import ConfigError, DataError

IRIS = "length,width,species\n5.1,3.5,setosa\n7,3.2,versicolor\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="own.csv"):
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return write


def test_a_table_is_read(write):
    data = read_own(write(IRIS), label="species")
    assert data.X.tolist() == [[5.1, 3.5], [7.0, 3.2]] and data.X.dtype == np.float64
    assert data.y.tolist() == ["setosa", "versicolor"]
    assert data.feature_names == ("length", "width") and data.label_name == "species"
    assert data.groups is data.X_test is data.y_test is data.lengths is None


def test_columns_are_chosen_in_the_order_given(write):
    path = write("a,who,b,Class\n1,x,2,0\n3,y,4,1\n")
    data = read_own(path, columns=["b", "a"], groups="who")
    assert data.X.tolist() == [[2, 1], [4, 3]] and data.feature_names == ("b", "a")
    assert data.y.tolist() == [0, 1] and data.groups.tolist() == ["x", "y"]
    assert data.label_name == "Class"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["1", "2"], [1, 2]),
        (["007", "+7"], [7, 7]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1", "b"], ["1", "b"]),
        ([" cat ", "cat"], ["cat", "cat"]),
        (["none", "mild"], ["none", "mild"]),
        (["9" * 19, "1" + "9" * 18], ["9" * 19, "1" + "9" * 18]),
        (["True", "False"], ["True", "False"]),
    ],
)
def test_labels_are_numbers_only_if_all_are(write, entries, expected):
    rows = "".join(f"1,{entry}\n" for entry in entries)
    assert read_own(write(f"a,y\n{rows}")).y.tolist() == expected


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(
                st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=8
            ).filter(str.strip),
        ),
        min_size=1,
        max_size=9,
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
@settings(max_examples=50)
def test_what_the_csv_module_wrote_comes_back_exactly(tmp_path_factory, rows, end, encoding):
    path = tmp_path_factory.mktemp("csv") / "own.csv"
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("a", "y"), *rows, (0.5, "text")])
    path.write_bytes(text.getvalue().encode(encoding))
    data = read_own(path)
    assert data.X[:, 0].tolist() == [number for number, _ in rows] + [0.5]
    assert data.y.tolist() == [label.strip() for _, label in rows] + ["text"]


def test_blank_lines_quotes_and_truth_values_are_read(write):
    data = read_own(write('a,b,y\n\n"1",True,"x, ""y"""\n   \n2,False,z'))
    assert data.X.tolist() == [[1, 1], [2, 0]] and data.y.tolist() == ['x, "y"', "z"]


def test_thousands_of_columns_are_read(write):
    names = [f"f{index}" for index in range(2000)]
    data = read_own(write(f"{','.join(names)},y\n" + f"{','.join(['1'] * 2000)},0\n" * 3))
    assert data.X.shape == (3, 2000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,y\n1,0\n2,0\nx,1\n", "line 4, column 'a': expected a number, found 'x'"),
        ("a,y\n\n1,0\n,1\n", "line 4, column 'a': expected a number, found a missing value"),
        ("a,y\n1,0\nNA,1\n", "line 3, column 'a': expected a number, found a missing value .'NA'"),
        (
            "a,y\n1,0\ninf,1\n",
            "line 3, column 'a': expected a number, found inf, which is infinite",
        ),
        ("a,y\n1,0\n1e999,1\n", "line 3, column 'a': .* found '1e999', which is too large"),
        ("a,y\n1,0\n1_0,1\n", "line 3, column 'a': expected a number, found '1_0'"),
        ('a,y\n"1,5",0\n', "line 2, column 'a': .* found '1,5': write decimals with a point"),
        (
            "a,y\nTrue,0\n1.5,1\n",
            "line 3, column 'a': expected True or False, found '1.5'",
        ),
        ('a,y\n1,"two\nlines"\nx,1\n', "line 4, column 'a': expected a number, found 'x'"),
        ("a,y\n1,0\n2,\n", "line 3, column 'y': expected a label, found a missing value"),
        ("a,y\n1,0\n2,nan\n", "line 3, column 'y': expected a label, found a missing value .'nan'"),
        ("a,y\n1,0\n2,1e999\n", "line 3, column 'y': expected a finite number"),
        (f"a,y\n1,{'x' * 1001}\n", "line 2, column 'y': .* at most 1000 characters, found 1001"),
        ("a,b,y\n1,2,0\n1,2\n", "line 3: expected 3 values, found 2"),
        ("a,b,y\n1,2,0\n1,2,0,5\n", "line 3: expected 3 values, found 4"),
        ("a,b,y\n1,2,0,5\n1,2,0,5\n", "line 2: expected 3 values, found 4"),
        ("a,a,y\n1,2,0\n", "names of the columns: .* found 'a' in columns 1 and 2"),
        (",a,y\n0,1,0\n", "column 1: expected a name, found none; pandas writes its index there"),
        ("a;y\n1,5;0\n", "line 1: .* found one column; its delimiter seems to be the semicolon"),
        ("a\n1\n", "line 1: expected names of columns with a comma between them, found one column"),
        ("a,y\n", "expected samples below the names of the columns, found none"),
        ("", "expected samples, found an empty file"),
        ('a,y\n1,0\n2,"x\n', "line 3: expected values and quotation marks, found unexpected end"),
        (
            b"a,y\n1,Fu\xdf\n",
            "line 2: expected text in UTF-8, found the byte 0xDF; save the file as",
        ),
        (IRIS.encode("utf-16"), "line 1: expected text in UTF-8"),
        ("a,y\n1,x\0\n", "line 2: expected text in UTF-8, found a NUL byte"),
    ],
)
def test_a_fault_is_named_by_line_and_column(write, content, message):
    with pytest.raises(DataError, match=rf"own\.csv.*{message}"):
        read_own(write(content))


def test_tabs_separate_in_tsv(write):
    assert read_own(write(IRIS.replace(",", "\t"), "own.tsv"), label="species").X.shape == (2, 2)
    with pytest.raises(DataError, match="seems to be the comma: save it with a tab"):
        read_own(write(IRIS, "own.tsv"))


@pytest.mark.parametrize(
    ("content", "chosen", "message"),
    [
        (
            IRIS,
            {},
            r"label must name the column .*own\.csv; it may be one of 'length', 'width', 'sp",
        ),
        (IRIS, {"label": "specie"}, "label is 'specie', and .* did you mean 'species'"),
        (IRIS, {"label": "species", "columns": ["lengths"]}, "columns is 'lengths', .*'length'"),
        (IRIS, {"label": "species", "groups": "q"}, "groups is 'q', and .* it may be one of"),
        (IRIS, {"label": "species", "columns": ["species"]}, "'species' is label too"),
        (IRIS, {"label": "species", "columns": ["width"] * 2}, "'width' stands twice"),
        ("label,class,a\n1,2,3\n", {}, "it may be one of 'label', 'class'"),
    ],
)
def test_columns_that_are_not_there_are_refused(write, content, chosen, message):
    with pytest.raises(ConfigError, match=message):
        read_own(write(content), **chosen)


def test_a_table_of_labels_alone_is_refused(write):
    with pytest.raises(DataError, match="expected a column of features, found none besides"):
        read_own(write("label,who\n1,2\n"), groups="who")


def test_prediction_needs_no_labels(write):
    path = write("length,width\n1,2\n")
    assert read_own(path, needs_labels=False).y is None
    data = read_own(path, needs_labels=False, label="species", columns=["width"])
    assert data.y is None and data.X.tolist() == [[2]]
    with pytest.raises(ConfigError, match="label must name"):
        read_own(path)


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_a_missing_extra_is_named(write, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    suffix = {"pandas": "csv", "pyarrow": "parquet"}[missing]
    for module in ("delimited", "parquet"):
        monkeypatch.delitem(sys.modules, f"sqsnn.data.own.{module}", raising=False)
    import sqsnn.data.own

    for module in ("delimited", "parquet"):
        monkeypatch.delattr(sqsnn.data.own, module, raising=False)
    with pytest.raises(ConfigError, match=rf"{missing} is not installed.*pip install 'sqsnn\[tab"):
        read_own(write(IRIS, f"own.{suffix}"))


# parquet


@pytest.fixture
def save(tmp_path):
    def save(**columns):
        parquet.write_table(pa.table(columns), tmp_path / "own.parquet")
        return tmp_path / "own.parquet"

    return save


def test_a_parquet_table_is_read(save):
    path = save(
        a=[1.5, 2.5],
        b=pa.array([1, 2], pa.int8()),
        c=[True, False],
        d=pa.array([1, 2], pa.decimal128(9, 2)),
        label=pa.array(["x", "y"]).dictionary_encode(),
        who=[3, 3],
    )
    data = read_own(path, groups="who")
    assert data.X.tolist() == [[1.5, 1, 1, 1], [2.5, 2, 0, 2]] and data.y.tolist() == ["x", "y"]
    assert data.groups.tolist() == [3, 3] and data.feature_names == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0, None]}, "row 2, column 'a': expected a value, found a missing one"),
        ({"a": [1.0, float("nan")]}, "row 2, column 'a': expected a finite number, found nan"),
        ({"a": ["1", "2"]}, "column 'a': expected numbers, found the type string"),
        ({"a": [[1.0], [2.0]]}, "column 'a': expected numbers, found the type list"),
        ({"y": ["x", None]}, "row 2, column 'y': expected a value, found a missing one"),
        ({"y": ["x", ""]}, "row 2, column 'y': expected a label, found a missing value"),
        ({"y": [b"x", b"y"]}, "column 'y': expected numbers or text, found the type binary"),
        ({"__index_level_0__": [1, 2]}, "column 3: expected a name, found none; pandas writes"),
        (
            {"a": pa.array([], pa.float64()), "y": pa.array([], pa.int8())},
            "expected rows, found none",
        ),
    ],
)
def test_a_fault_of_a_parquet_table_is_named(save, columns, message):
    with pytest.raises(DataError, match=rf"own\.parquet.*{message}"):
        read_own(save(**({"a": [1.0, 2.0], "y": [0, 1]} | columns)))


def test_rows_that_take_no_room_do_not_fill_the_memory(save):
    path = save(a=np.zeros(20_000_000, np.int8), y=np.zeros(20_000_000, np.int8))
    with pytest.raises(DataError, match=r"the table: expected at most .* found 320,000,000 bytes"):
        read_own(path)


def test_a_damaged_parquet_file_is_refused(save):
    path = save(a=[1.0, 2.0], y=[0, 1])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"own\.parquet: expected a whole parquet file, found"):
        read_own(path)
