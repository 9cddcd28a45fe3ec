import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from connect_fakes import item_json, summary_json, vault_json
from pydantic import TypeAdapter, ValidationError

from keyturn.providers.connect import Activity, ConnectItem, ConnectVault, ItemFile, ItemSummary


def parse(kind, body):
    return TypeAdapter(kind).validate_json(json.dumps(body))


def test_a_vault_is_read():
    """The members that show what changed have Python's names."""
    vault = parse(ConnectVault, vault_json(attributeVersion=1, createdAt="2024-01-02T03:04:05Z"))

    assert (vault.name, vault.content_version, vault.items, vault.attribute_version) == ("Prod", 7, 2, 1)
    assert vault.created_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("kind", [ConnectVault, ItemSummary, ConnectItem])
def test_an_id_is_enough(kind):
    """Connect omits every empty member; servers before 1.5.4 omitted more."""
    assert parse(kind, {"id": "a" * 26}).id == "a" * 26


@pytest.mark.parametrize("kind", [ConnectVault, ItemSummary, ConnectItem])
def test_null_means_absent(kind):
    """Clients write nulls, and some servers return them."""
    names = [field.alias for field in kind.model_fields.values() if field.alias != "id"]

    assert parse(kind, {"id": "a", **dict.fromkeys(names)}) == parse(kind, {"id": "a"})


def test_unknown_members_and_values_pass():
    """New categories, field types, vault types and members must not stop anything."""
    item = parse(
        ConnectItem,
        item_json(
            category="HOLOGRAM",
            novelty={"a": [1]},
            fields=[{"id": "x", "label": "x", "type": "NEW", "purpose": "ELSE", "value": "v", "more": 1}],
        ),
    )

    assert (item.category, item.fields[0].type) == ("HOLOGRAM", "NEW")
    assert parse(ConnectVault, vault_json(type="LUNAR")).type == "LUNAR"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02T03:04:05.123456789Z", datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2024-01-02T03:04:05.1234567890123456Z", datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2024-01-02T03:04:05.1+02:00", datetime(2024, 1, 2, 3, 4, 5, 100000, timezone(timedelta(hours=2)))),
        ("2024-01-02T03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (["2024"], None),
        ({}, None),
    ],
)
def test_times_of_any_precision_are_read_and_nonsense_is_no_time(text, expected):
    """A time only decides between items of one title; no item is refused because of it."""
    found = parse(ItemSummary, summary_json(createdAt=text)).created_at

    assert found == expected
    assert found is None or found.tzinfo is not None


def test_values_show_in_no_repr_and_no_dump():
    """Fields and addresses are masked wherever a model is printed or dumped; content is not kept."""
    item = parse(
        ConnectItem,
        item_json(
            urls=[{"href": "https://canary"}],
            files=[{"id": "f", "name": "n", "size": 1, "content": "canary"}],
            fields=[
                {
                    "id": "p",
                    "label": "l",
                    "value": "canary",
                    "totp": "canary",
                    "passwordDetails": {"history": ["canary"]},
                }
            ],
        ),
    )

    assert "canary" not in f"{item!r} {item} {item.fields} {item.files} {item.urls}"
    assert "canary" not in str(item.model_dump(exclude={"urls"})) + item.model_dump_json(exclude={"urls"})
    assert item.fields[0].value.get_secret_value() == "canary"


def test_old_passwords_and_changing_codes_are_not_kept():
    """`passwordDetails.history` is old passwords in clear, `totp` changes by itself."""
    item = parse(
        ConnectItem,
        item_json(
            additionalInformation="gone",
            fields=[{"id": "p", "totp": "gone", "entropy": 1.5, "passwordDetails": {"history": ["gone"]}}],
        ),
    )

    assert "gone" not in repr(item.__dict__)
    assert not {"totp", "password_details", "entropy"} & set(type(item.fields[0]).model_fields)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ItemSummary, {"title": "no id"}),
        (ItemSummary, {"id": ""}),
        (ItemSummary, {"id": "a/../b"}),
        (ItemSummary, {"id": 5}),
        (ConnectItem, {"id": "a", "fields": {"not": "a list"}}),
        (ConnectItem, {"id": "a", "fields": [{"value": 5}]}),
        (ConnectItem, {"id": "a", "fields": ["text"]}),
        (ItemFile, {"id": "f", "size": -1}),
    ],
)
def test_a_wrong_shape_is_refused(kind, body):
    """Ids, the list of fields and values are never guessed."""
    with pytest.raises(ValidationError) as caught:
        parse(kind, body)

    assert "text" not in str(caught.value)


def test_placeholder_sections_are_accepted():
    """Items with fields outside of any section have one empty section."""
    assert parse(ConnectItem, item_json(sections=[{}])).sections[0].id == ""


def test_activity_is_read():
    """It may lack any member."""
    activity = parse(
        Activity,
        {
            "requestId": "r",
            "action": "READ",
            "result": "DENY",
            "actor": {"jti": "j", "requestIp": "1.2.3.4"},
            "resource": {"vault": {"id": "not even an id!"}, "itemVersion": 3},
        },
    )

    assert (activity.actor.request_ip, activity.resource.vault.id) == ("1.2.3.4", "not even an id!")
    assert parse(Activity, {}).resource.item_version is None


def test_the_other_names_of_the_documentation_are_read_too():
    """Its table and its schema disagree about two members."""
    activity = parse(Activity, {"requestID": "r", "actor": {"ip": "1.2.3.4"}})

    assert (activity.request_id, activity.actor.request_ip) == ("r", "1.2.3.4")
