"""Go templates are read as Go reads them, or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.convert.go_templates import GoCall, GoNumber, GoText, GoVariable, UnreadTemplate, parse

X = GoVariable("X")


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("", []),
        ("plain } text {", [GoText("plain } text {")]),
        ("{{ .X }}", [X]),
        ("{{.X}}", [X]),
        ("{{ (.X) }}", [X]),
        ('{{ index . "X" }}', [X]),
        ('{{ . | index "X" }}', [GoCall("index", (GoText("X"), GoVariable("")))]),
        ("{{ .größe }}", [GoVariable("größe")]),
        ("{{ .A_${CLUSTER^^}_B }}", [GoVariable("A_${CLUSTER^^}_B")]),
        ("{{ .${A.B} }}", [GoVariable("${A.B}")]),
        ("a{{ .X }}b{{ .Y }}", [GoText("a"), X, GoText("b"), GoVariable("Y")]),
        ("a {{- .X -}} b", [GoText("a"), X, GoText("b")]),
        ("a \n {{- .X }} b", [GoText("a"), X, GoText(" b")]),
        ("{{ .X -}}\n\n{{ .Y }}", [X, GoVariable("Y")]),
        ("a{{/* not here */}}b", [GoText("ab")]),
        ("a {{- /* not here */ -}} b", [GoText("ab")]),
        ('{{ "{{" }}x{{ `}}` }}', [GoText("{{x}}")]),
        (r'{{ "a\n\t\"\\\u00fc\x41" }}', [GoText('a\n\t"\\üA')]),
        ("{{ `a\\n` }}", [GoText("a\\n")]),
        ("{{ .X | b64enc }}", [GoCall("b64enc", (X,))]),
        ("{{ b64enc .X }}", [GoCall("b64enc", (X,))]),
        ('{{ .X | default "a" | upper }}', [GoCall("upper", (GoCall("default", (GoText("a"), X)),))]),
        ('{{ printf "%s" (lower .X) }}', [GoCall("printf", (GoText("%s"), GoCall("lower", (X,))))]),
        ("{{ indent 4 .X }}", [GoCall("indent", (GoNumber(4), X))]),
        ('{{ toJson (dict "a" true) }}', [GoCall("toJson", (GoCall("dict", (GoText("a"), GoCall("true", ()))),))]),
        ("{{ .X\n  | upper }}", [GoCall("upper", (X,))]),
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
    assert all(each != GoText("") for each in parts)
