"""A spec read into a shape, checked without a vault, and made into the data of a Secret."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.content import DEFAULT_MAPPING, MAX_SECRET_BYTES, MappingOptions, Skipped
from keyturn.core.shape import Previous, Shape, plan_shape
from keyturn.core.shape_errors import (
    FieldNotFound,
    InvalidTemplate,
    KeyConflict,
    ShapeTooLarge,
    TemplateTooExpensive,
    ValueInvalid,
)
from keyturn.core.vault import Url
from support.shapes import WEB, a_file, an_item, data_of, rendered, text

FULL = {
    "itemPath": "vaults/a/items/b",
    "items": {"smtp": "vaults/a/items/c", "ca": "vaults/a/items/d"},
    "keys": {"B": "b", "A": "a"},
    "templates": {"T": "t", "LOG": "info"},
    "include": ["x", "*", "x"],
    "exclude": ["y*"],
    "previous": {"for": "1h30m", "keys": {"OLD": "A"}},
    "secret": {"type": "Opaque"},
}


def test_a_spec_is_read_into_a_shape():
    """Sorted, so that equal specs are equal shapes, whatever wrote them."""
    assert Shape.read(FULL) == Shape(
        items=(("ca", "vaults/a/items/d"), ("smtp", "vaults/a/items/c")),
        keys=(("A", "a"), ("B", "b")),
        templates=(("LOG", "info"), ("T", "t")),
        include=("*", "x"),
        exclude=("y*",),
        previous=Previous(5400.0, (("OLD", "A"),)),
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("24h", 86400), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("1m0.5s", 60.5), ("60000ms", 60)],
)
def test_a_duration_is_read(written, seconds):
    """As Kubernetes writes durations."""
    previous = Shape.read({"previous": {"for": written, "keys": {"a": "b"}}}).previous

    assert previous is not None
    assert previous.seconds == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "24", "1d", "h", "1h ", "-1h", "1h1", ".h"])
def test_what_is_no_duration_is_none(written):
    """The definition of the kind refuses it."""
    assert Shape.read({"previous": {"for": written, "keys": {"a": "b"}}}).previous is None


@pytest.mark.parametrize(
    "changed",
    [
        {"items": {}},
        {"keys": {"B": "b"}},
        {"templates": {"T": "u"}},
        {"include": []},
        {"exclude": []},
        {"previous": {}},
        {"previous": {"for": "2h", "keys": {"OLD": "A"}}},
        {"keys": FULL["templates"], "templates": FULL["keys"]},
    ],
)
def test_each_shaping_field_changes_the_digest(changed):
    """The digest on the Secret says whether it was made in this shape."""
    assert Shape.read(FULL | changed).digest() != Shape.read(FULL).digest()


def test_other_fields_do_not_change_the_digest():
    """Labels of the Secret are compared for themselves."""
    other = FULL | {"itemPath": "vaults/x/items/y", "secret": {}, "suspend": True, "autoRestart": False}

    assert Shape.read(other).digest() == Shape.read(FULL).digest()
    assert Shape.read(FULL).digest() == "f34267fe0c7f"


def test_no_patterns_are_not_the_same_as_none():
    """Without `include`, everything comes."""
    assert Shape.read({"include": []}).digest() != Shape.read({}).digest()
    assert Shape.read({}).is_plain
    assert not Shape.read({"include": []}).is_plain
    assert not Shape.read({"include": ["*"]}).is_plain


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        pytest.param({}, {"username", "password", "server"}, id="nothing: everything"),
        pytest.param({"include": ["username", "PASSWORD"]}, {"username", "password"}, id="include"),
        pytest.param({"include": ["id-username"]}, {"username"}, id="by id"),
        pytest.param({"include": ["nothing"]}, set(), id="a pattern may select nothing"),
        pytest.param({"include": []}, set(), id="no patterns"),
        pytest.param({"include": ["s*", "p*"]}, {"server", "password"}, id="prefixes"),
        pytest.param({"exclude": ["Server"]}, {"username", "password"}, id="exclude"),
        pytest.param({"exclude": ["s*"]}, {"username", "password"}, id="exclude a prefix"),
        pytest.param({"include": ["s*"], "exclude": ["*"]}, set(), id="exclude everything"),
        pytest.param({"keys": {"k": "password"}}, {"k"}, id="keys alone"),
        pytest.param({"templates": {"k": "x"}}, {"k"}, id="templates alone"),
        pytest.param({"keys": {"k": "password"}, "exclude": ["x"]}, {"k"}, id="exclude adds nothing"),
        pytest.param({"keys": {"k": "password"}, "include": ["*"]}, {"k", "username", "password", "server"}, id="both"),
        pytest.param({"keys": {}, "templates": {}}, {"username", "password", "server"}, id="empty maps are none"),
        pytest.param({"items": {"smtp": "p"}}, {"username", "password", "server"}, id="of the main item alone"),
    ],
)
def test_a_spec_selects_keys(spec, keys):
    """Each smaller form of the documentation, and the defaults."""
    assert data_of(spec, {"": WEB, "smtp": an_item(text("other", "x"))}).keys() == keys


SECTIONED = an_item(
    text("a", "1"), text("a", "2", section="S", section_id="s1"), text("b", "3", section="S", section_id="s1"),
    text("keyturn note", "n"), text("!", "x"), text("c", ""), a_file("f"), urls=[Url("u", "website"), Url("r", "keyturn url")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*"], [], {"a": b"2", "b": b"3", "website": b"u", "f": b"F"}),
        (["S/*"], [], {"a": b"2", "b": b"3"}),
        (["s1/B"], [], {"b": b"3"}),
        (["a"], [], {"a": b"2"}),
        (["*"], ["S/*"], {"a": b"1", "website": b"u", "f": b"F"}),
        (["*"], ["s/a", "f", "WEB*"], {"a": b"1", "b": b"3"}),
        (["keyturn note"], [], {"keyturn-note": b"n"}),
        (["keyturn*"], [], {}),
        (["f"], [], {"f": b"F"}),
    ],
)
def test_patterns_select_fields_urls_and_files(include, exclude, expected):
    """In one item, the official operator's rules hold; reserved labels come by their whole name only."""
    assert data_of({"include": include, "exclude": exclude}, SECTIONED, files={"f": b"F"}) == expected


def test_what_include_cannot_use_is_reported_as_ever():
    """Labels that are no keys, and keys that several fields become."""
    made = rendered({"include": ["*"], "exclude": ["f"]}, SECTIONED)

    assert made.skipped == (Skipped("!", "no character of it is legal in a key"),)
    assert made.shared == ("a",)
    assert rendered({"include": ["*"], "keys": {"a": "S/a"}, "exclude": ["f"]}, SECTIONED).shared == ()


def test_included_values_follow_the_options():
    """Explicit ones do not: there, `default("")` says it."""
    keep = MappingOptions(allow_empty_values=True)
    item = an_item(text("a", ""), a_file("f", size=None), a_file("g", size=0))

    assert data_of({}, item, files={"f": b""}) == {}
    assert data_of({}, item, files={"f": b"", "g": b""}, options=keep) == {"a": b"", "f": b"", "g": b""}
    assert data_of({"keys": {"k": 'a | default("")'}}, item) == {"k": b""}
    with pytest.raises(FieldNotFound):
        data_of({"keys": {"k": "a"}}, item, options=keep)


def test_an_explicit_key_comes_before_an_included_one():
    """Also before a file, which is then not fetched, and so does a key of previous bytes."""
    item = an_item(text("a", "1"), text("b", "2"), text("c", "3"), a_file("f"))
    spec = {
        "include": ["*"],
        "keys": {"a": "b"},
        "templates": {"f": "x"},
        "previous": {"for": "1h", "keys": {"c": "a"}},
    }

    assert data_of(spec, item, files={}) == {"a": b"2", "b": b"2", "f": b"x"}


def test_two_items_must_not_give_the_same_key():
    """Nothing says which one is meant, and the order of names must not decide."""
    items = {"": an_item(text("a b", "1")), "smtp": an_item(text("a-b", "1"), text("c", "2"))}
    spec = {"items": {"smtp": "p"}, "include": ["*", "smtp/*"]}

    with pytest.raises(KeyConflict, match='key "a-b" comes from both the main item and item "smtp"'):
        data_of(spec, items)

    assert data_of(spec | {"exclude": ["smtp/a-b"]}, items) == {"a-b": b"1", "c": b"2"}
    assert data_of(spec | {"keys": {"a-b": "smtp/c"}}, items) == {"a-b": b"2", "c": b"2"}


def test_files_pass_untouched_and_only_as_text_into_text():
    """Bytes are first-class: never replaced, never `b'...'`."""
    item = an_item(a_file("f"), text("t", "x"))
    raw = b"\xff\x00\r\n"

    assert data_of({"keys": {"k": "f"}}, item, files={"f": raw}) == {"k": raw}
    assert data_of({"templates": {"k": "{{ f | b64encode }}"}}, item, files={"f": raw}) == {"k": b"/wANCg=="}
    assert (
        data_of({"keys": {"k": "f"}, "templates": {"j": "{{ @k | hexencode }}"}}, item, files={"f": raw})["j"]
        == b"ff000d0a"
    )
    with pytest.raises(ValueInvalid, match='key "k", line 2: "f": the bytes are no UTF-8 text; move the key to `keys`'):
        data_of({"templates": {"k": "\n{{ f }}"}}, item, files={"f": raw})
    with pytest.raises(ValueInvalid, match="no UTF-8"):
        # Two halves of a letter are no text, even if they meet.
        data_of(
            {"templates": {"k": "{{ f }}{{ g }}"}},
            an_item(a_file("f"), a_file("g")),
            files={"f": b"\xc3", "g": b"\xa4"},
        )


def files_of(spec, *fields, options=DEFAULT_MAPPING):
    items = {"": an_item(*fields), "smtp": an_item(a_file("other", size=5))}
    return [f"{alias}/{file.label}" for alias, file in plan_shape(Shape.read(spec)).files(items, options)]


@pytest.mark.parametrize(
    ("spec", "fetched"),
    [
        ({"keys": {"k": "a"}}, []),
        ({"keys": {"k": "f", "j": "f | b64encode"}}, ["/f"]),
        ({"keys": {"k": "a | basicauth(f)"}}, ["/f"]),
        ({"keys": {"k": "a | default(f)"}}, []),
        ({"keys": {"k": "e | default(f, g)"}}, ["/f"]),
        ({"keys": {"k": "nothing | default(g, f)"}}, ["/g", "/f"]),
        ({"keys": {"k": "g | default(a, f)"}}, ["/g"]),
        ({"keys": {"k": 'g | default("x", f)'}}, ["/g"]),
        ({"keys": {"k": "* | json"}}, []),
        ({"templates": {"k": "{{ a }}"}, "include": ["f"]}, ["/f"]),
        ({"templates": {"k": "{{ @j }}"}, "keys": {"j": "f"}}, ["/f"]),
        ({"items": {"smtp": "p"}, "keys": {"k": "smtp/other"}}, ["smtp/other"]),
        ({"items": {"smtp": "p"}, "include": ["*", "smtp/*"]}, ["/f", "/g", "smtp/other"]),
        ({"include": ["a"]}, []),
        ({}, ["/f", "/g"]),
    ],
)
def test_only_files_that_may_be_needed_are_fetched(spec, fetched):
    """A file of which the size is unknown may be empty, so what takes its place is fetched, too."""
    assert files_of(spec, text("a", "1"), text("e", ""), a_file("f"), a_file("g", size=None)) == fetched


def test_a_file_that_turns_out_empty_has_no_value():
    """Its size was unknown before."""
    item = an_item(a_file("f", size=None), text("a", "1"))

    assert data_of({"keys": {"k": "f | default(a)"}}, item, files={"f": b""}) == {"k": b"1"}
    with pytest.raises(FieldNotFound, match='key "k", line 1: "f" has no value in the main item'):
        data_of({"keys": {"k": "f"}}, item, files={"f": b""})


def test_a_key_may_be_made_of_other_keys():
    """Whatever their order in the spec, and as finished bytes."""
    spec = {
        "keys": {"z": "username | upper"},
        "templates": {"a": "{{ @b | b64encode }}{{ server | default(@z) }}", "b": "<{{ @z }}>"},
    }

    assert data_of(spec) == {"z": b"APP", "b": b"<APP>", "a": b"PEFQUD4=db.example"}


def test_a_key_without_a_value_is_still_a_key():
    """Only fields can be missing."""
    assert data_of({"templates": {"a": "{{ @b }}{{ @b | default(server) }}", "b": ""}}) == {"a": b"", "b": b""}


def chain(numbers):
    """Keys of which each is made of the next."""
    made = {f"k{one:02}": f"{{{{ @k{other:02} }}}}" for one, other in pairwise(numbers)}
    return {"templates": made | {f"k{numbers[-1]:02}": "x"}}


def test_keys_are_made_of_keys_in_a_few_steps():
    """Eight are allowed; one more is not, from whichever end it is read."""
    assert data_of(chain(range(9)))["k00"] == b"x"
    assert data_of(chain(range(9)[::-1]))["k08"] == b"x"
    for numbers in (range(10), range(10)[::-1], range(60), range(60)[::-1]):
        spec = chain(numbers)
        with pytest.raises(InvalidTemplate, match="is made of keys in more than 8 steps"):
            plan_shape(Shape.read(spec))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"keys": {"k": "@k"}}, 'in a circle: "k" -> "k"'),
        (
            {"keys": {"a": "@b | trim", "b": "username | default(@c)"}, "templates": {"c": "{{ @b }}"}},
            '"b" -> "c" -> "b"',
        ),
        ({"templates": {"k": "\n{{ @username }}"}}, 'key "k", line 2: "@username" names no key of keys or templates'),
        (
            {"templates": {"k": "{{ @passwrod }}", "password": "x"}},
            'no key of keys or templates; did you mean "@password"?',
        ),
        ({"keys": {"k": "@ a", "a": "b"}}, '"@ a" names no key of keys or templates'),
        ({"keys": {"a": "b"}, "templates": {"a": "b"}}, 'key "a" stands in both keys and templates'),
        ({"keys": {"a/b": "b"}}, '"a/b" is no legal key'),
        ({"templates": {"..": "b"}}, '".." is no legal key'),
        ({"items": {"Smtp": "p"}}, 'items: "Smtp" is no alias'),
        ({"items": {"a" * 33: "p"}}, "is no alias"),
        ({"items": {f"a{number}": "p" for number in range(17)}}, "17 items; at most 16"),
        ({"keys": {f"a{number}": "b" for number in range(257)}}, "257 keys; at most 256"),
        ({"templates": {f"a{number}": "b" for number in range(65)}}, "65 templates; at most 64"),
        ({"keys": {"a": "b" * 1025}}, '1025 characters in key "a"; at most 1024'),
        ({"templates": {"a": "b" * 16385}}, '16385 characters in key "a"; at most 16384'),
        ({"templates": {f"a{number}": "{{ b }}" * 1001 for number in range(2)}}, "2002 holes; at most 2000"),
        ({"include": [f"a{number}" for number in range(257)]}, "257 patterns in include; at most 256"),
        ({"exclude": ["a" * 1025]}, "1025 characters in a pattern in exclude"),
        ({"include": ["a*b"]}, "include: \"a*b\": a pattern has one '*' at most, at its end"),
        ({"include": ["**"]}, "one '*' at most"),
        ({"include": ["a*/b"]}, "one '*' at most"),
        ({"exclude": ["a | trim"]}, 'exclude: "a | trim" is no pattern'),
        ({"include": ["@a"]}, "a pattern names fields, not keys"),
        ({"include": [""]}, "has an empty part"),
        ({"include": ["x/y/z"]}, '"x" is no alias'),
        ({"keys": {"a": "b"}, "previous": {"for": "30s", "keys": {"c": "a"}}}, "previous: a time is from 1m to 720h"),
        ({"keys": {"a": "b"}, "previous": {"for": "721h", "keys": {"c": "a"}}}, "previous: a time is from 1m to 720h"),
        (
            {"keys": {"a": "b"}, "previous": {"for": "1h", "keys": {"a": "a"}}},
            'previous: "a" stands in keys or templates, too',
        ),
        (
            {"keys": {"a": "b"}, "previous": {"for": "1h", "keys": {"c": "b"}}},
            'previous: "b" names no key of keys or templates',
        ),
        ({"keys": {"a": "b"}, "previous": {"for": "1h", "keys": {"/": "a"}}}, 'previous: "/" is no legal key'),
        ({"previous": {"for": "1h", "keys": {"c": "password"}}}, "names no key of keys or templates"),
    ],
)
def test_a_wrong_spec_is_found_without_a_vault(spec, message):
    """Grammar, limits and circles: whatever an item holds, this cannot be right."""
    with pytest.raises(InvalidTemplate) as raised:
        plan_shape(Shape.read(spec))

    assert message in str(raised.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"items": {f"a{number:031}": "p" for number in range(16)}},
        {"keys": {f"a{number}": "b" for number in range(256)}},
        {"templates": {f"a{number}": "b" for number in range(64)}},
        {"keys": {"a": "b" * 1024}, "templates": {"c": "d" * 16384}},
        {"templates": {"a": "{{ b }}" * 2000}},
        {"keys": {"a": "b"}, "previous": {"for": "1m", "keys": {"c": "a"}}},
        {"keys": {"a": "b"}, "previous": {"for": "720h", "keys": {"c": "a"}}},
    ],
)
def test_limits_themselves_are_allowed(spec):
    """As the definition of the kind has them."""
    plan_shape(Shape.read(spec))


def test_a_plan_names_where_each_key_comes_from():
    """`explain` and the status show it: names only, of explicit keys only, as they are written."""
    spec = {
        "items": {"smtp": "p"},
        "keys": {"k": 'smtp/b | default( a , a, "x") | replace(@t,  S / c )'},
        "templates": {"t": "{{ b }}{{ a }}{{ * | json }}", "c": "text"},
        "include": ["*"],
    }  # fmt: skip
    plan = plan_shape(Shape.read(spec))

    assert plan.origins == (("c", ()), ("k", ("@t", "S / c", "a", "smtp/b")), ("t", ("*", "a", "b")))
    assert not plan.uses_random


def test_a_key_that_is_made_of_a_random_one_is_random_too():
    """If the Secret is made again, both have other bytes, so that both count as changed."""
    keys = {"hash": "p | bcrypt", "line": "@hash | b64encode", "plain": "p"}
    plan = plan_shape(Shape.read({"keys": keys, "templates": {"file": "x {{ @line }}"}}))

    assert plan.random_keys == {"hash", "line", "file"}
    assert plan.uses_random


def test_a_secret_has_a_size():
    """What does not fit is known before it is fetched, if files say their size."""
    half, most = MAX_SECRET_BYTES // 2, MAX_SECRET_BYTES
    with pytest.raises(ShapeTooLarge):
        files_of({}, a_file("f", size=half), a_file("g", size=half + 1))
    with pytest.raises(ShapeTooLarge):
        files_of({"keys": {"a": "f", "b": "f", "c": "f"}}, a_file("f", size=half))
    with pytest.raises(ShapeTooLarge):
        files_of({"keys": {"a": "f | sha256"}}, a_file("f", size=most + 1))
    assert files_of({"keys": {"a": "f", "b": "f | sha256"}}, a_file("f", size=most)) == ["/f"]
    assert files_of({"keys": {"a": "f", "b": "f"}}, a_file("f", size=half)) == ["/f"]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="included"),
        pytest.param({"keys": {"k": "f", "j": "g"}}, id="keys"),
        pytest.param({"templates": {"t": "{{ f }}{{ f }}{{ f }}"}}, id="one text"),
        pytest.param({"keys": {"k": "f"}, "templates": {"t": "{{ @k }}", "u": "{{ @t }}"}}, id="keys of keys"),
        pytest.param({"keys": {"k": 'f | replace("x", "xxx")'}}, id="filter"),
        pytest.param({"keys": {"k": "long"}}, id="a value that is too long"),
        pytest.param({"keys": {"k": "long | sha256"}}, id="a value that is too long for a filter"),
    ],
)
def test_nothing_larger_than_a_secret_is_made(spec):
    """Files may lie about their size, or not know it."""
    item = an_item(a_file("f", size=None), a_file("g", size=1), text("long", "x" * (MAX_SECRET_BYTES + 1)))
    half = b"x" * (MAX_SECRET_BYTES // 2)

    with pytest.raises(ShapeTooLarge) as raised:
        data_of(spec, item, files={"f": half, "g": half + b"x"})

    assert "1048576" in str(raised.value)


def test_a_key_of_previous_bytes_counts_as_any_other():
    """At most times it holds the current bytes once more."""
    spec = {"keys": {"k": "f"}, "previous": {"for": "1h", "keys": {"old": "k"}}}
    item, half = an_item(a_file("f", size=None)), b"x" * (MAX_SECRET_BYTES // 2)

    assert data_of(spec, item, files={"f": half}) == {"k": half}
    with pytest.raises(ShapeTooLarge):
        data_of(spec, item, files={"f": half + b"x"})


def test_a_secret_may_be_as_large_as_the_api_server_accepts():
    """The limit itself is legal."""
    item = an_item(a_file("f", size=None))

    assert len(data_of({"keys": {"k": "f"}}, item, files={"f": b"x" * MAX_SECRET_BYTES})["k"]) == MAX_SECRET_BYTES


def test_filters_process_only_so_many_bytes_for_one_object():
    """Each hole ends within its limit; only all of them together are too much."""
    item = an_item(a_file("f"))
    mebibyte = {"f": b"x" * MAX_SECRET_BYTES}
    digests = {"templates": {"t": "{{ f | sha256 }}" * 15}}

    assert len(data_of(digests, item, files=mebibyte)["t"]) == 15 * 64
    for holes in (
        "{{ f | sha256 }}" * 16,
        '{{ f | default("") | trim | trim | trim | trim | trim | trim | sha256 }}' * 2,
    ):
        with pytest.raises(TemplateTooExpensive, match='key "t", line 1: '):
            data_of({"templates": {"t": holes}}, item, files=mebibyte)
    with pytest.raises(TemplateTooExpensive):
        data_of({"templates": {"t": '{{ "x" | replace(f, "y") }}' * 17}}, item, files=mebibyte)
    with pytest.raises(TemplateTooExpensive):
        data_of({"templates": {"t": "{{ * | json | sha256 }}" * 10}}, an_item(text("a", "x" * 600_000)))


def test_work_that_does_not_grow_with_bytes_alone_counts_more():
    """Long texts to find, short lines, and many small fields cost more than their bytes."""
    item = an_item(a_file("f"), text("long", "x" * 800))
    spec = {"keys": {"k": 'f | replace(long, "") | sha256'}}
    many = an_item(*(text(f"f{number}", "x") for number in range(300)))

    assert data_of(spec, item, files={"f": b"x" * 1000})
    for content, hole in (
        (b"x" * MAX_SECRET_BYTES, 'f | replace(long, "")'),
        (b"\n" * MAX_SECRET_BYTES, "f | indent(0)"),
    ):
        with pytest.raises(TemplateTooExpensive):
            data_of({"keys": {"k": hole}}, item, files={"f": content})
    with pytest.raises(TemplateTooExpensive):
        data_of({"templates": {"t": "{{ * | json | sha256 }}" * 230}}, many)


@given(st.permutations(list(WEB.fields)))
def test_the_order_of_fields_moves_no_byte(fields):
    """Connect answers in any order."""
    spec = {"templates": {"t": "{{ * | json }}{{ * | dotenv }}{{ username }}"}, "keys": {"k": "PASSWORD"}}

    assert data_of(spec, an_item(*fields)) == data_of(spec, WEB)


def test_nothing_shows_a_value():
    """Neither what is made nor what makes it."""
    spec = {"include": ["*"], "templates": {"t": "{{ password }}"}}
    plan = plan_shape(Shape.read(spec))

    assert "p@ss" not in f"{plan!r} {rendered(spec)!r} {Shape.read(spec)!r}"
