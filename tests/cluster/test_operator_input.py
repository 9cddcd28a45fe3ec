import httpx
import pytest
from operator_fixtures import GET_ITEM, GET_ITEMS, GET_VAULTS, VAULT, condition_of

from keyturn.cluster.resources import SECRETS
from keyturn.core import names
from support.operator import eventually

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("path", ["", "vaults/Production/login", "vaults//items/x", "a" * 2000])
async def test_a_path_of_another_form_is_told(stage, path):
    """A path that is none is a human's to mend: InvalidPath, Stalled, no Secret; the mended one works."""
    stage.operator(POLLING_INTERVAL="600")
    stage.put_item("login")
    await stage.ask("login", "-")
    await stage.says("login", "InvalidPath")
    await stage.edit("login", {"spec": {"itemPath": path}})

    failed = await stage.says("login", "InvalidPath", ready="False")

    assert condition_of(failed, "Stalled")["reason"] == "InvalidPath"
    assert len(condition_of(failed, "Ready")["message"]) < 400
    await stage.has_no_secret("login")
    await stage.edit("login", {"spec": {"itemPath": f"vaults/{VAULT}/items/login"}})
    await stage.ready("login")


async def test_an_object_without_spec_is_told(stage):
    """An object that asks for nothing says InvalidPath."""
    stage.operator()
    await stage.ask("login")
    await stage.edit("login", {"spec": None})

    await stage.says("login", "InvalidPath", ready="False")


async def test_an_unknown_vault_is_found_once_it_is_there(stage):
    """A vault that nobody knows is VaultNotFound, and the object becomes ready by itself once the vault is made."""
    stage.operator()
    await stage.ask("login", "vaults/Later/items/login")
    failed = await stage.says("login", "VaultNotFound", ready="False")

    stage.connect.create_vault("Later", items=[{"title": "login", "fields": [{"label": "password", "value": "first"}]}])

    await stage.ready("login")
    assert condition_of(failed, "Stalled")["status"] == "True"
    assert "'Later'" in condition_of(failed, "Ready")["message"]
    await stage.event("login", "VaultNotFound")


async def test_an_unknown_item_is_found_once_it_is_there(stage):
    """An item that nobody knows is ItemNotFound, and the object becomes ready by itself once the item is made."""
    stage.operator()
    stage.put_item("other")
    await stage.ask("login")
    await stage.says("login", "ItemNotFound", ready="False")

    stage.put_item("login")

    await stage.ready("login")
    assert await stage.data("login") == {"password": b"first"}


@pytest.mark.parametrize("vanish", ["delete", "archive"])
async def test_an_item_that_vanishes_keeps_its_secret(stage, vanish):
    """An item that is deleted or archived is reported as ItemNotFound, and the Secret stays as it was, version and all."""
    operator = stage.operator()
    await stage.provide("login")
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]

    getattr(stage.connect, vanish)(VAULT, "login")
    failed = await stage.says("login", "ItemNotFound", ready="False")
    await operator.polls(1)

    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version
    assert failed["status"]["secret"]["keys"] == ["password"]
    assert failed["status"]["itemVersion"] == "1"


async def test_a_vault_that_vanishes_keeps_its_secrets(stage):
    """A vault that is removed is reported as VaultNotFound, and the Secret stays as it was."""
    stage.operator()
    stage.connect.create_vault("Other")
    await stage.provide("login")
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]

    stage.connect.remove_vault(VAULT)
    await stage.says("login", "VaultNotFound", ready="False")

    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version


async def test_a_renamed_vault_is_told_to_those_who_use_its_old_title(stage):
    """A vault's new title is noticed by the next poll, although no item moved."""
    stage.operator()
    await stage.provide("login")

    stage.connect.rename_vault(VAULT, "Renamed")
    await stage.says("login", "VaultNotFound", ready="False")
    stage.connect.rename_vault("Renamed", VAULT)

    await stage.ready("login")


@pytest.mark.parametrize("status", [403, 404])
async def test_bad_news_of_a_moment_is_not_believed(stage, status):
    """An item that is refused or missing for a moment changes neither readiness nor Secret, and no Event tells of it."""
    stage.operator()
    await stage.provide("login")
    since = stage.connect.last_request()

    stage.connect.fault(GET_ITEM, status=status, message="not for you", count=1)
    stage.rotate("login", "second")
    stage.connect.wait_requests(1, route=GET_ITEM, status=status, since=since)
    await stage.holds("login", {"password": "second"})
    ready = await stage.ready("login", itemVersion="2")

    assert "Warning" not in {event["type"] for event in await stage.events("login")}
    assert condition_of(ready, "Ready")["lastTransitionTime"]


@pytest.mark.parametrize(("status", "reason"), [(403, "AccessDenied"), (404, "ItemNotFound")])
async def test_bad_news_that_stays_is_told_and_the_secret_kept(stage, status, reason):
    """An item that stays refused or missing is reported after a second look, the Secret keeps its bytes, and its end heals."""
    stage.operator()
    await stage.provide("login")
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]

    stage.connect.fault(GET_ITEM, status=status, message="not for you")
    stage.rotate("login", "second")
    await stage.says("login", reason, ready="False")

    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version
    stage.connect.clear_faults()
    await stage.holds("login", {"password": "second"})
    await stage.ready("login")


@pytest.mark.parametrize("huge", [False, True])
@pytest.mark.parametrize(("status", "reason"), [(401, "CredentialRefused"), (403, "AccessDenied")])
async def test_a_refused_id_is_never_taken_for_a_missing_title(stage, status, reason, huge):
    """Who named the item by its id is told of the token, not that no item is titled like that."""
    item = stage.put_item("login")
    if huge:
        stage.connect.bulk_create(VAULT, 600, title="filler-{n}", item={"category": "SECURE_NOTE"})
    stage.connect.fault(GET_ITEM, status=status, message="not for you")
    stage.operator(ready=False)

    await stage.ask("login", f"vaults/{VAULT}/items/{item}")
    found = await stage.says("login", reason)

    assert "title" not in condition_of(found, "Ready")["message"]
    stage.connect.clear_faults()
    await stage.holds("login", {"password": "first"}, within=60)


async def test_of_equal_titles_the_oldest_wins_and_a_warning_says_so(stage):
    """Where two items have the title, the older is used, and the object stays ready with a warning until one of them goes."""
    stage.operator()
    await stage.provide("login", created_at=1_600_000_000)

    twin = stage.put_item("login", {"password": "newer"}, created_at=1_650_000_000)

    found = await stage.warns("login", "DuplicateTitle")
    assert condition_of(found, "Ready")["status"] == "True"
    assert await stage.data("login") == {"password": b"first"}
    stage.connect.delete(VAULT, twin)
    await stage.warns("login", None)


async def test_a_twin_that_cannot_be_read_is_nobodys_trouble(stage):
    """Titles are compared in the listing, so of two items of one title only the older is ever read."""
    stage.put_item("login", created_at=1_600_000_000)
    twin = stage.put_item("login", {"password": "newer"}, created_at=1_650_000_000)
    vault = next(each["id"] for each in stage.connect.state()["vaults"] if each["name"] == VAULT)
    stage.connect.fault(f"GET /v1/vaults/{vault}/items/{twin}", status=403, message="not for you")
    stage.operator()

    await stage.ask("login")
    await stage.ready("login")

    assert await stage.data("login") == {"password": b"first"}


async def test_an_older_twin_takes_over_only_by_its_age(stage):
    """A second item of the title that is older than the first takes its place, as at every later start."""
    stage.operator()
    await stage.provide("login", created_at=1_650_000_000)

    stage.put_item("login", {"password": "older"}, created_at=1_600_000_000)

    await stage.holds("login", {"password": "older"})


async def test_labels_that_cannot_be_keys_are_skipped_and_named(stage):
    """Labels without a legal key are left out, all others are written, and a warning names them."""
    stage.operator()

    await stage.provide("login", {"password": "first", "日本語": "x", "..dots": "y"})

    found = await stage.asked("login")
    warning = condition_of(found, "Warning")
    assert warning["reason"] == "KeysSkipped"
    assert "日本語" in warning["message"]
    assert "..dots" in warning["message"]
    assert await stage.data("login") == {"password": b"first"}


async def test_a_switch_that_is_neither_true_nor_false_is_told(stage):
    """The Secret is written all the same, nothing restarts for it, and the warning goes with its cause."""
    stage.operator()
    stage.put_item("login")
    await stage.ask("login", annotations={names.AUTO_RESTART: "yes"})

    found = await stage.ready("login")
    warning = condition_of(found, "Warning")
    assert warning["reason"] == "InvalidAutoRestart"
    assert "'yes'" in warning["message"]
    assert await stage.data("login") == {"password": b"first"}

    await stage.edit("login", {"metadata": {"annotations": {names.AUTO_RESTART: "true"}}})
    await stage.warns("login", None)


# Titles that a filter, a path or a URL might break: each must be found, and not the decoy of the same look.
TITLES = (
    'say "hi"',
    "back\\slash",
    "'",
    " outer  and inner blanks ",
    "Ünïcode 日本語 🔑",
    "100% + & # ? = ;",
    "a%2Fb",
    "q7v4x2m9k3p8t5w6y1z0a2b4c6",
    "team/login/db",
    "/leading",
    "a//b",
    "x/items/y",
    "items",
    "vaults",
    "line\nfeed",
)


@pytest.mark.parametrize("huge", [False, True])
async def test_any_title_is_found(stage, huge):
    """Whatever people call an item, its path finds it, in a vault that is listed and in one too large for that."""
    if huge:
        stage.connect.bulk_create(
            VAULT, 1200, title="filler-{n}", item={"category": "SECURE_NOTE", "fields": [{"label": "a", "value": "b"}]}
        )
    decoy = {"password": "decoy"}
    for title in ("say hi", "backslash", "outer and inner blanks", "a/b", "team/login", "leading", "a/b/", "line feed"):
        stage.put_item(title, decoy)
    for number, title in enumerate(TITLES):
        stage.put_item(title, {"password": f"value-{number}"})
        await stage.ask(f"title-{number}", f"vaults/{VAULT}/items/{title}")

    stage.operator()

    for number in range(len(TITLES)):
        await stage.holds(f"title-{number}", {"password": f"value-{number}"})
    await stage.ask("trailing", f"vaults/{VAULT}/items/a/b/")
    await stage.says("trailing", "InvalidPath", ready="False")


@pytest.mark.parametrize("title", ['Vault "A" \\ B', "Ops/Prod", "q7v4x2m9k3p8t5w6y1z0a2b4c6"])
async def test_any_vault_title_is_found_ignoring_case(stage, title):
    """Vaults go by the same rules, and their titles ignore case as in the official operator."""
    vault = stage.connect.create_vault(title)
    stage.connect.create(vault, {"title": "login", "category": "SECURE_NOTE", "fields": [{"label": "a", "value": "b"}]})
    stage.operator()

    for name, path in (("as-it-is", title), ("upper", title.upper()), ("by-id", vault)):
        await stage.ask(name, f"vaults/{path}/items/login")
        await stage.holds(name, {"a": "b"})


async def test_another_type_is_refused_and_the_secret_kept(stage):
    """Kubernetes does not let a Secret change its type: the object says so, and once the Secret is deleted it is made anew."""
    stage.operator()
    await stage.provide("login", {"username": "ada", "password": "first"})
    version = (await stage.secret("login"))["metadata"]["resourceVersion"]

    await stage.edit("login", {"type": "kubernetes.io/basic-auth"})
    await stage.says("login", "TypeImmutable", ready="False")
    kept = await stage.secret("login")
    await stage.cluster.delete(SECRETS, stage.namespace, "login")

    await stage.ready("login")
    assert kept["metadata"]["resourceVersion"] == version
    assert (await stage.secret("login"))["type"] == "kubernetes.io/basic-auth"


async def test_a_type_whose_keys_are_missing_is_told(stage):
    """A TLS Secret without its keys is refused by the API server; the object names the keys, and the completed item heals it."""
    stage.operator()
    stage.put_item("cert", {"tls.crt": "certificate"})
    await stage.ask("cert", type="kubernetes.io/tls")

    failed = await stage.says("cert", "SecretInvalid", ready="False")
    stage.connect.edit(VAULT, "cert", fields=[{"label": "tls.key", "value": "key"}])

    await stage.ready("cert")
    assert "tls.key" in condition_of(failed, "Ready")["message"]


async def test_an_item_that_loses_a_key_its_type_demands_keeps_the_secret(stage):
    """A change that the API server refuses leaves the Secret with all its old bytes."""
    stage.operator()
    stage.put_item("cert", {"tls.crt": "certificate", "tls.key": "key"})
    await stage.ask("cert", type="kubernetes.io/tls")
    await stage.ready("cert")

    stage.connect.edit(VAULT, "cert", remove_fields=["tls.key"])
    await stage.says("cert", "SecretInvalid", ready="False")

    assert await stage.data("cert") == {"tls.crt": b"certificate", "tls.key": b"key"}


async def test_an_older_version_is_believed_only_when_it_stays(stage):
    """One look at a server that lags behind changes nothing; a server that went back for good is followed."""
    operator = stage.operator()
    await stage.provide("login")
    old = {route: _answers(stage, route) for route in (GET_VAULTS, GET_ITEMS, GET_ITEM)}
    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second"})
    await stage.ready("login", itemVersion="2")
    version = (await stage.paid("login"))["metadata"]["resourceVersion"]

    stage.connect.fault(GET_VAULTS, kind="json", body=old[GET_VAULTS], count=1)
    stage.connect.fault(GET_ITEMS, kind="json", body=old[GET_ITEMS], count=1)

    async def noticed() -> None:
        assert operator.metric("keyturn_reconciles_total", reason="OlderVersion") >= 1

    await eventually(noticed)
    await operator.polls(1)
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == version

    for route, body in old.items():
        stage.connect.fault(route, kind="json", body=body)
    await stage.holds("login", {"password": "first"})
    await stage.ready("login", itemVersion="1")


def _answers(stage, route: str) -> object:
    """What the Connect server answers now."""
    vault = stage.connect.state()["vaults"][0]
    path = route.removeprefix("GET ").format(vault=vault["id"], item=vault["contents"][0]["id"])
    headers = {"Authorization": f"Bearer {stage.emulator.token('all')}"}
    return httpx.get(stage.emulator.url + path, headers=headers, trust_env=False).json()


async def test_a_vault_that_cannot_be_listed_any_more_is_told(stage):
    """Its objects say AccessDenied after a second look, readiness and one log line say so too; all of it ends by itself."""
    operator = stage.operator()
    await stage.provide("login")
    before = await stage.data("login")

    stage.connect.fault(GET_ITEMS, status=403, message="not for you")
    stage.rotate("login", "second")
    await stage.says("login", "AccessDenied", ready="False")

    assert await stage.data("login") == before
    assert operator.get("/readyz")[0] == 503
    assert operator.log.read_text().count("cannot list the vaults") == 1

    stage.connect.clear_faults()
    await stage.ready("login", itemVersion="2")
    await stage.holds("login", {"password": "second"})


ODD = "🔑 \u202egnol\u202c \x07"


async def test_names_of_any_characters_are_reported(stage):
    """An emoji in a path, a label or an annotation is nothing rare, and must not stop an object's status or its Secret."""
    stage.operator("--enable-annotations")
    stage.put_item(ODD, {"password": "first", "🔑": "x", ODD: "y"})
    await stage.ask("vault", f"vaults/{ODD}/items/x")
    await stage.ask("item", f"vaults/{VAULT}/items/🔑 missing")
    await stage.ask("path", ODD)
    await stage.ask("login", f"vaults/{VAULT}/items/{ODD}", annotations={"example.com/team": ODD})

    assert (
        "'🔑 \\u202egnol\\u202c \\x07'" in condition_of(await stage.says("vault", "VaultNotFound"), "Ready")["message"]
    )
    assert "'🔑 missing'" in condition_of(await stage.says("item", "ItemNotFound"), "Ready")["message"]
    await stage.says("path", "InvalidPath")
    for name, reason in (("vault", "VaultNotFound"), ("item", "ItemNotFound"), ("path", "InvalidPath")):
        assert "🔑" in (await stage.event(name, reason))["message"]
    found = await stage.ready("login")
    assert "'🔑'" in condition_of(found, "Warning")["message"]
    assert (await stage.secret("login"))["metadata"]["annotations"]["example.com/team"] == ODD
    version = stage.rotate(ODD, "second")
    await stage.ready("login", itemVersion=str(version))
    await stage.holds("login", {"gnol": "y", "password": "second"})


@pytest.mark.parametrize("secret_type", sorted(names.REFUSED_TYPES))
async def test_no_credential_of_the_cluster_is_made(stage, secret_type):
    """Who may request Secrets could otherwise have Kubernetes issue a token of any service account of the namespace."""
    stage.operator("--enable-annotations")
    stage.put_item("login", {"username": "ada", "password": "first"})
    acting = {"kubernetes.io/service-account.name": "default", "example.com/team": "red"}
    await stage.ask("token", f"vaults/{VAULT}/items/login", type=secret_type, annotations=acting)
    await stage.ask("login", annotations=acting)

    refused = await stage.says("token", "TypeRefused", ready="False")
    await stage.ready("login")

    assert secret_type in condition_of(refused, "Ready")["message"]
    assert condition_of(refused, "Stalled")["reason"] == "TypeRefused"
    await stage.event("token", "TypeRefused")
    await stage.has_no_secret("token")
    annotations = (await stage.secret("login"))["metadata"]["annotations"]
    assert annotations["example.com/team"] == "red"
    assert not any("kubernetes.io/" in name for name in annotations)

    await stage.edit("token", {"type": "kubernetes.io/basic-auth"})
    await stage.ready("token")
