"""What holds of every shape and every item: the same as two other interpreters, no foreign error, no value in a message."""

import jinja2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from keyturn.core.content import MAX_SECRET_BYTES, MappingOptions, plan_content
from keyturn.core.references import is_reserved_label
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.shape_errors import FieldNotFound, ShapeError
from keyturn.core.vault import Field, FieldKind, Item, ItemRef, Url
from support.naive_shape import NaiveError, naive_data
from support.shapes import an_item, data_of, text

LABELS = [
    "password",
    "Password",
    "user name",
    "url",
    "port",
    "odd|label",
    "a/b",
    "*x",
    "keyturn a",
    "@k",
    "",
    "tls.crt",
]
SECTIONS = [None, None, "Replica", "replica", "smtp", "Größe"]
VALUES = st.sampled_from(["", "a", "pa ss\n\nword", "äÖ", " x ", "bb"])


def field_of(number):
    return st.builds(
        Field,
        id=st.sampled_from([f"field{number}", "password", "odd"]),
        label=st.sampled_from(LABELS),
        value=st.none() | VALUES,
        section=st.sampled_from(SECTIONS),
        section_id=st.sampled_from(["sec1", "sec2"]),
    )


def file_of(number):
    return st.builds(
        Field,
        id=st.just(f"file{number}"),
        label=st.sampled_from(LABELS),
        kind=st.just(FieldKind.FILE),
        section=st.sampled_from(SECTIONS),
        size=st.sampled_from([None, 0, 3]),
    )


URLS = st.builds(
    Url, href=st.just("https://a") | st.just("https://b"), label=st.sampled_from(LABELS), primary=st.booleans()
)


@st.composite
def any_item(draw):
    fields = [draw(field_of(number)) for number in range(draw(st.integers(0, 3)))]
    fields += [draw(file_of(number)) for number in range(draw(st.integers(0, 1)))]
    urls = tuple(draw(st.lists(URLS, max_size=2)))
    return Item(ItemRef(id="i" * 26, scope="v" * 26, title="db", revision="1", urls=urls), tuple(fields))


def contents_of(item, draw):
    return {each.id: draw(st.sampled_from([b"abc", b"\xff\x00\n", b"x y"])) for each in item.fields if each.size != 0}


@given(any_item(), st.booleans())
def test_a_plain_shape_is_what_the_item_alone_gives(item, allow_empty):
    """Moving from a OnePasswordItem to a KeyturnSecret must move no byte."""
    options = MappingOptions(allow_empty_values=allow_empty)
    open_fields = tuple(each for each in item.fields if not is_reserved_label(each.label))
    item = Item(
        ItemRef("i", "v", "t", "1", urls=tuple(u for u in item.ref.urls if not is_reserved_label(u.label))), open_fields
    )
    expected = plan_content(item, options)
    shape = Shape.read({"itemPath": "vaults/a/items/b"})
    plan = plan_shape(shape)

    files = plan.files({"": item}, options)
    made = plan.render({"": item}, {(alias, file.id): b"bytes" for alias, file in files}, options, {})

    assert shape.is_plain
    assert {file.id for _, file in files} == {file.id for file in expected.files.values()}
    assert made.data == {**expected.data, **dict.fromkeys(expected.files, b"bytes")}
    assert (made.skipped, made.shared) == (expected.skipped, expected.shared)


NAMES = st.sampled_from(["password", "Password", "user name", "port", "url", "field1", "tls.crt", "nothing"])
REFERENCES = st.builds(
    "".join, st.tuples(st.sampled_from(["", "", "smtp/", "Replica/", "smtp/Replica/", "sec1/"]), NAMES)
)
STRINGS = st.sampled_from(['""', '"a"', '"{{"', '"}}"', r'"\"\n\\"', '"ß, |)"', '" "'])
FILTERS = st.one_of(
    st.sampled_from(["trim", "upper", "lower", "urlencode", "b64encode", "hexencode", "indent(3)", "indent( 0 )"]),
    st.builds("replace({}, {})".format, REFERENCES | STRINGS, REFERENCES | STRINGS),
)
DEFAULTS = st.builds(lambda each: f"default({', '.join(each)})", st.lists(REFERENCES | STRINGS, min_size=1, max_size=3))


@st.composite
def any_hole(draw, operands):
    filters = draw(st.lists(DEFAULTS, max_size=1)) + draw(st.lists(FILTERS, max_size=2))
    space = draw(st.sampled_from(["", " "]))
    return f"{space}|{space}".join([space + draw(operands) + space, *filters])


@st.composite
def any_spec(draw):
    keys = {f"k{number}": draw(any_hole(REFERENCES | STRINGS)) for number in range(draw(st.integers(0, 2)))}
    earlier = st.sampled_from([f"@{key}" for key in keys] or ['""'])
    plain = st.sampled_from(["x", "}}", "a: ", "\n", "{ "])
    templates = {}
    for number in range(draw(st.integers(0, 2))):
        holes = any_hole(REFERENCES | STRINGS | earlier).map("{{{{ {} }}}}".format)
        templates[f"t{number}"] = "".join(draw(st.lists(plain | holes, max_size=4)))
    return {"itemPath": "p", "items": {"smtp": "q"}, "keys": keys, "templates": templates}


@given(st.data())
def test_the_language_means_what_a_naive_reading_says(data):
    """The interpreter that we ship is fast and has limits; the other one is only right."""
    spec, main, other = data.draw(any_spec()), data.draw(any_item()), data.draw(any_item())
    assume(spec["keys"] or spec["templates"])
    items = {"": main, "smtp": other}
    files = {
        (alias, each): content
        for alias, item in items.items()
        for each, content in contents_of(item, data.draw).items()
    }
    expected, fault = None, None
    try:
        expected = naive_data(spec, items, files)
    except NaiveError as error:
        fault = str(error)

    if fault is None:
        assert made_of(spec, items, files) == expected
    else:
        # With two faults, either may be found first.
        with pytest.raises(ShapeError):
            made_of(spec, items, files)


def made_of(spec, items, files):
    plan = plan_shape(Shape.read(spec))
    needed = {(alias, file.id): files[alias, file.id] for alias, file in plan.files(items, MappingOptions())}
    return dict(plan.render(items, needed, MappingOptions(), {}).data)


SAFE_TEXT = st.text(st.characters(codec="ascii", exclude_characters="{\r\x0b\x0c\x1c\x1d\x1e"), max_size=12)
SAFE_VALUES = st.text(st.sampled_from("aäßZ \n\t\"'\\<&{}%|"), max_size=8)
JINJA_FILTERS = st.sampled_from(
    ["trim", "upper", "lower", 'replace("a", "b\\n")', 'replace("\\"", "{{")', "indent(2)", 'default("d") | trim']
)


@given(
    st.lists(
        SAFE_TEXT
        | st.builds(
            lambda name, used: (name, *used), st.sampled_from(["a", "b", "c_d"]), st.lists(JINJA_FILTERS, max_size=3)
        )
    ),
    st.fixed_dictionaries({"a": SAFE_VALUES, "b": SAFE_VALUES}),
)
@example([("c_d", 'default("d")'), "x"], {"a": "", "b": ""})
@example([("c_d",)], {"a": "x", "b": "x"})
def test_a_template_means_what_it_means_to_jinja(parts, values):
    """People know these braces and filters from Jinja, Helm and Ansible, so the common part must do the same."""
    holes = [
        (part[0], *(each for place, each in enumerate(part[1:]) if place == 0 or "default" not in each))
        for part in parts
        if not isinstance(part, str)
    ]
    remaining = iter(holes)
    template = "".join(part if isinstance(part, str) else "{{ " + " | ".join(next(remaining)) + " }}" for part in parts)
    assume(any(not isinstance(part, str) for part in parts))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - no HTML
    # A field without a value is as good as none.
    variables = {name: value for name, value in values.items() if value}
    item = an_item(*(text(name, value) for name, value in values.items()))
    try:
        expected = environment.from_string(template).render(variables)
    except jinja2.UndefinedError:
        with pytest.raises(FieldNotFound):
            data_of({"templates": {"t": template}}, item)
        return

    assert data_of({"templates": {"t": template}}, item) == {"t": expected.encode()}


TOKENS = st.sampled_from(
    [
        *'|(),"\\/@* \né\0',
        "{{",
        "}}",
        "{%",
        "@k",
        "* | json",
        "password",
        "smtp/",
        "Replica/",
        "b64decode",
        "sha256",
        "default(",
        "basicauth(",
        "indent(3)",
        'replace("a", "b")',
        "dotenv",
        "json",
        "99",
    ]
)
WILD = st.lists(TOKENS, max_size=14).map("".join) | st.text(max_size=20)
WILD_SPECS = st.fixed_dictionaries(
    {},
    optional={
        "items": st.just({"smtp": "vaults/a/items/b"}) | st.dictionaries(st.text(max_size=3), st.just("p"), max_size=2),
        "keys": st.dictionaries(st.sampled_from(["k", "j", "..", "Password"]), WILD, max_size=3),
        "templates": st.dictionaries(st.sampled_from(["t", "k", "password"]), WILD, max_size=3),
        "include": st.lists(WILD | st.sampled_from(["*", "smtp/*", "Replica/*", "pass*", "password"]), max_size=3),
        "exclude": st.lists(WILD | st.sampled_from(["pass*", "smtp/port"]), max_size=2),
        "previous": st.fixed_dictionaries(
            {"for": st.sampled_from(["24h", "1s", "x", ""]), "keys": st.just({"p": "k"})}
        ),
    },
)
CANARY = "cAnArY"


def with_canaries(item):
    fields = (
        Field(
            each.id, each.label, each.kind, None if not each.value else f"{CANARY}{each.value}", each.section, each.size
        )
        for each in item.fields
    )
    urls = tuple(Url(f"https://{CANARY}", each.label, each.primary) for each in item.ref.urls)
    return Item(ItemRef("i", "v", "t", "1", urls=urls), tuple(fields))


def outcome(spec, items):
    """The data that a spec makes, or its error; with the reprs that may get into a log."""
    try:
        plan = plan_shape(Shape.read(spec))
        files = {(alias, file.id): CANARY.encode() + b"\xff" for alias, file in plan.files(items, MappingOptions())}
        made = plan.render(items, files, MappingOptions(), {})
    except ShapeError as error:
        return {}, f"{error} {error!r} {error.__context__}"
    return made.data, repr((plan, made))


@given(WILD_SPECS, any_item(), any_item())
def test_whatever_is_written_only_errors_of_a_shape_come_out_and_none_quotes_a_value(spec, main, other):
    """A tenant writes the spec, and another one the item; neither may crash a pass or read a value in a status."""
    items = {"": with_canaries(main)} | dict.fromkeys(spec.get("items", {}), with_canaries(other))

    data, shown = outcome(spec, items)

    assert CANARY.lower() not in shown.lower()
    assert shown.isprintable()
    assert sum(map(len, data.values())) <= MAX_SECRET_BYTES


@pytest.mark.parametrize("anything", [None, 3, "x", [], [3, None], {"a": 3}, {3: "a"}, {"for": 3, "keys": {"a": "b"}}])
@pytest.mark.parametrize("member", ["items", "keys", "templates", "include", "exclude", "previous"])
def test_what_has_the_wrong_type_counts_as_absent(member, anything):
    """The definition of the kind refuses it, but it may be older than the operator, or be missing."""
    shape = Shape.read({member: anything})

    assert shape.is_plain or (member == "include" and shape.include == ()) or (member, anything) == ("include", [])
    if member == "exclude" and anything == "x":
        assert shape.exclude == ()
