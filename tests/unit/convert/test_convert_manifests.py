"""Files become objects, and what is no object becomes an error that shows nothing of the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.convert.errors import BadInput
from keyturn.convert.manifests import Document, read_documents


def read(text):
    return list(read_documents(text.encode()))


def objects(text):
    return [each for document in read(text) for each in document.objects]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("# nothing\n", []),
        ("---\n---\n", []),
        ("kind: A", [{"kind": "A"}]),
        ("---\nkind: A\n---\nkind: B\n", [{"kind": "A"}, {"kind": "B"}]),
        ("kind: A\n--- # next\nkind: B\n...\n# end", [{"kind": "A"}, {"kind": "B"}]),
        ("%YAML 1.2\n---\nkind: A\n", [{"kind": "A"}]),
        ("--- {kind: A}\n---\nkind: B", [{"kind": "A"}, {"kind": "B"}]),
        ("\ufeffkind: A\r\n---\r\nkind: B\r\n", [{"kind": "A"}, {"kind": "B"}]),
        ("a: |\n  ---\n  b\n", [{"a": "---\nb\n"}]),
        ('{"kind": "A", "when": 2026-01-01}', [{"kind": "A", "when": "2026-01-01"}]),
        ("a: &x {b: c}\nd: {<<: *x, b: e}", [{"a": {"b": "c"}, "d": {"b": "e"}}]),
        ("kind: List\nitems: [{kind: A}, {kind: BList, items: [{kind: B}]}]", [{"kind": "A"}, {"kind": "B"}]),
        ("kind: ExternalSecretList\nitems: []", []),
        ("kind: List\nitems: 1", [{"kind": "List", "items": 1}]),
    ],
)
def test_documents_are_read(text, found):
    """Several in a file, and the members of lists."""
    assert objects(text) == found


def test_a_document_keeps_its_text_and_number():
    """The number is that which a reader of the file counts; the text may be passed on with its comments."""
    first, second = read("# head\n---\nkind: A # why\n---\n---\nkind: List\nitems: [{kind: B}]\n")
    assert (first.number, first.text, first.is_list) == (1, "kind: A # why\n", False)
    assert (second.number, second.is_list) == (2, True)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("kind: A\n---\npassword: *canary\n", "document 2: this is no YAML (line 1 of the document)"),
        ("a: b\npassword: 'canary", "document 1: this is no YAML (line 2 of the document)"),
        ("password: !canary canary", "document 1: this is no YAML (line 1 of the document)"),
        ("canary: 1\ncanary: 2", "document 1: this is no YAML (line 1 of the document)"),
        ("password: !!int canary", "document 1: this is no YAML"),
        ("password: !!bool canary", "document 1: this is no YAML"),
        ("!!bool canary: password", "document 1: this is no YAML"),
        ("password: !!timestamp canary", "document 1: this is no YAML"),
        ("password: !!map [canary]", "document 1: this is no YAML"),
        ("password: !!set [canary]", "document 1: this is no YAML"),
        ("password: !!omap {canary: x}", "document 1: this is no YAML (line 1 of the document)"),
        ("canary: !!int ''", "document 1: this is no YAML"),
        ("canary: !!float ''", "document 1: this is no YAML"),
        ("password: !!binary canary=", "document 1: this is no YAML (line 1 of the document)"),
        ("{canary: [1]: 2}", "document 1: this is no YAML (line 1 of the document)"),
        ("? [canary]\n: 1", "document 1: this is no YAML (line 1 of the document)"),
        ("canary", "document 1: this is no Kubernetes object"),
        ("[canary]", "document 1: this is no Kubernetes object"),
        ("a: \x01canary", "document 1: this is no YAML"),
        ("[" * 5000, "document 1: this is nested too deeply"),
        ("kind: List\nitems: [canary]", "document 1: an entry of its list is no Kubernetes object"),
        (
            "kind: List\nitems: [" * 1 + "{kind: List, items: [" * 7 + "canary" + "]}" * 7 + "]",
            "document 1: an entry of its list is no Kubernetes object",
        ),
    ],
)
def test_a_mistake_shows_nothing_of_the_file(text, error):
    """It may be a Secret. The other documents are read all the same."""
    *good, bad = read(text)
    assert isinstance(bad, BadInput)
    assert str(bad) == error
    assert bad.__cause__ is None
    assert bad.__context__ is None
    assert all(isinstance(each, Document) for each in good)
    assert all("canary" not in repr(each) for each in good)


def test_what_is_no_text_is_named():
    """One error for the whole file."""
    [bad] = read_documents(b"\xff\xfe\x00")
    assert str(bad) == "this is no UTF-8 text"


@given(st.text(alphabet="ab:-{}[]&*!|>%\"'\n .#?,", max_size=40))
def test_any_text_is_read_or_refused(text):
    """Nothing but documents and errors."""
    assert all(isinstance(each, Document | BadInput) for each in read(text))


TAGS = (
    "bool",
    "int",
    "float",
    "null",
    "str",
    "binary",
    "timestamp",
    "seq",
    "map",
    "set",
    "omap",
    "pairs",
    "value",
    "x",
)


@given(
    st.sampled_from(TAGS),
    st.text(alphabet="ab01.:_-+eEx", max_size=8),
    st.sampled_from(["%s", "'%s'", "[%s]", "{%s: a}", "{a: b, c: %s}", "a\n? %s\n: b"]),
)
def test_no_value_of_a_tag_stops_the_reader(tag, text, form):
    """However little it fits."""
    assert all(isinstance(each, Document | BadInput) for each in read(f"a: !!{tag} {form % text}"))
