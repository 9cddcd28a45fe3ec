"""Go templates are read as Go reads them, or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.convert.go_templates import Call, Number, Text, UnreadTemplate, Variable, parse

X = Variable("X")


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("", []),
        ("plain } text {", [Text("plain } text {")]),
        ("{{ .X }}", [X]),
        ("{{.X}}", [X]),
        ("{{ (.X) }}", [X]),
        ('{{ index . "X" }}', [X]),
        ('{{ . | index "X" }}', [Call("index", (Text("X"), Variable("")))]),
        ("{{ .größe }}", [Variable("größe")]),
        ("{{ .A_${CLUSTER^^}_B }}", [Variable("A_${CLUSTER^^}_B")]),
        ("{{ .${A.B} }}", [Variable("${A.B}")]),
        ("a{{ .X }}b{{ .Y }}", [Text("a"), X, Text("b"), Variable("Y")]),
        ("a {{- .X -}} b", [Text("a"), X, Text("b")]),
        ("a \n {{- .X }} b", [Text("a"), X, Text(" b")]),
        ("{{ .X -}}\n\n{{ .Y }}", [X, Variable("Y")]),
        ("a{{/* not here */}}b", [Text("ab")]),
        ("a {{- /* not here */ -}} b", [Text("ab")]),
        ('{{ "{{" }}x{{ `}}` }}', [Text("{{x}}")]),
        (r'{{ "a\n\t\"\\\u00fc\x41" }}', [Text('a\n\t"\\üA')]),
        ("{{ `a\\n` }}", [Text("a\\n")]),
        ("{{ .X | b64enc }}", [Call("b64enc", (X,))]),
        ("{{ b64enc .X }}", [Call("b64enc", (X,))]),
        ('{{ .X | default "a" | upper }}', [Call("upper", (Call("default", (Text("a"), X)),))]),
        ('{{ printf "%s" (lower .X) }}', [Call("printf", (Text("%s"), Call("lower", (X,))))]),
        ("{{ indent 4 .X }}", [Call("indent", (Number(4), X))]),
        ('{{ toJson (dict "a" true) }}', [Call("toJson", (Call("dict", (Text("a"), Call("true", ()))),))]),
        ("{{ .X\n  | upper }}", [Call("upper", (X,))]),
    ],
)  # fmt: skip
def test_a_template_is_read(template, parts):
    """Text, values and functions, with what is piped last, and white space trimmed where it says so."""
    assert list(parse(template)) == parts


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ if .X }}a{{ end }}", "control flow, `if` (line 1)"),
        ("a\n{{ range .X }}", "control flow, `range` (line 2)"),
        ("{{ $x := .X }}", "a variable (line 1)"),
        ("{{ .X.Y }}", "a path of several names, `.X.Y` (line 1)"),
        ("{{ .X", "a hole without an end (line 1)"),
        ("{{ }}", "an empty hole (line 1)"),
        ("{{ .X .Y }}", "a value that is called as a function (line 1)"),
        ("{{ .X | .Y }}", "a value that is called as a function (line 1)"),
        ("{{ (.X }}", "a bracket without an end (line 1)"),
        ("{{ .X) }}", "`)` in an odd place (line 1)"),
        ("{{ .X, .Y }}", "the character ',' (line 1)"),
        ('{{ "\\q" }}', "the escape \\q (line 1)"),
        ("{{ " + "(" * 100 + ".X" + ")" * 100 + " }}", "brackets that are nested too deeply (line 1)"),
        ("{{/* a */ .X }}", "a comment that shares its hole (line 1)"),
    ],
)
def test_what_is_not_read_is_named(template, named):
    """With its line, so that somebody finds it in a long text."""
    with pytest.raises(UnreadTemplate) as refused:
        parse(template)
    assert str(refused.value) == named


@given(st.text(alphabet='{}-."`\\|()$ \nabX_1/*%', max_size=60))
def test_any_text_is_read_or_refused(template):
    """Nothing but its own error leaves the reader."""
    try:
        parts = parse(template)
    except UnreadTemplate:
        return
    assert all(each != Text("") for each in parts)
