"""The official operator's golden vectors for data keys and names, and what holds for every text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.keys import MAX_LENGTH, data_key, is_legal_key, is_legal_name, secret_name

GOLDEN = {
    "password": "password",
    "AWS Access Key": "AWS-Access-Key",
    "first host": "first-host",
    "\N{ICE CREAM} ice-cream type": "ice-cream-type",
    "label w%th invalid ch!rs-": "label-w-th-invalid-ch-rs-",
    "a  b": "a-b",
    "foo\n": "foo",
    ".dockerconfigjson": ".dockerconfigjson",
    "-foo-": "-foo-",
    "_x_": "_x_",
    "café": "caf",
    "é": "",
    "日本語": "",
    "###": "",
    "   ": "",
    "": "",
    "naïve key!": "na-ve-key",
    "my/path/key": "my-path-key",
    "a - b": "a---b",
    "key:": "key",
    "(key)": "key",
    "..foo": "..foo",
    ".": ".",
    "..": "..",
    " ..foo": "..foo",
    "x" * 254: "x" * 253,
}


@pytest.mark.parametrize(("label", "key"), GOLDEN.items(), ids=map(ascii, GOLDEN))
def test_a_label_becomes_the_key_that_the_official_operator_makes_of_it(label, key):
    """The golden vectors of the contract hold to the letter."""
    assert data_key(label) == key


@pytest.mark.parametrize(
    ("key", "legal"),
    [
        ("a", True),
        ("tls.crt", True),
        ("-._aZ0", True),
        ("x" * 253, True),
        ("x" * 254, False),
        ("", False),
        (".", False),
        ("..", False),
        ("..a", False),
        (".a", True),
        ("...", False),
        ("a\n", False),
        ("a b", False),
        ("é", False),
    ],
)
def test_legality_is_what_the_api_server_checks(key, legal):
    """Kubernetes' own rule for keys decides, the trailing line feed included."""
    assert is_legal_key(key) is legal


@given(st.text(max_size=400))
def test_a_key_is_short_and_made_of_legal_characters(label):
    """Whatever the label, only length zero or leading dots can make its key illegal."""
    key = data_key(label)

    assert len(key) <= MAX_LENGTH
    assert is_legal_key(key) or key in {"", "."} or key.startswith("..")


@given(st.text(max_size=400))
def test_a_key_is_its_own_key(label):
    """Sanitising a second time changes nothing."""
    assert data_key(data_key(label)) == data_key(label)


@given(
    st.from_regex(r"[-._a-zA-Z0-9]{1,253}", fullmatch=True).filter(lambda key: not key.startswith("..") and key != ".")
)
def test_a_legal_label_stays_as_it_is(label):
    """Nothing is done to what needs nothing, lower-casing least of all."""
    assert data_key(label) == label


NAMES = {
    "someName": "somename",
    "inV@l1d k8s secret%name": "inv-l1d-k8s-secret-name",
    "My Secret": "my-secret",
    "UPPER.Case": "upper.case",
    "a_b": "a-b",
    "_a_": "a",
    "a..b": "a..b",
    "a.-b": "a.-b",
    "___": "",
    "": "",
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul": "istanbul",
    "already-legal.name": "already-legal.name",
    "x" * 254: "x" * 253,
}


@pytest.mark.parametrize(("text", "name"), NAMES.items(), ids=map(ascii, NAMES))
def test_an_item_name_becomes_the_name_that_the_official_operator_makes_of_it(text, name):
    """Workloads refer to the Secret by that name."""
    assert secret_name(text) == name


@given(st.text())
def test_a_name_is_legal_or_recognised_as_illegal(text):
    """What comes out changes no more, and holds nothing but the characters of a name."""
    name = secret_name(text)

    assert secret_name(name) == name
    assert len(name) <= MAX_LENGTH
    assert is_legal_name(name) or not name or ".." in name or ".-" in name or "-." in name
