"""Settings are saved as TOML and read back exactly; other files are refused by name."""

import tomllib
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st
from tools import chosen_settings, small_run

from sqsnn.errors import ConfigError
from sqsnn.network.connection import Connection, LearnedDelay
from sqsnn.quantum import circuits
from sqsnn.quantum.noise import Noise
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.settings.toml import FORMAT, from_toml, read_config, to_toml
from sqsnn.synapses import Convolution, Dense, Identity, Pool

HEAD = f"format = {FORMAT}\n"
DATA = '[data]\ndataset = "digits"\n'
WORDS = st.dictionaries(
    st.text("abc", min_size=1),
    st.one_of(
        st.booleans(),
        st.integers(-100, 100),
        st.floats(allow_nan=False, allow_infinity=False, width=64),
        st.text("abcxyz_", min_size=1),
    ),
    max_size=3,
)


@trials(max_examples=50)
@given(chosen=chosen_settings())
def test_toml_gives_back_exactly_what_was_saved(chosen):
    settings = from_flat("digits", chosen)
    assert from_toml(to_toml(settings), "here") == settings


@trials(max_examples=30)
@given(options=WORDS)
def test_words_keep_their_types(options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(circuits._REGISTRY, "any", lambda n, m, **options: circuits.crx(n, m))
        settings = small_run(circuit="any", circuit_options=options)
        read = from_toml(to_toml(settings), "here").neurons.circuit_options
    # 1 == 1.0 == True, so equality alone would miss a changed type.
    assert {name: (type(value), value) for name, value in read.items()} == {
        name: (type(value), value) for name, value in options.items()
    }


def test_every_rate_of_a_noise_comes_back():
    noise = Noise(**{name: 1 / (9 + place) for place, name in enumerate(asdict(Noise()))})
    settings = small_run(**asdict(noise))
    assert settings.neurons.noise == noise
    assert from_toml(to_toml(settings), "here") == settings


def test_the_file_has_the_tables_of_the_objects_with_their_kinds_first():
    text = to_toml(small_run(rule="local", score="measured", window=4, estimator="laplace"))
    content = tomllib.loads(text)
    assert content["format"] == FORMAT
    score = {"kind": "measured", "window": 4, "derivative": "shift"}
    score["estimator"] = {"kind": "laplace", "shots": 100}
    assert content["rule"]["score"] == score
    assert content["encoding"] == {"kind": "rate", "steps": 4, "max_rate": 1.0}
    for table in text.split("\n["):
        assert all("kind" not in line for line in table.splitlines()[2:])


CONNECTIONS = st.builds(
    Connection,
    source=st.sampled_from(["input", "a", "output"]),
    target=st.sampled_from(["a", "output"]),
    synapses=st.recursive(
        st.sampled_from(
            [Dense(bias=True, sparsity=0.1), Convolution(3, 5, 2), Pool(2), Identity()]
        ),
        lambda parts: st.lists(parts, min_size=1, max_size=3).map(tuple),
        max_leaves=1,
    ),
    delay=st.one_of(st.integers(0, 4), st.builds(LearnedDelay, start=st.floats(0, 8))),
    trace=st.one_of(st.none(), st.floats(0, 1, exclude_min=True, exclude_max=True)),
)


@trials(max_examples=50)
@given(
    size=st.one_of(
        st.integers(1, 10**9), st.lists(st.integers(1, 10**4), min_size=2, max_size=3).map(tuple)
    ),
    connections=st.lists(CONNECTIONS, min_size=1, max_size=4).map(tuple),
)
def test_a_graph_comes_back_byte_for_byte(size, connections):
    populations = {"a": size, "output": "classes"}
    connections = (Connection("input", "a"), Connection("a", "output"), *connections)
    settings = from_flat("digits", {"populations": populations, "connections": connections})
    text = to_toml(settings)
    read = from_toml(text, "here")
    assert (read, to_toml(read)) == (settings, text)
    assert read.graph.connections == connections


def test_the_numbers_of_the_preset_are_saved():
    text = to_toml(from_flat("mnist", {}))
    assert "epochs = 10" in text
    assert "steps = 5" in text


def test_a_file_may_leave_out_what_has_a_default():
    settings = from_toml(HEAD + DATA + '[rule]\nkind = "local"', "here")
    assert isinstance(settings, RunSettings)
    assert settings.rule.kind == "local"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data", "is not valid TOML"),
        (HEAD, "data: Field required"),
        (HEAD + DATA + 'from = "x"', "from: Extra inputs are not permitted"),
        (HEAD + DATA + "[training]\nseed = -1", "seed: .*but is -1"),
        (HEAD + DATA + '[rule]\nkind = "magic"', "rule: kind may be one of 'backprop', 'local'"),
        (HEAD + DATA + "[rule]\nwindow = 3", "rule: kind is missing"),
        (HEAD + DATA + '[neurons]\nkind = "lif"\nmemory_qubits = 1', "memory_qubits: Extra inputs"),
        (HEAD + DATA + '[encoding]\nkind = "rate"\nsteps = "many"', "steps: .*integer.*'many'"),
    ],
)
def test_a_broken_file_is_named(text, message):
    with pytest.raises(ConfigError, match=f"^config.toml:? {message}") as refused:
        from_toml(text, "config.toml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "found"), [(DATA, "1 or 2"), ("format = 3\n", "3"), ("format = 'x'\n", "x")]
)
def test_another_format_is_refused_with_what_to_do(text, found):
    with pytest.raises(
        ConfigError, match=f"^config.toml has format {found}, but .* reads format {FORMAT}"
    ) as refused:
        from_toml(text, "config.toml")
    assert "train the network again" in str(refused.value)
    assert "\n" not in str(refused.value)


# Files that start a run


def test_a_file_says_what_differs_from_the_preset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('skip = true\n[encoding]\nmax_rate = 0.5\n[data]\ndataset = "mnist"\n')
    expected = from_flat("mnist", {"skip": True, "max_rate": 0.5})
    assert expected.encoding.steps == 5  # of the preset, beside the rate
    assert read_config(path, None, {}) == expected
    # What is typed counts more, and a name of a dataset too.
    assert read_config(path, "digits", {"skip": False, "max_rate": 0.7}) == from_flat(
        "digits", {"max_rate": 0.7}
    )


def test_flags_go_with_the_kinds_that_the_file_chose(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[rule]\nkind = "local"\nsignal = { kind = "reinforce" }\n')
    read = read_config(path, "digits", {"samples": 7})
    assert read == from_flat("digits", {"rule": "local", "signal": "reinforce", "samples": 7})


@trials(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=chosen_settings())
def test_what_a_run_saved_starts_another(tmp_path, chosen):
    settings = from_flat("digits", chosen)
    data = settings.data.model_copy(update={"source": "scikit-learn"})
    (tmp_path / "config.toml").write_text(to_toml(settings.model_copy(update={"data": data})))
    assert read_config(tmp_path / "config.toml", None, {}) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no dataset: write e.g. dataset = 'digits' below"),
        ("format = 5\n" + DATA, "has format 5, but"),
        ("[data", "is not valid TOML"),
        ('data = "digits"', r"data must be a table, \[data\], but is 'digits'"),
        (DATA.replace("digits", "digit"), "dataset must be one of .*did you mean digits"),
        ("epochs = 3\n" + DATA, "epochs: Extra inputs are not permitted"),
        ("neurons = 3\n" + DATA, "neurons: .*"),
        (DATA + "[graph.populations]\na = 3\n", "connections: Field required"),
    ],
)
def test_a_file_that_starts_no_run_is_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"mine.toml:? {message}") as refused:
        read_config(path, None, {})
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*mine\.toml"):
        read_config(tmp_path / "mine.toml", None, {})
