"""Which field of an item a reference means."""

import pytest

from keyturn.core.references import FieldReference, Fields, parse_reference
from keyturn.core.shape_errors import FieldAmbiguous, FieldNotFound
from keyturn.core.vault import Field, Url
from support.shapes import a_file, an_item, data_of, text


def found(written, item):
    """The value, or the name of the file, that a reference means; None for none."""
    reference = parse_reference(written, ())
    assert isinstance(reference, FieldReference)
    field = Fields(item, "").find(reference)
    return field and (field.value or field.id)


@pytest.mark.parametrize(
    ("written", "item", "expected"),
    [
        pytest.param("password", an_item(text("password", "1")), "1", id="label"),
        pytest.param("PASSWORD", an_item(text("password", "1")), "1", id="label in another case"),
        pytest.param("STRASSE", an_item(text("Straße", "1")), "1", id="case beyond ASCII"),
        pytest.param("a", an_item(text("A", "1"), text("a", "2")), "2", id="exact case wins"),
        pytest.param("a", an_item(text("a", "1"), text("A", "2")), "1", id="exact case wins, other order"),
        pytest.param("f1", an_item(text("x", "1", field_id="f1")), "1", id="id"),
        pytest.param("F1", an_item(text("x", "1", field_id="f1")), "1", id="id in another case"),
        pytest.param("f1", an_item(text("x", "1", field_id="f1"), text("f1", "2")), "2", id="label before id"),
        pytest.param("a", an_item(text("a", "1", section="S"), text("a", "2")), "2", id="without a section wins"),
        pytest.param("a", an_item(text("a", "1", section="S")), "1", id="only one, in a section"),
        pytest.param("S/a", an_item(text("a", "1", section="S"), text("a", "2")), "1", id="section"),
        pytest.param("s/A", an_item(text("a", "1", section="S"), text("a", "2")), "1", id="section in another case"),
        pytest.param("s/a", an_item(text("a", "1", section="S"), text("a", "2", section="s")), "2", id="exact section"),
        pytest.param(
            "s1/a", an_item(text("a", "1", section="S", section_id="s1"), text("a", "2")), "1", id="section id"
        ),
        pytest.param(
            "s/a", an_item(text("a", "1", section="s", section_id="s")), "1", id="section whose label is its id"
        ),
        pytest.param("T/a", an_item(text("a", "1", section="S"), text("a", "2")), None, id="no such section"),
        pytest.param("S/a", an_item(urls=[Url("u", "a")]), None, id="a URL is in no section"),
        pytest.param("a", an_item(a_file("a"), text("a", "1"), urls=[Url("u", "a")]), "1", id="field first"),
        pytest.param("a", an_item(a_file("a"), text("a", ""), urls=[Url("u", "a")]), "u", id="then URL"),
        pytest.param("a", an_item(a_file("a", file_id="f"), text("a", None)), "f", id="then file"),
        pytest.param("a", an_item(urls=[Url("1", "a", primary=True), Url("2", "a")]), "1", id="primary URL"),
        pytest.param("a", an_item(urls=[Url("1", "a"), Url("2", "a")]), "2", id="last URL"),
        pytest.param(
            "a", an_item(text("a", "", section="S"), text("a", "1", section="T")), "1", id="one of two is empty"
        ),
        pytest.param(
            "a", an_item(text("a", ""), text("a", "1", section="T")), None, id="the one that is meant is empty"
        ),
        pytest.param("a", an_item(text("a", ""), text("A", "1")), None, id="the one in the exact case is empty"),
        pytest.param("S/a", an_item(a_file("a", section="S", file_id="f")), "f", id="file in a section"),
        pytest.param("a", an_item(a_file("a", size=0)), None, id="empty file"),
        pytest.param("a", an_item(a_file("a", size=None, file_id="f")), "f", id="file of unknown size"),
        pytest.param("keyturn x", an_item(text("keyturn x", "1")), "1", id="reserved label by name"),
    ],
)
def test_a_reference_means_one_field(written, item, expected):
    """The rules of precedence, one by one; an emptied field never makes way for one of another section or case."""
    assert found(written, item) == expected


@pytest.mark.parametrize(
    ("written", "item", "named"),
    [
        (
            "a",
            an_item(text("a", "1", section="S", field_id="x"), text("a", "1", section="T", field_id="y")),
            "S/a (id x), T/a (id y)",
        ),
        ("a", an_item(text("a", "1", field_id="x"), text("a", "2", field_id="y")), "a (id x), a (id y)"),
        (
            "S/a",
            an_item(text("a", "1", section="S", field_id="x"), text("a", "2", section="S", field_id="y")),
            "S/a (id x), S/a",
        ),
        ("b", an_item(text("B", "1", field_id="x"), text("B", "2", field_id="y")), "B (id x), B (id y)"),
        ("f", an_item(a_file("f", file_id="x"), a_file("f", file_id="y")), "f (id x), f (id y)"),
    ],
)
def test_a_reference_to_several_fields_is_ambiguous(written, item, named):
    """Equal values are no excuse: the next rotation makes them differ."""
    with pytest.raises(FieldAmbiguous) as raised:
        data_of({"keys": {"k": written}}, item)

    assert f'key "k", line 1: "{written}" fits 2 fields of the main item: {named}' in str(raised.value)
    assert str(raised.value).endswith("name the section, or the id")


ITEM = an_item(
    text("password", "1"), text("user name", ""), text("token", "2", section="Replica"), urls=[Url("u", "website")]
)
SMTP = an_item(text("password", "3"), text("port", "587"))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("passwrod", '"passwrod" is no field of the main item; did you mean "password"?'),
        ("websites", '"websites" is no field of the main item; did you mean "website"?'),
        ("bell\a", '"bell\\x07" is no field of the main item'),
        ("entirely different", '"entirely different" is no field of the main item'),
        ("user name", '"user name" has no value in the main item'),
        (
            "Replca/token",
            '"Replca/token": the main item has no section "Replca", and `items` has no alias "Replca"; did you mean "Replica"',
        ),
        ("Replica/tokn", '"Replica/tokn" is no field of the main item; did you mean "token"?'),
        ("smtp/passwrod", '"smtp/passwrod" is no field of item "smtp"; did you mean "password"?'),
        (
            "smpt/password",
            '"smpt/password": the main item has no section "smpt", and `items` has no alias "smpt"; did you mean "smtp"?',
        ),
        ("smtp/X/token", '"smtp/X/token": item "smtp" has no section "X"'),
        ("port", '"port" is no field of the main item; did you mean "smtp/port"?'),
        ("X/* | json", '"X/*": the main item has no section "X"'),
        ("password | replace(passwrod, token)", '"passwrod" is no field of the main item; did you mean "password"?'),
        ("passwrod | default(tokem)", '"passwrod" is no field'),
    ],
)
def test_a_missing_field_is_named_with_the_nearest_label(written, message):
    """Explicit means required: a typing mistake must not become an empty password."""
    with pytest.raises(FieldNotFound) as raised:
        data_of({"items": {"smtp": "p"}, "keys": {"k": written}}, {"": ITEM, "smtp": SMTP})

    assert str(raised.value).startswith(f'key "k", line 1: {message}')


def test_an_item_without_values_has_no_many_fields():
    """`{}` in place of a configuration would look like one."""
    with pytest.raises(FieldNotFound, match="no field of the main item has a value"):
        data_of({"templates": {"t": "{{ * | json }}"}}, an_item(text("a", ""), a_file("f")))


def test_many_fields_of_a_section():
    """By label or id of the section, URLs never."""
    item = an_item(
        text("a", "1", section="S", section_id="s1"), text("b c", "2", section="s", section_id="s1"), text("d", "3"),
        urls=[Url("u", "e")],
    )  # fmt: skip

    assert data_of({"keys": {"k": "S/* | json", "j": "S1/* | json", "all": "* | json"}}, item) == {
        "k": b'{"a": "1", "b-c": "2"}',
        "j": b'{"a": "1", "b-c": "2"}',
        "all": b'{"a": "1", "b-c": "2", "d": "3", "e": "u"}',
    }


def test_a_name_from_a_vault_stays_on_one_line_of_a_message():
    """It must not forge a record of the log, nor fill a status."""
    item = an_item(Field("x\ny", "a", value="1", section="S\n" + "s" * 999), text("a", "2", section="T"))

    with pytest.raises(FieldAmbiguous) as raised:
        data_of({"keys": {"k": "a"}}, item)

    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500
