"""The grammar of holes: what is read, what is refused, and on which line."""

import pytest

from keyturn.core.holes import MAX_FILTERS, Hole, parse_hole, parse_template
from keyturn.core.references import FieldReference, KeyReference
from keyturn.core.shape_errors import InvalidTemplate
from support.shapes import WEB, an_item, data_of, text

ALIASES = {"smtp", "ca"}


@pytest.mark.parametrize(
    ("written", "operand"),
    [
        ("password", FieldReference("password", "", None, "password")),
        ("  private key ", FieldReference("private key", "", None, "private key")),
        ("smtp/password", FieldReference("smtp/password", "smtp", None, "password")),
        ("Replica/password", FieldReference("Replica/password", "", "Replica", "password")),
        ("smtp/Replica/password", FieldReference("smtp/Replica/password", "smtp", "Replica", "password")),
        ("smtp", FieldReference("smtp", "", None, "smtp")),
        ("SMTP/password", FieldReference("SMTP/password", "", "SMTP", "password")),
        ("smtp / password", FieldReference("smtp / password", "smtp", None, "password")),
        ("Größe (cm", FieldReference("Größe (cm", "", None, "Größe (cm")),
        ('my "own" {key}', FieldReference('my "own" {key}', "", None, 'my "own" {key}')),
        ("a*b", FieldReference("a*b", "", None, "a*b")),
        ("@tunnel.json", KeyReference("@tunnel.json", "tunnel.json")),
        ('"text"', "text"),
        (r'"\"\\\n\t{{}}|,)"', '"\\\n\t{{}}|,)'),
        ('""', ""),
    ],
)
def test_an_operand_is_read(written, operand):
    """The first of several parts is an alias only if the spec declares it."""
    assert parse_hole(written, ALIASES) == Hole(1, operand, (), ())


@pytest.mark.parametrize("written", ["* | json", "smtp/* | dotenv", "Replica/* | properties", "smtp/Replica/*|json"])
def test_many_fields_stand_before_their_filters(written):
    """Of an item or a section, of the main item or a further one."""
    operand = parse_hole(written, ALIASES).operand

    assert isinstance(operand, FieldReference)
    assert operand.name == "*"


def test_filters_and_arguments_are_read():
    """White space, line breaks included, means nothing between tokens."""
    hole = parse_hole('a\n | default ( smtp/b , "x, |)" , @k )|indent(4)|  trim', ALIASES)

    assert hole.fallbacks == (FieldReference("smtp/b", "smtp", None, "b"), "x, |)", KeyReference("@k", "k"))
    assert [(call.filter.name, call.arguments) for call in hole.calls] == [("indent", (4,)), ("trim", ())]
    assert hole.line == 1


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "line 1: a reference or a string is missing"),
        ("|trim", "a reference or a string is missing"),
        ("a/", '"a/" has an empty part'),
        ("/a", '"/a" has an empty part'),
        ("smtp//a", '"smtp//a" has an empty part'),
        ("smtq/Replica/password", '"smtq/Replica/password": "smtq" is no alias; did you mean "smtp"?'),
        ("smtp/a/b/c", "has too many parts; name a label that contains '/' by its id"),
        ("a/b/c/d", "has too many parts"),
        ("op://Mail/SMTP/password", "give the item an alias in `items`, and write alias/field"),
        ("vaults/Mail/items/SMTP/password", "names a vault and an item"),
        ("'text'", "a text stands in double quotes; a label that begins with ' is named by its id"),
        ("a | default('x')", "a text stands in double quotes"),
        ("a | replace('-', '')", "a text stands in double quotes"),
        ("a | yaml", 'unknown filter "yaml"; known are b64decode, b64encode, basicauth'),
        ("a | PEM", 'unknown filter "PEM"; did you mean "pem"?'),
        ("*x", "name a label that begins with it by its id"),
        ("*/x", "name a label that begins with it by its id"),
        ("a,b", "',' is unexpected; a label that contains it is named by its id"),
        ("a (b)", "')' is unexpected"),
        ("a}}b", "'}}' is unexpected"),
        ("{{ a }}", "in `keys`, a hole has no braces"),
        ("a\nb", "line 2: the hole has a second line"),
        ('"a', "a string has no end"),
        (r'"\x"', r"a string has an unknown escape; known are \n, \t, \" and \\"),
        ("a |", "a filter is missing after '|'"),
        ("a | 3", "a filter is missing after '|'"),
        ('a | default("x"', "the arguments of default have no ')'"),
        ('a | default("x" "y")', "the arguments of default have no ')'"),
        ("a | default(,)", "a reference or a string is missing"),
        ("a" + "| trim" * (MAX_FILTERS + 1), "a hole takes at most 8 filters"),
    ],
)
def test_what_is_no_hole_is_refused(written, message):
    """Each message says what to write instead, if that can be known."""
    with pytest.raises(InvalidTemplate) as raised:
        parse_hole(written, ALIASES)

    assert message in str(raised.value)
    assert str(raised.value).startswith("line ")


def test_a_hole_takes_as_many_filters_as_are_allowed():
    """The limit itself is legal."""
    assert len(parse_hole("a" + "| trim" * MAX_FILTERS, ALIASES).calls) == MAX_FILTERS


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", b""),
        ("constant", b"constant"),
        ("{{ username }}", b"app"),
        ("{{username}}:{{ server }}", b"app:db.example"),
        ("a{{ username }}", b"aapp"),
        ("{{ username }}b\n", b"appb\n"),
        ("{{\n  username\n}}", b"app"),
        ('{{ "{{" }} {{ "}}" }} {{ "{%" }}', b"{{ }} {%"),
        ('{"a": {"b": {{ username | json }}}}', b'{"a": {"b": "app"}}'),
        ("{ } }} {# #} ${x} %{y}", b"{ } }} {# #} ${x} %{y}"),
        ('{{ port | default("5432") }}', b"5432"),
        ("ß\r\n{{ username }}", "ß\r\napp".encode()),
    ],
)
def test_a_template_is_text_with_holes(template, expected):
    """Outside of holes, nothing but `{%` has a meaning."""
    assert data_of({"templates": {"t": template}}) == {"t": expected}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n{{ b", "line 2: '{{' has no '}}'"),
        ("{{ a\nb }}", "line 2: '{{' has no '}}'"),
        ("a\n\n{% if x %}", "line 3: '{%' is no statement here"),
        ("{{ a }}{%", "line 1: '{%' is no statement here"),
        ("{{ a }}\n{{ b | c }}\n", 'line 2: unknown filter "c"'),
        ("\n{{ {{ a }} }}", "line 2: '{{' stands in a hole"),
        ("{{ }}", "line 1: a reference or a string is missing"),
        ("{{ a, b }}", "',' is unexpected"),
        ("{{ a }", "'{{' has no '}}'"),
        ("\n{{ a | default(\n\n3) }}", "line 4: default takes no number"),
    ],
)
def test_what_is_no_template_is_refused_with_its_line(template, message):
    """At 3 a.m. nobody counts characters."""
    with pytest.raises(InvalidTemplate) as raised:
        parse_template(template, ALIASES)

    assert message in str(raised.value)


def test_each_hole_knows_its_line():
    """Errors that only a vault's answer shows name it, too."""
    holes = [part for part in parse_template("{{ a }}\n{{ b }}{{ c }}\n\n{{ d }}", ()) if isinstance(part, Hole)]

    assert [hole.line for hole in holes] == [1, 2, 2, 4]


def test_a_label_with_odd_characters_is_named_by_its_id():
    """The vendor's rule for references, too."""
    item = an_item(
        text("a|b", "1", field_id="f1"), text("a/b", "2", field_id="f2"), text("@a, (b)", "3", field_id="f3")
    )

    assert data_of({"templates": {"t": "{{ f1 }}{{ f2 }}{{ F3 }}"}}, item) == {"t": b"123"}


def test_values_are_never_read_as_holes():
    """Nobody who may write an item can make a template do anything."""
    item = an_item(text("a", "{{ b }}"), text("b", "secret"))

    assert data_of({"templates": {"t": "{{ a }}"}, "keys": {"k": "a"}}, item) == {"t": b"{{ b }}", "k": b"{{ b }}"}
    assert data_of({"templates": {"t": "{{ username }}"}}, WEB) == {"t": b"app"}
