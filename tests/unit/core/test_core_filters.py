"""What each filter makes of a value, and what it refuses."""

import base64
import hashlib
import json
import shlex
import string
import tomllib
import urllib.parse
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import text_filters
from keyturn.core.content import MAX_SECRET_BYTES
from keyturn.core.filters import _ROWS, FILTERS, Filter
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.shape_errors import InvalidTemplate, ShapeTooLarge, ValueInvalid
from support.shapes import a_file, an_item, data_of, text


def made_by(filters, value, *others):
    """What a hole with these filters makes of bytes, with further values under the labels `a` and `b`."""
    beside = [text(label, other) for label, other in zip("ab", others, strict=False)]
    item = an_item(a_file("value", size=None), *beside)
    return data_of({"keys": {"k": f"value | {filters}"}}, item, files={"value": value})["k"]


@pytest.mark.parametrize(
    ("filters", "value", "expected"),
    [
        ('default("x")', b"v", b"v"),
        ('default("x")', b"", b"x"),
        ('default("")', b"", b""),
        ('default(a, "x")', b"", b"x"),
        ("trim", b" \n v w\t", b"v w"),
        ("upper", "straße".encode(), b"STRASSE"),
        ("lower", "ÄB".encode(), "äb".encode()),
        ('replace("a", "bb")', b"banana", b"bbbnbbnbb"),
        (r'replace("\n", "\\n")', b"a\nb", rb"a\nb"),
        ('replace("ä", "")', "bäb".encode(), b"bb"),
        ("indent(2)", b"a\nb\n\nc\r\n\r\nd\n", b"a\n  b\n\n  c\r\n\r\n  d\n"),
        ("indent(0)", b"a\nb", b"a\nb"),
        ("indent(64)", b"a\nb", b"a\n" + b" " * 64 + b"b"),
        ("json", 'a"\\\n\tß😀'.encode(), '"a\\"\\\\\\n\\tß😀"'.encode()),
        ("json", b"\x00\b\f\x7f", rb'"\u0000\u0008\u000c\u007f"'),
        ("json", b"$x ${y} %{z} %", rb'"$x \u0024{y} \u0025{z} %"'),
        ("urlencode", "a b/ß~-_.%".encode(), b"a%20b%2F%C3%9F~-_.%25"),
        ("urlencode", b"\xff", b"%FF"),
        ("shell", b"it's $x", b"'it'\"'\"'s $x'"),
        ("shell", b"plain", b"plain"),
        ('default("") | shell', b"", b"''"),
        ("b64encode", b"\xfb\xff", b"+/8="),
        ('b64encode("url")', b"\xfb\xff", b"-_8="),
        ("b64decode", b"+/8=", b"\xfb\xff"),
        ("b64decode", b"+/\r\n 8\t=\n", b"\xfb\xff"),
        ('b64decode("url")', b"-_8", b"\xfb\xff"),
        ('b64decode("url")', b"-_8=", b"\xfb\xff"),
        ("hexencode", b"\x00\xff", b"00ff"),
        ('basicauth("p:w")', b"user", b"dXNlcjpwOnc="),
        ("sha256", b"v", hashlib.sha256(b"v").hexdigest().encode()),
        ("trim | upper | b64encode", b" v ", b"Vg=="),
    ],
)
def test_a_filter_makes_of_a_value(filters, value, expected):
    """Each filter of the documentation, at its edges."""
    assert made_by(filters, value) == expected


@pytest.mark.parametrize(
    ("filters", "value", "message"),
    [
        ("trim", b"\xff", '"value" | trim: the bytes are no UTF-8 text; use b64encode'),
        ("json", b"\xc3", "no UTF-8"),
        ("shell", b"a\0b", "NUL byte"),
        ('replace("", "x")', b"v", "the text to replace is empty"),
        ("b64decode", b"+/8", "the value is no base64 "),
        ("b64decode", b"-_8=", 'for base64url: b64decode("url")'),
        ("b64decode", b"YQ==YQ==", "no base64"),
        ("b64decode", b"=", "no base64"),
        ("b64decode", b"\xff", "no base64"),
        ('b64decode("url")', b"+/8=", "no base64url"),
        ('b64decode("url")', b"a", "no base64url"),
        ('b64decode("url")', b"YQ=", "no base64url"),
        ('basicauth("p")', b"us:er", "has a colon"),
    ],
)
def test_a_filter_refuses_a_value(filters, value, message):
    """Nothing is silenced, and the message names key, line, reference and filter."""
    with pytest.raises(ValueInvalid) as raised:
        made_by(filters, value)

    assert message in str(raised.value)
    assert str(raised.value).startswith('key "k", line 1: "value" | ')
    assert raised.value.__context__ is None


def test_an_argument_may_be_a_reference():
    """Most often the password beside a user name."""
    assert made_by("basicauth(a)", b"user", "pass") == base64.b64encode(b"user:pass")
    assert made_by("replace(a, b)", b"x y", " ", "-") == b"x-y"


def test_an_argument_of_a_text_filter_is_text():
    """Bytes that are no text would end in a text."""
    item = an_item(text("v", "x"), a_file("f"))

    with pytest.raises(ValueInvalid, match="no UTF-8"):
        data_of({"keys": {"k": 'v | replace("x", f)'}}, item, files={"f": b"\xff"})


@pytest.mark.parametrize(
    ("hole", "message"),
    [
        ("v | trim(1)", "trim takes 0 arguments"),
        ("v | default", "default takes 1 to 8 arguments, in parentheses"),
        ("v | default(a, a, a, a, a, a, a, a, a)", "default takes 1 to 8 arguments"),
        ('v | replace("a")', "replace takes 2 arguments"),
        ("v | default(5432)", "default takes no number; write it in quotes"),
        ("v | indent(65)", "a number from 0 to 64"),
        ("v | indent(a)", "a number from 0 to 64"),
        ("v | indent(99999999999)", "a number from 0 to 64"),
        ('v | b64decode("hex")', 'the argument of b64decode is "url"'),
        ("v | b64decode(url)", 'the argument of b64decode is "url"'),
        ("v | b64decode(1)", 'the argument of b64decode is "url"'),
        ("v | trim | default(a)", "default is always the first filter"),
        ("v | dotenv", "dotenv stands directly after '*'"),
        ("* | json | dotenv", "dotenv stands directly after '*'"),
        ("v | trim | json | properties", "properties stands directly after"),
        ("* | trim", "after '*' stands one of dotenv, json, properties"),
        ("*", "after '*' stands one of"),
        ('* | default("x") | json', "after '*' stands one of"),
        ("v | basicauth(*)", '"*" is no argument'),
        ("v | upcase", 'unknown filter "upcase"'),
        ("v | b64encod", 'unknown filter "b64encod"; did you mean "b64encode"?'),
    ],
)
def test_a_misused_filter_is_found_without_a_vault(hole, message):
    """The spec alone shows it, so it is refused before anything is fetched."""
    with pytest.raises(InvalidTemplate) as raised:
        data_of({"keys": {"k": hole}})

    assert message in str(raised.value)
    assert str(raised.value).startswith('key "k", line 1: ')


SORTED = an_item(text("b", "2"), text("A", 'x"\\$`\ny'), text("empty", ""), a_file("f"), text("keyturn note", "n"))


@pytest.mark.parametrize(
    ("hole", "expected"),
    [
        ("* | json", b'{"A": "x\\"\\\\$`\\ny", "b": "2"}'),
        ("* | dotenv", b'A="x\\"\\\\\\$\\`\\ny"\nb="2"\n'),
        ("* | properties", b'A=x"\\\\$`\\ny\nb=2\n'),
        ("* | json | b64encode", base64.b64encode(b'{"A": "x\\"\\\\$`\\ny", "b": "2"}')),
    ],
)
def test_many_fields_become_one_text(hole, expected):
    """Sorted, so that the order of an answer moves no byte; without empty values, files and reserved labels."""
    reversed_item = an_item(*reversed(SORTED.fields))

    assert data_of({"keys": {"k": hole}}, SORTED) == {"k": expected}
    assert data_of({"keys": {"k": hole}}, reversed_item) == {"k": expected}


def test_dotenv_refuses_names_that_are_no_variables():
    """A file that no shell can read is worse than none."""
    with pytest.raises(ValueInvalid, match=r'key "k", line 1: "\*" \| dotenv: "API-key" is no name of a variable'):
        data_of({"keys": {"k": "* | dotenv"}}, an_item(text("API key", "v")))


def _of_java(written: str) -> str:
    """Reads a value of Java properties as `java.util.Properties` does."""
    found, rest = bytearray(), iter(written.lstrip(" \t\f"))
    for char in rest:
        if char != "\\":
            found += char.encode("utf-16-be")
        elif (escape := next(rest)) == "u":
            found += int("".join(next(rest) for _ in range(4)), 16).to_bytes(2, "big")
        else:
            found += {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(escape, escape).encode("utf-16-be")
    return found.decode("utf-16-be")


def _of_dotenv(written: str) -> str:
    found, rest = "", iter(written.removeprefix('"').removesuffix('"'))
    for char in rest:
        escape = next(rest) if char == "\\" else ""
        found += char if char != "\\" else {"n": "\n"}.get(escape, escape)
    return found


WILD = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"\\$%{}`'\n\r\t\b\f\0 #:=é€😀"), max_size=40
)


@given(WILD)
def test_what_a_filter_writes_is_read_back(value):
    """Whatever a password holds, the reader of the text gets that password."""
    raw = value.encode()
    quoted = text_filters.json_string(raw)

    assert json.loads(quoted) == value
    assert yaml.safe_load(b"key: %b" % quoted) == {"key": value}
    assert tomllib.loads((b"key = %b" % quoted).decode()) == {"key": value}
    assert b"${" not in quoted
    assert b"%{" not in quoted
    assert urllib.parse.unquote_to_bytes(text_filters.urlencode(raw)) == raw
    assert _of_java(text_filters.properties({"k": raw}).decode("latin-1")[2:-1]) == value
    assert _of_dotenv(text_filters.dotenv({"k": raw}).decode()[2:-1]) == value
    if "\0" not in value:
        assert shlex.split(text_filters.shell_word(raw).decode()) == [value]


@given(st.binary(max_size=60))
def test_bytes_are_encoded_as_the_standard_library_does(value):
    """Any bytes, not only text."""
    assert text_filters.urlencode(value).decode() == urllib.parse.quote_from_bytes(value, safe="")
    assert text_filters.b64decode(text_filters.b64encode(value)) == value
    assert text_filters.b64decode(text_filters.b64encode(value, "url").rstrip(b"="), "url") == value
    assert bytes.fromhex(text_filters.hexencode(value).decode()) == value


@given(WILD)
def test_a_long_text_is_changed_as_a_short_one(value):
    """Long texts are processed in slices, which must not show."""
    long = value + "a" * 64 * 1024 + value

    assert text_filters.upper(long.encode()).decode() == long.upper()
    assert json.loads(text_filters.json_string(long.encode())) == long


_MEBIBYTE = b"x" * MAX_SECRET_BYTES

LARGE: list[tuple[str, Callable[[], bytes]]] = [
    ("replace", lambda: text_filters.replace_text(_MEBIBYTE, b"x", _MEBIBYTE)),
    ("indent", lambda: text_filters.indent(b"\nx" * 100_000, 64)),
    ("json", lambda: text_filters.json_string(b"\0" * (MAX_SECRET_BYTES // 4))),
    ("json of openings", lambda: text_filters.json_string(b"${" * (MAX_SECRET_BYTES // 4))),
    ("json object", lambda: text_filters.json_object({"a": _MEBIBYTE[:-9], "b": b"x"})),
    ("urlencode", lambda: text_filters.urlencode(b"/" * (MAX_SECRET_BYTES // 2))),
    ("shell", lambda: text_filters.shell_word(b"'" * (MAX_SECRET_BYTES // 4))),
    ("b64encode", lambda: text_filters.b64encode(_MEBIBYTE)),
    ("hexencode", lambda: text_filters.hexencode(_MEBIBYTE)),
    ("basicauth", lambda: text_filters.basicauth(_MEBIBYTE, b"")),
    ("upper", lambda: text_filters.upper(("ŉ" * (MAX_SECRET_BYTES // 2)).encode())),
    ("dotenv", lambda: text_filters.dotenv({"a": b'"' * (MAX_SECRET_BYTES // 2 + 1)})),
    ("properties", lambda: text_filters.properties({"a": "é".encode() * (MAX_SECRET_BYTES // 4)})),
]


@pytest.mark.parametrize(("make"), [make for _, make in LARGE], ids=[name for name, _ in LARGE])
def test_no_filter_makes_more_than_a_secret_holds(make):
    """Four filters in a row would otherwise make a gigabyte of a kilobyte."""
    with pytest.raises(ShapeTooLarge):
        make()


def test_all_letters_and_digits_are_unreserved():
    """The standard library agrees, so this guards the table alone."""
    assert text_filters.urlencode((string.ascii_letters + string.digits).encode()).isalnum()


def test_every_filter_has_its_own_name():
    """The table is looked up by it, and of two rows with one name only the last would be found."""
    assert len(FILTERS) == len(_ROWS)


@pytest.mark.parametrize("name", ["openssh", "pkcs12", "truststore", "bcrypt", "htpasswd"])
def test_a_random_filter_makes_the_whole_value_of_a_key(name):
    """Only then can the old bytes be checked, and kept if they are still right."""
    written = f"a | {name}" + {"pkcs12": '(b, "c")', "truststore": '("c")', "htpasswd": '("c")'}.get(name, "")

    assert plan_shape(Shape.read({"keys": {"k": written}})).uses_random
    assert plan_shape(Shape.read({"templates": {"k": f"{{{{ {written} }}}}"}})).uses_random
    with pytest.raises(InvalidTemplate, match=f'key "k", line 1: {name} is always the last filter'):
        plan_shape(Shape.read({"keys": {"k": f"{written} | b64encode"}}))
    with pytest.raises(InvalidTemplate, match=f'key "k", line 2: {name} stands in a hole that is the whole value'):
        plan_shape(Shape.read({"templates": {"k": f"\n{{{{ {written} }}}}"}}))


def test_a_random_filter_keeps_old_bytes_that_hold():
    """A new hash of the same password would restart every workload at each look."""
    spec = {"keys": {"k": "password | bcrypt"}, "templates": {"t": "user:{{ @k }}"}}
    first = data_of(spec)

    assert data_of(spec, old=first) == first
    assert data_of(spec, old=first | {"k": b"x"})["k"] != first["k"]
    changed = an_item(text("password", "another"))
    assert data_of(spec, changed, old=first)["k"] != first["k"]
    assert data_of({"keys": {"k": "password | sha256"}}, old={"k": b"x"})["k"] != b"x"


def test_an_object_has_only_a_few_hashes():
    """Each takes 60 ms on purpose."""
    plan_shape(Shape.read({"keys": {f"k{number}": "a | bcrypt" for number in range(16)}}))
    with pytest.raises(InvalidTemplate, match="17 password hashes; at most 16 are allowed"):
        plan_shape(Shape.read({"keys": {f"k{number}": 'a | htpasswd("u")' for number in range(17)}}))


def test_a_kind_of_blocks_is_a_string():
    """So that a mistake is found without a vault."""
    with pytest.raises(InvalidTemplate, match=r'the argument of pem is "CERTIFICATE" or "PRIVATE KEY" or "KEY"'):
        plan_shape(Shape.read({"keys": {"k": "a | pem(CERTIFICATE)"}}))
    with pytest.raises(ValueInvalid, match=r'key "k", line 1: "password" \| pem: the value has no PEM block'):
        data_of({"keys": {"k": 'password | pem("CERTIFICATE")'}})


def test_what_a_filter_makes_is_bounded_whatever_it_is(monkeypatch):
    """Also if the next filter would make it small again."""
    monkeypatch.setitem(FILTERS, "trim", Filter("trim", lambda value: value * (MAX_SECRET_BYTES + 1)))

    with pytest.raises(ShapeTooLarge, match="what trim makes is larger"):
        data_of({"keys": {"k": '"x" | trim | sha256'}})


def test_a_foreign_error_of_a_filter_is_one_of_the_language(monkeypatch):
    """A library may quote the value in its error, and one value must not end the operator."""

    def broken(value):
        raise LookupError(value)

    monkeypatch.setitem(FILTERS, "trim", Filter("trim", broken))

    with pytest.raises(ValueInvalid) as raised:
        data_of({"keys": {"k": "password | trim"}})

    assert str(raised.value) == 'key "k", line 1: "password" | trim: the value cannot be processed (LookupError)'
    assert raised.value.__context__ is None


def test_properties_are_escaped_for_java():
    """Java skips white space after the equals sign, and has no escape for a backspace."""
    assert text_filters.properties({"k": ' \b"é😀'.encode()}) == rb"k=\ \u0008" + b'"' + rb"\u00e9\ud83d\ude00" + b"\n"
