"""Templates, as `op inject` has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.client.failures import Misuse
from keyturn.client.template import read_template, read_value

VARIABLES = {"ENV": "prod", "HOST": "db.example.com", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("no reference", []),
        ("password: {{ op://prod/db/password }}", ["op://prod/db/password"]),
        ("{{op://prod/my item/the field}}", ["op://prod/my item/the field"]),
        ("{{ op://v/i/one-time password?attribute=otp }}", ["op://v/i/one-time password?attribute=otp"]),
        ("password: op://prod/db/password\n", ["op://prod/db/password"]),
        ('"op://prod/db/tls.crt",', ["op://prod/db/tls.crt"]),
        ("postgres://app:op://prod/db/password@host/db", ["op://prod/db/password"]),
        (
            "op://v/i/code?attribute=otp&connection=team-a/work&x=1",
            ["op://v/i/code?attribute=otp&connection=team-a/work"],
        ),
        ("a=op://v/i/f&b=op://v/i/g", ["op://v/i/f", "op://v/i/g"]),
        ("{{ op://$ENV/db/password }}", ["op://prod/db/password"]),
        ("{{ op://${ENV}/db/password }}", ["op://prod/db/password"]),
        ("op://${STAGE:-dev}/db/password", ["op://dev/db/password"]),
        ("op://$env/db/f", ["op://prod/db/f"]),
        # Not a reference of ours.
        ("shop://v/i/f +op://v/i/f -op://v/i/f .op://v/i/f \\op://v/i/f", []),
        ("{{ name }} and {{ .Values.x }}", []),
        ("op:// is how references begin", []),
        ('{{ "{{ op://prod/db/password }}" }}', []),
        ("OP://v/i/f", ["OP://v/i/f"]),
    ],
)
def test_references_are_found(text, references):
    """In braces, or bare as far as the characters go that `op` allows there."""
    assert list(read_template(text, VARIABLES, where="t").references) == references


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("host: $HOST:${PORT:-5432}/${ HOST }", "host: db.example.com:5432/db.example.com"),
        ("$EMPTY|", "|"),
        # nginx has variables of its own.
        ("proxy_pass $upstream; ${other}; $1; $$", "proxy_pass $upstream; ${other}; $1; $$"),
        ('{{ "{{ a \\"b\\" }}" }}', '{{ a "b" }}'),
        ("p={{ op://v/i/f }}.", "p=VALUE $HOST {{ op://x/y/z }}."),
        ("", ""),
    ],
)
def test_templates_are_filled(text, filled):
    """What a value holds is never looked at: it is neither a variable nor a reference."""
    template = read_template(text, VARIABLES, where="t")

    assert template.fill({"op://v/i/f": b"VALUE $HOST {{ op://x/y/z }}"}).decode() == filled


@given(
    before=st.binary(max_size=20).map(lambda data: data.replace(b"$", b"").replace(b"{", b"").replace(b"o", b"")),
    value=st.binary(max_size=20),
)
def test_bytes_stay_as_they_are(before, value):
    """A template may be in another encoding, and a file any bytes."""
    text = before.decode("utf-8", "surrogateescape")
    template = read_template(text + " {{ op://v/i/f }}", {}, where="t")

    assert template.fill({"op://v/i/f": value}) == before + b" " + value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\nb {{ op://v/i }}", "config.yaml, line 2: "),
        ("op://v/i/s/f/g", "too many parts"),
        ("{{ op://$STAGE/i/f }}", "STAGE"),
        ("op://${STAGE}/i/f", "STAGE"),
    ],
)
def test_a_reference_that_is_none_is_named_with_its_line(text, why):
    """Nothing is asked, and nothing is written."""
    with pytest.raises(Misuse) as refused:
        read_template(text, VARIABLES, where="config.yaml")

    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("op://v/my item/f", ["op://v/my item/f"]),
        ("op://v/i/a,b", ["op://v/i/a,b"]),
        ("postgres://app:{{ op://v/i/f }}@host", ["op://v/i/f"]),
        ("$HOME is kept", []),
        ("plain", []),
    ],
)
def test_the_value_of_a_variable_is_a_reference_or_a_template(text, references):
    """A value that begins as a reference is one to its end, with spaces and all."""
    template = read_value(text, where="X")

    assert list(template.references) == references
    if not references:
        assert template.fill({}).decode() == text
