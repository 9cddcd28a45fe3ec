"""Bitwarden's own client judges: it reads the same accounts from the same server, and must find the same."""

from typing import Any

import pytest

from keyturn.core.vault import FieldKind, Item, Vaults
from support.bitwarden_server import Account, Kdf
from support.bitwarden_server.account import BOOLEAN, HIDDEN, LINKED, TEXT
from support.bitwarden_server.cli import Bw

pytestmark = pytest.mark.clients

FILES = {"tls.crt": b"-----BEGIN CERTIFICATE-----\n", "empty": b"", "big ö.bin": bytes(range(256)) * 400}
_PARTS = {
    1: ("login", ("username", "password", "totp")),
    2: ("secureNote", ()),
    3: ("card", ("cardholderName", "brand", "number", "expMonth", "expYear", "code")),
    4: (
        "identity",
        (
            *("title", "firstName", "middleName", "lastName", "username", "company", "ssn", "passportNumber"),
            *("licenseNumber", "email", "phone", "address1", "address2", "address3", "city", "state", "postalCode"),
            "country",
        ),
    ),
    5: ("sshKey", ("privateKey", "publicKey", "keyFingerprint")),
}
_LINKED = {100: "username", 101: "password"}


def scenery(kdf: Kdf) -> Account:
    """Everything that an account may hold."""
    account = Account(password="pässword with blanks ", kdf=kdf)
    one, two = account.add_collection("Prod/One"), account.add_collection("Zwö", organization="Other")
    account.add(
        "database",
        properties={"username": "admin", "password": "s3cret ö\n", "totp": "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"},
        uris=["https://db.example.com", "postgres://db"],
        notes="line\nline",
        fields=[
            (TEXT, "host", "db.example.com"),
            (TEXT, "host", "again"),
            (HIDDEN, "key", "k" * 5000),
            (BOOLEAN, "tls", "true"),
            (LINKED, "who", 100),
            (TEXT, "nothing", ""),
        ],
        files=FILES,
    )
    account.add("shared", properties={"password": "p"}, collections=[one], own_key=False, files={"f": b"x"})
    account.add("elsewhere", properties={"username": "u"}, collections=[two])
    account.add("bare", own_key=False)
    account.add("note", kind="secureNote", notes="n" * 10_000)
    account.add("card", kind="card", properties=dict.fromkeys(_PARTS[3][1], "1"))
    account.add("person", kind="identity", properties={name: f"{name}!" for name in _PARTS[4][1]})
    keys = {"privateKey": "-----BEGIN OPENSSH PRIVATE KEY-----\n", "publicKey": "ssh-ed25519 A", "keyFingerprint": "F"}
    account.add("ssh", kind="sshKey", properties=keys)
    account.trash(account.add("trash"))
    account.attach(next(iter(account.items)), "old", b"from an old client", own_key=False)
    return account


def as_judged(item: dict[str, Any]) -> dict[str, Any]:
    """What the client prints of an item, as fields by our rules."""
    name, properties = _PARTS[item["type"]]
    part = item.get(name) or {}
    fields = [(each, part[each]) for each in properties if part.get(each) is not None]
    fields += [("notes", item["notes"])] if item.get("notes") is not None else []
    for each in item.get("fields") or []:
        value = part.get(_LINKED[each["linkedId"]]) if each["type"] == LINKED else each.get("value")
        fields.append((each["name"], value))
    return {
        "id": item["id"],
        "title": item["name"],
        "fields": fields,
        "urls": [each["uri"] for each in part.get("uris") or []],
        "files": sorted((each["id"], each["fileName"]) for each in item.get("attachments") or []),
    }


def as_found(item: Item) -> dict[str, Any]:
    """The same of an item that our client read."""
    return {
        "id": item.ref.id,
        "title": item.ref.title,
        "fields": [(each.label, each.value) for each in item.fields if each.kind is not FieldKind.FILE],
        "urls": [url.href for url in item.ref.urls],
        "files": sorted((each.id, each.label) for each in item.fields if each.kind is FieldKind.FILE),
    }


async def found_by(vaults: Vaults) -> dict[str, dict[str, Item]]:
    """All items in use that our client finds, by the title of the vault and their ids."""
    await vaults.refresh()
    found: dict[str, dict[str, Item]] = {}
    for scope in await vaults.scopes():
        refs = await vaults.items(scope, wanted=None)
        found[scope.title] = {ref.id: await vaults.item(scope.id, ref.id) for ref in refs if not ref.state}
    return found


@pytest.fixture
async def both(request, serve, connect, tmp_path, authority_file):
    """An account, the other client, and ours, all at one server."""
    account = scenery(request.param)
    server = await serve(account)
    bw = Bw(tmp_path, authority=authority_file)
    await bw.log_in(server.url, account)
    return account, bw, await connect(server)


@pytest.mark.parametrize("both", [Kdf(iterations=600_000)], indirect=True, ids=["pbkdf2"])
async def test_both_clients_read_the_same(both):
    """Field by field and file by file, for each kind of item; and again after a rotation."""
    account, bw, vaults = both
    found = await found_by(vaults)
    collections = {each["name"]: each["id"] for each in await bw.listed("collections")}
    judged = {item["id"]: item for item in await bw.listed("items")}
    ours = {item.ref.id: item for items in found.values() for item in items.values()}

    assert {key: as_found(item) for key, item in ours.items()} == {key: as_judged(item) for key, item in judged.items()}
    assert {*found} == {*collections, "personal"}
    for title, items in found.items():
        where = [collections[title]] if title in collections else []
        assert {*items} == {key for key, item in judged.items() if item["collectionIds"] == where}
    assert [item["name"] for item in await bw.listed("items", "--trash")] == ["trash"]

    for item in ours.values():
        for field in (each for each in item.fields if each.kind is FieldKind.FILE):
            content = await vaults.file(item.ref, field, limit=2**20)
            assert content == await bw.file(item.ref.id, field.id), field.label

    rotated = next(key for key, item in ours.items() if item.ref.title == "shared")
    account.set_property(rotated, "password", "rotated")
    await bw.run("sync", "--force")
    [again] = await bw.listed("items", "--search", "shared")
    assert as_judged(again) == as_found((await found_by(vaults))["Prod/One"][rotated])
    assert again["login"]["password"] == "rotated"


@pytest.mark.parametrize("both", [Kdf(1, 3, 64, 4)], indirect=True, ids=["argon2id"])
async def test_both_clients_derive_the_same_key(both):
    """By the other derivation that there is, with Bitwarden's usual costs."""
    _, bw, vaults = both
    ours = {key: item for items in (await found_by(vaults)).values() for key, item in items.items()}

    assert {key: as_found(item) for key, item in ours.items()} == {
        item["id"]: as_judged(item) for item in await bw.listed("items")
    }
