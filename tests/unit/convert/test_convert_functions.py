"""A converted template makes the bytes that Go would make, compared with a plain interpreter of the same expressions."""

import base64
import json
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from keyturn.convert.external_secrets import convert_external_secret
from keyturn.core.content import DEFAULT_MAPPING
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.vault import Field, Item, ItemRef

VALUES = {"user": "app", "pw": "p@ss {{w}} \"ö\\ '%", "cert": "line 1\n  line 2\n", "e": ""}


@dataclass(frozen=True)
class Expression:
    """An expression of Go's language, and the text that it becomes there."""

    written: str
    value: str


def string(text):
    """A text as Go writes it, too."""
    return json.dumps(text, ensure_ascii=False)


def call(function, value, *arguments):
    """A function that takes its value last, written so."""
    parts = [function, *arguments, value.written if value.written.startswith(".") else f"({value.written})"]
    return " ".join(parts)


FIELDS = st.sampled_from([Expression(f".{name}", value) for name, value in VALUES.items() if value])
TEXTS = st.text(alphabet='ab{}"\\ ö', max_size=5)
PLAIN = st.one_of(
    FIELDS,
    TEXTS.map(lambda text: Expression(string(text), text)),
    TEXTS.filter(bool).map(lambda text: Expression(f"default {string(text)} .e", text)),
    TEXTS.filter(bool).map(lambda text: Expression(f"coalesce .e {string(text)}", text)),
)


def filtered(inner):
    return st.one_of(
        inner.map(lambda each: Expression(call("upper", each), each.value.upper())),
        inner.map(lambda each: Expression(call("lower", each), each.value.lower())),
        inner.map(lambda each: Expression(call("trim", each), each.value.strip())),
        inner.map(lambda each: Expression(call("toString", each), each.value)),
        inner.map(lambda each: Expression(call("b64enc", each), base64.b64encode(each.value.encode()).decode())),
        inner.map(lambda each: Expression(call("replace", each, '"a"', '"b{{"'), each.value.replace("a", "b{{"))),
        inner.map(lambda each: Expression(call("quote", each), string(each.value))),
        inner.map(lambda each: Expression(call("toJson", each), string(each.value))),
        inner.map(lambda each: Expression(f"toJson (dict {string('b')} ({each.written}) {string('a')} 1)",
                                          f'{{"a":1,"b":{string(each.value)}}}')),
        st.tuples(inner, inner).map(
            lambda pair: Expression(f'printf "%s:%s" ({pair[0].written}) ({pair[1].written})', f"{pair[0].value}:{pair[1].value}")
        ),
    )  # fmt: skip


EXPRESSIONS = st.one_of(PLAIN, filtered(PLAIN), filtered(filtered(PLAIN)))
PIECES = st.one_of(
    st.text(alphabet='ab}%"\\ ö\n', max_size=5).map(lambda text: Expression(text, text)),
    EXPRESSIONS.map(lambda each: Expression(f"{{{{ {each.written} }}}}", each.value)),
)


def rendered(template):
    """The bytes of the converted template, made by the operator's own code."""
    manifest = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "web"},
        "spec": {"dataFrom": [{"extract": {"key": "app"}}], "target": {"template": {"data": {"K": template}}}},
    }
    spec = convert_external_secret(manifest, "Home").manifest["spec"]
    fields = tuple(Field(id=name, label=name, value=value) for name, value in VALUES.items())
    item = Item(ItemRef(id="i", scope="s", title="app", revision="1"), fields)
    return plan_shape(Shape.read(spec)).render({"": item}, {}, DEFAULT_MAPPING, {}).data["K"]


@given(st.lists(PIECES, max_size=4))
def test_the_bytes_are_those_of_go(pieces):
    """Braces, quotes and percent signs included, wherever they stand."""
    template = "".join(piece.written for piece in pieces)
    assert rendered(template) == "".join(piece.value for piece in pieces).encode()


def test_what_go_does_differently_is_the_same_to_a_reader():
    """Go escapes `<`, `>` and `&` in JSON, writes a space as `+` in a query, and indents blank lines."""
    assert json.loads(rendered('{{ toJson (dict "a" "<&>") }}')) == {"a": "<&>"}
    assert rendered('{{ "a b" | urlquery }}') == b"a%20b"
    assert rendered("a:{{ .cert | nindent 2 }}") == b"a:\n  line 1\n    line 2\n"
