"""What an item of every kind of field becomes, from Connect to the Secret, by the official operator's rules."""

import base64

import pytest
from operator_fixtures import VAULT, annotations_of, condition_of

from keyturn.cluster.resources import ONEPASSWORD_ITEMS
from keyturn.core import names
from support.operator import eventually
from support.patience import LONG_S

pytestmark = pytest.mark.cluster


def field(label, value, **more):
    """A field of an item."""
    return {"label": label, "value": value, **more}


def file(name, content):
    """A file of an item."""
    return {"name": name, "base64": base64.b64encode(content).decode()}


async def test_an_item_becomes_the_keys_that_the_official_operator_makes_of_it(stage):
    """Sections, types and purposes count for nothing; the last field, then the primary URL, then the first file has a key."""
    stage.connect.create(
        VAULT,
        {
            "title": "login",
            "category": "LOGIN",
            "sections": [{"id": "admin", "label": "Admin"}],
            "urls": [
                {"label": "website", "href": "https://last.example"},
                {"label": "website", "href": "https://primary.example", "primary": True},
                {"label": "console", "href": "https://hidden.example"},
            ],
            "fields": [
                field("username", "app", purpose="USERNAME"),
                field("password", "p-1", purpose="PASSWORD"),
                field("notesPlain", "first line\nsecond line", purpose="NOTES"),
                field("host name", "one"),
                field("host name", "two", section="admin"),
                field("console", "from a field", type="URL"),
                field("one-time password", "JBSWY3DPEHPK3PXP", type="OTP"),
                field("mail", "a@example.com", type="EMAIL"),
                field("none", ""),
                field("blank", " "),
                field("PIN №", "1234", type="CONCEALED"),
            ],
            "files": [file("console", b"hidden"), file("ca bundle.pem", b"first"), file("ca/bundle.pem", b"second")],
        },
    )
    stage.operator()
    await stage.ask("login")

    await stage.holds(
        "login",
        {
            "website": "https://primary.example",
            "console": "from a field",
            "username": "app",
            "password": "p-1",
            "notesPlain": "first line\nsecond line",
            "host-name": "two",
            "one-time-password": "JBSWY3DPEHPK3PXP",
            "mail": "a@example.com",
            "blank": " ",
            "PIN": "1234",
            "ca-bundle.pem": b"first",
        },
    )


async def test_a_document_and_a_key_pair_become_keys(stage):
    """A Document holds nothing but its file; of an SSH key the private part comes as Connect gives it."""
    stage.operator()
    await stage.provide("deed", {}, category="DOCUMENT", files=[file("deed.pdf", b"\x00\xff")])
    await stage.provide("ssh", {"private key": "-----BEGIN", "public key": "ssh-ed25519 AAAA"})

    assert (await stage.data("deed"))["deed.pdf"] == b"\x00\xff"
    assert await stage.data("ssh") == {"private-key": b"-----BEGIN", "public-key": b"ssh-ed25519 AAAA"}


async def test_the_secret_is_described_as_the_official_operator_describes_it(stage):
    """Labels, both annotations, the switch, the type and a plain owner; nothing by which another tool tracks the object."""
    stage.operator("--enable-annotations=false")
    item = stage.put_item("login", {"username": "app", "password": "p-1"})
    asked = await stage.ask(
        "login",
        labels={"team": "red", "argocd.argoproj.io/instance": "shop", "helm.toolkit.fluxcd.io/name": "shop"},
        annotations={names.AUTO_RESTART: "T", "team": "not copied", "kubectl.kubernetes.io/restartedAt": "now"},
        type="kubernetes.io/basic-auth",
    )
    await stage.ready("login")
    secret = await stage.secret("login")

    vault = next(each["id"] for each in stage.connect.state()["vaults"] if each["name"] == VAULT)
    assert secret["metadata"]["labels"] == {"team": "red", names.MANAGED_BY: names.PRODUCT}
    assert annotations_of(secret) == {
        names.ITEM_PATH: f"vaults/{vault}/items/{item}",
        names.ITEM_VERSION: "1",
        names.AUTO_RESTART: "T",
        names.REVISION: "1",
    }
    assert secret["metadata"]["ownerReferences"] == [
        {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": "login", "uid": asked["metadata"]["uid"]}
    ]
    assert secret["type"] == "kubernetes.io/basic-auth"
    assert "immutable" not in secret
    assert condition_of(await stage.asked("login"), "Warning") == {}


async def test_a_condition_of_somebody_else_stays(stage):
    """Other controllers may say something of an object too; the official operator drops what they say."""
    stage.operator()
    await stage.provide("login")
    theirs = {"type": "example.com/Approved", "status": "True"}
    await stage.cluster.apply(
        ONEPASSWORD_ITEMS,
        stage.namespace,
        "login",
        {"status": {"conditions": [theirs]}},
        field_manager="approver",
        subresource="status",
    )

    stage.rotate("login", "second")
    found = await stage.ready("login", itemVersion="2")

    assert condition_of(found, "example.com/Approved")["status"] == "True"


async def test_an_object_deleted_without_its_dependents_leaves_its_secret(stage):
    """`kubectl delete --cascade=orphan` means what it says, also where the official operator would delete the Secret."""
    stage.operator()
    await stage.provide("login")
    await stage.cluster.delete(ONEPASSWORD_ITEMS, stage.namespace, "login", propagation="Orphan")

    async def orphaned():
        assert await stage.cluster.list(ONEPASSWORD_ITEMS, stage.namespace) == []
        assert "ownerReferences" not in (await stage.secret("login"))["metadata"]

    await eventually(orphaned, within=LONG_S)
    assert await stage.data("login") == {"password": b"first"}


async def test_thousands_of_long_labels_are_rotated(stage):
    """What is recorded of keys once outgrew the annotations of the Secret, which then stayed stale for ever."""
    operator = stage.operator(AUTO_RESTART="true")
    labels = [f"{number:04}".ljust(200, "k") for number in range(2000)]
    stage.put_item("login", dict.fromkeys(labels, "first"))
    await stage.ask("login")
    await stage.ready("login")
    await stage.deploy("web", secret="login", keys=labels[:1])

    stage.connect.edit(VAULT, "login", fields=[{"label": label, "value": "second"} for label in labels])

    await stage.holds("login", dict.fromkeys(labels, "second"))
    found = await stage.ready("login", itemVersion="2")
    await stage.settled("web", restarts=1)
    await stage.restarts_said("login", revision=2, owed=0, done=1, keys=["*"])
    await stage.paid("login")
    assert found["status"]["secret"]["keys"] == ["*"]
    assert "2000 keys" in condition_of(found, "Ready")["message"]
    assert len((await stage.event("login", "Updated"))["message"]) <= 1024
    assert max(map(len, operator.log.read_text().splitlines())) < 5000
    before, writes = await stage.versions("login"), operator.api_writes()
    await operator.polls(2)
    assert (await stage.versions("login"), operator.api_writes()) == (before, writes)
