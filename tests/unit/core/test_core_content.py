"""Which label becomes which key, and which wins if two become the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.content import DEFAULT_MAPPING, MappingOptions, changed_keys, encode, plan_content
from keyturn.core.keys import is_legal_key
from keyturn.core.vault import Field, FieldKind, Url
from support.shapes import a_file, an_item, text

KEEP_EMPTY = MappingOptions(allow_empty_values=True)


def data_of(item, options=DEFAULT_MAPPING):
    return dict(plan_content(item, options).data)


def test_fields_become_keys_by_their_labels():
    """Label and value are all that counts; section, id and type do not."""
    assert data_of(an_item(text("username", "app"), text("API key", "k"))) == {"username": b"app", "API-key": b"k"}


def test_a_reference_is_copied_like_any_field():
    """The official operator ignores a field's type, and a take-over from it must not lose a key."""
    item = an_item(Field(id="f", label="linked", kind=FieldKind.REFERENCE, value="abc"))

    assert data_of(item) == {"linked": b"abc"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(an_item(text("a", "1"), text("a", "2")), {"a": b"2"}, id="last field wins"),
        pytest.param(an_item(text("a b", "1"), text("a/b", "2")), {"a-b": b"2"}, id="last of two labels with one key"),
        pytest.param(an_item(text("a", "f"), urls=[Url("u", "a")]), {"a": b"f"}, id="field before URL"),
        pytest.param(an_item(urls=[Url("1", "a"), Url("2", "a")]), {"a": b"2"}, id="last URL wins"),
        pytest.param(an_item(urls=[Url("1", "a", primary=True), Url("2", "a")]), {"a": b"1"}, id="primary URL wins"),
        pytest.param(
            an_item(urls=[Url("1", "a", primary=True), Url("2", "a", primary=True)]),
            {"a": b"2"},
            id="last of two primary URLs",
        ),
        pytest.param(
            an_item(urls=[Url("1", "a b", primary=True), Url("2", "a/b"), Url("3", "c d"), Url("4", "c/d")]),
            {"a-b": b"1", "c-d": b"4"},
            id="URLs of two labels with one key",
        ),
        pytest.param(an_item(text("a", ""), urls=[Url("u", "a")]), {"a": b"u"}, id="URL shows through an empty field"),
        pytest.param(an_item(text("a", "1"), text("a", "")), {"a": b"1"}, id="empty field does not overwrite"),
        pytest.param(an_item(text("a", " ")), {"a": b" "}, id="white space is not empty"),
        pytest.param(an_item(text("a", ""), text("b", None)), {}, id="empty values are left out"),
    ],
)
def test_precedence_is_that_of_the_official_operator(item, expected):
    """A field goes before a URL and a URL before a file, the last field wins, and an empty value counts as absent."""
    assert data_of(item) == expected


def test_empty_values_are_kept_on_request():
    """An empty field then also hides the URL of its key."""
    item = an_item(text("a", ""), text("b", None), urls=[Url("u", "a")])

    assert data_of(item, KEEP_EMPTY) == {"a": b"", "b": b""}
    assert plan_content(an_item(a_file("empty", size=0)), KEEP_EMPTY).files.keys() == {"empty"}


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        pytest.param([a_file("tls.crt", file_id="f")], {"tls.crt": "f"}, id="by its name"),
        pytest.param([a_file("a", file_id="1"), a_file("a", file_id="2")], {"a": "1"}, id="first file wins"),
        pytest.param([a_file("a"), text("a", "x")], {}, id="field before file, whatever the order"),
        pytest.param([a_file("a", file_id="f"), text("a", "")], {"a": "f"}, id="file shows through an empty field"),
        pytest.param([a_file("a", size=0, file_id="1"), a_file("a", file_id="2")], {"a": "2"}, id="empty file"),
        pytest.param([a_file("a", size=None, file_id="f")], {"a": "f"}, id="file of unknown size"),
        pytest.param([a_file("日本")], {}, id="name without a legal character"),
    ],
)
def test_files_take_the_keys_that_are_left(fields, files):
    """A file is not fetched if its key is taken, empty or illegal."""
    plan = plan_content(an_item(*fields), DEFAULT_MAPPING)

    assert {key: file.id for key, file in plan.files.items()} == files


def test_an_illegal_key_is_skipped_and_reported_while_the_rest_stays():
    """One bad label must not cost the whole Secret."""
    plan = plan_content(an_item(text("..secret", "x"), text("é", "y"), text("ok", "z")), DEFAULT_MAPPING)

    assert dict(plan.data) == {"ok": b"z"}
    assert [(skipped.label, skipped.reason) for skipped in plan.skipped] == [
        ("..secret", "a key may not be '.' nor start with '..'"),
        ("é", "no character of it is legal in a key"),
    ]


@pytest.mark.parametrize(
    ("fields", "urls", "shared"),
    [
        pytest.param([text("a b", "1"), text("a-b", "2")], [], ("a-b",), id="two labels"),
        pytest.param([text("a", "1"), text("a", "1")], [], (), id="equal values are no riddle"),
        pytest.param([text("a", "1"), text("a", "")], [], (), id="one value is no riddle"),
        pytest.param(
            [text("username", "foo"), text("password", "foopass"), text("username", "bar"), text("password", None)],
            [],
            ("password", "username"),
            id="a pair that exists nowhere is named as a whole",
        ),
        pytest.param([text("a", "1"), text("a", "2"), text("b", ""), text("b", "")], [], ("a",), id="no values at all"),
        pytest.param([a_file("a"), text("a", "1")], [], ("a",), id="a file and a label"),
        pytest.param([a_file("a"), text("a", "")], [], (), id="a file and a field without a value"),
        pytest.param([a_file("a"), a_file("a")], [], ("a",), id="two files"),
        pytest.param([text("website", "1")], [Url("u", "website")], ("website",), id="a web address and a label"),
        pytest.param([text("website", "u")], [Url("u", "website")], (), id="a field that holds the web address"),
        pytest.param([], [Url("u", "website"), Url("w", "website")], (), id="web addresses are labelled alike"),
        pytest.param([text("é", "1"), text("ö", "2")], [], (), id="what becomes no key is reported as that"),
    ],
)
def test_keys_with_several_sources_are_reported(fields, urls, shared):
    """The rule is the official operator's, but silence about it makes people guess which value they have."""
    assert plan_content(an_item(*fields, urls=urls), DEFAULT_MAPPING).shared == shared


def test_a_label_without_a_value_is_not_reported():
    """Items have empty built-in fields all the time."""
    assert plan_content(an_item(text("é", "")), DEFAULT_MAPPING).skipped == ()


def test_neither_plan_nor_item_shows_a_value():
    """Reprs end up in tracebacks and logs."""
    item = an_item(text("a", "canary"))

    assert "canary" not in repr(item)
    assert "canary" not in repr(plan_content(item, DEFAULT_MAPPING))


LABELS = st.text(max_size=20) | st.sampled_from(["a", "a b", "a-b", "..a", "é"])
FIELDS = st.lists(
    st.builds(text, LABELS, st.text(max_size=5)) | st.builds(a_file, LABELS, size=st.integers(0, 9)), max_size=12
)
URLS = st.lists(st.builds(Url, st.text(max_size=5), LABELS, st.booleans()), max_size=5)


@given(FIELDS, URLS, st.booleans())
def test_every_plan_is_a_legal_secret(fields, urls, keep_empty):
    """Keys are legal, none has two sources, and the declared size counts both."""
    plan = plan_content(an_item(*fields, urls=urls), MappingOptions(allow_empty_values=keep_empty))

    assert all(is_legal_key(key) for key in [*plan.data, *plan.files])
    assert not plan.data.keys() & plan.files.keys()
    assert keep_empty or all(plan.data.values())
    assert plan.declared_bytes == sum(map(len, plan.data.values())) + sum(f.size for f in plan.files.values())


@given(
    st.dictionaries(st.text(max_size=3), st.binary(max_size=3)),
    st.dictionaries(st.text(max_size=3), st.binary(max_size=3)),
)
def test_changed_keys_are_those_whose_bytes_differ(old, new):
    """Equal maps have none; otherwise they are exactly the keys whose presence or bytes differ."""
    changed = changed_keys(old, new)

    assert (changed == ()) == (old == new)
    assert {key: old[key] for key in old if key not in changed} == {key: new[key] for key in new if key not in changed}


@given(st.text())
def test_text_is_written_as_utf8(value):
    """Every text that UTF-8 can hold comes back as it was."""
    assert encode(value).decode() == value


def test_a_lone_surrogate_becomes_the_replacement_character():
    """JSON can carry one and UTF-8 cannot; Go, in which the official operator is written, replaces it."""
    assert encode("a\ud800b") == "a\N{REPLACEMENT CHARACTER}b".encode()


def test_only_options_that_differ_from_the_defaults_are_recorded():
    """A Secret without a record was made by the defaults, and a new option must not rewrite every Secret."""
    assert DEFAULT_MAPPING.recorded() == ""
    assert KEEP_EMPTY.recorded() == "allow-empty-values"
