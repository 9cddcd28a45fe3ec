"""Objects as 1Password's own operator leaves them, and what its users put on items, on a real API server."""

import re
import time

import pytest
from official_operator import (
    RESTARTED,
    OfficialOperator,
    ids_of,
    labels_of,
    poll_would_write,
    version_of,
    wanted_metadata,
)
from operator_fixtures import GET_ITEM, GET_ITEMS, VAULT, annotations_of, condition_of, encoded

from keyturn.cluster.resources import DEPLOYMENTS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core import names
from keyturn.core.managed_fields import data_owners
from support.operator import eventually

pytestmark = pytest.mark.cluster


async def left_by_the_official_operator(stage, name, values):
    """An item, and a OnePasswordItem and its Secret as the official operator leaves them."""
    stage.put_item(name, values)
    await OfficialOperator(stage).item(name, values)


# The environment and the arguments of a Deployment that ran the official operator; address and token come from the stage.
OFFICIAL_ENVIRONMENT = {"OPERATOR_NAME": "operator", "POD_NAME": "operator-0", "MANAGE_CONNECT": "false"}
OFFICIAL_ARGUMENTS = "--zap-log-level=info", "--metrics-secure=false"


async def a_namespace_in_use(stage, official):
    """OnePasswordItems of every sort, annotated Deployments, and Deployments that use the Secrets of both."""
    stage.put_item("login", {"password": "first", "user name": "app", "none": ""})
    await official.item(
        "login",
        {"password": "first", "user-name": "app"},
        labels={"team": "red", "app.kubernetes.io/instance": "shop"},
        annotations={names.AUTO_RESTART: "true", "note": "not copied"},
    )
    stage.put_item("Key Store", {"password": "first"}, files=[{"name": "ca.crt", "base64": "AP8K"}])
    await official.item(
        "store",
        {"password": "first", "ca.crt": b"\x00\xff\n"},
        title="Key Store",
        path=f"vaults/{VAULT.upper()}/items/Key Store",
        labels={names.MANAGED_BY: "Helm"},
    )
    stage.put_item("basic", {"username": "app", "password": "first"})
    path = ids_of(stage, "basic")
    await official.item("basic", {"username": "app", "password": "first"}, path=path, type="kubernetes.io/basic-auth")
    stage.put_item("shop")
    await official.workload("shop", {"password": "first"}, title="shop", item_name="Shop Secret")
    await official.workload("lost", {"password": "first"}, title="shop", item_name="lost")
    gone = dict.fromkeys((names.ITEM_PATH, names.ITEM_NAME))
    await stage.cluster.merge_patch(
        DEPLOYMENTS, stage.namespace, "lost", {"metadata": {"annotations": gone}}, field_manager="kubectl-annotate"
    )
    for number, secret in enumerate(TITLES):
        await stage.deploy(f"web-{number}", secret=secret)
    for name in DEPLOYED:
        await official.restarted(name)


TITLES = {"login": "login", "store": "Key Store", "basic": "basic"}
"""The item of each OnePasswordItem."""
SECRETS_MADE = *TITLES, "shop-secret", "lost"
"""Those of the OnePasswordItems, of an annotated Deployment, and of one that lost its annotations."""
DEPLOYED = "web-0", "web-1", "web-2", "shop", "lost"


async def deployments(stage):
    """All that is known of the Deployments, but for the finalizers and who owns which field."""
    found = {name: await stage.settled(name) for name in DEPLOYED}
    for deployment in found.values():
        for transient in ("finalizers", "managedFields", "resourceVersion"):
            deployment["metadata"].pop(transient, None)
    return found


async def no_finalizers(stage):
    """Wait until nothing is left on which a deletion would wait."""

    async def check():
        for kind in (ONEPASSWORD_ITEMS, DEPLOYMENTS):
            for each in await stage.cluster.list(kind, stage.namespace):
                assert "finalizers" not in each["metadata"], each["metadata"]["name"]

    await eventually(check)


@pytest.mark.parametrize("manager", ["manager", "onepassword-operator"])
async def test_a_namespace_of_the_official_operator_is_taken_over_in_place(stage, manager):
    """Same environment, same arguments: no byte and no owner changes, nothing restarts, nothing is announced, deletions work."""
    await a_namespace_in_use(stage, OfficialOperator(stage, manager=manager))
    before = {name: await stage.secret(name) for name in SECRETS_MADE}
    rolled = await deployments(stage)

    operator = stage.operator(*OFFICIAL_ARGUMENTS, **OFFICIAL_ENVIRONMENT, AUTO_RESTART="true")
    for name in TITLES:
        await stage.ready(name, itemVersion="1")
    await no_finalizers(stage)
    await operator.polls(3)

    for name in SECRETS_MADE:
        after = await stage.secret(name)
        assert after["data"] == before[name]["data"]
        assert after["type"] == before[name]["type"]
        assert after["metadata"]["uid"] == before[name]["metadata"]["uid"]
        assert after["metadata"]["ownerReferences"] == before[name]["metadata"]["ownerReferences"]
        assert annotations_of(before[name]).items() <= annotations_of(after).items()
        assert labels_of(after) == labels_of(before[name]) | (
            {} if name == "lost" else {names.MANAGED_BY: names.PRODUCT}
        )
        assert names.RESTART_OWED not in annotations_of(after)
        told = [event["reason"] for event in await stage.events(name)]
        assert told == (["Adopted"] if name in TITLES else [])
        if name != "lost":
            owners = data_owners(after["metadata"]["managedFields"])
            assert owners == {names.SECRET_MANAGER: frozenset(after["data"])}
    assert await deployments(stage) == rolled
    asked = stage.connect.request_counts()
    assert asked[GET_ITEMS] == 1
    # Of four items. One is fetched again where the watch shows the take-over's first write before its second.
    assert 4 <= asked[GET_ITEM] <= 8
    writes = operator.settled_writes()
    assert writes.pop("patch onepassworditems.onepassword.com") == len(TITLES), "the finalizers"
    assert writes.pop("patch deployments.apps") == 2, "the finalizers"
    assert not [what for what in writes if "delete" in what]
    assert operator.metric("keyturn_apiserver_requests_total", verb="create", resource="secrets", code="201") == 0

    for name in TITLES:
        await stage.unask(name)
    for name in ("shop", "lost"):
        await stage.cluster.delete(DEPLOYMENTS, stage.namespace, name, propagation="Background")
    for name in SECRETS_MADE:
        await stage.has_no_secret(name)
    left = {each["metadata"]["name"] for each in await stage.cluster.list(DEPLOYMENTS, stage.namespace)}
    assert left == {"web-0", "web-1", "web-2"}


async def test_what_changed_between_the_two_operators_arrives_and_restarts(stage):
    """The official operator would write it at its start and restart nobody; here a rotation restarts whenever it is found."""
    await a_namespace_in_use(stage, OfficialOperator(stage))
    before = {name: await stage.restarts(name) for name in DEPLOYED}
    stage.rotate("login", "second")

    stage.operator(AUTO_RESTART="true")

    await stage.holds("login", {"password": "second", "user-name": "app"})
    await stage.settled("web-0", restarts=before["web-0"] + 1)
    await stage.paid("login")
    assert {name: await stage.restarts(name) for name in DEPLOYED} == before | {"web-0": before["web-0"] + 1}


async def test_the_official_operator_finds_nothing_to_do_on_what_is_left_to_it(stage):
    """After rotations and restarts by this operator its poll would write nothing, and its start no byte of data."""
    await a_namespace_in_use(stage, OfficialOperator(stage))
    operator = stage.operator(AUTO_RESTART="true")
    for name in TITLES:
        await stage.ready(name)
    stage.rotate("login", "second")
    stage.rotate("shop", "second")
    stage.put_item("fresh")
    await stage.ask("fresh", labels={"team": "red"}, annotations={names.AUTO_RESTART: "false"})
    await stage.ready("fresh")
    await stage.ready("login", itemVersion="2")
    await stage.holds("shop-secret", {"password": "second"})
    for name in ("login", "shop-secret"):
        await stage.paid(name)
    restarted = [await stage.settled("web-0", restarts=2), await stage.settled("shop", restarts=2)]
    operator.terminate()

    asking = {name: await stage.asked(name) for name in (*TITLES, "fresh")}
    asking["shop-secret"] = restarted[1]
    for name, asked in asking.items():
        secret = await stage.secret(name)
        title = {**TITLES, "fresh": "fresh", "shop-secret": "shop"}[name]
        [owner] = secret["metadata"]["ownerReferences"]
        assert owner.keys() == {"apiVersion", "kind", "name", "uid"}
        assert not poll_would_write(stage, secret, title=title)
        wanted = wanted_metadata(asked, path=ids_of(stage, title), version=version_of(stage, title))
        assert labels_of(secret) == wanted["labels"] | {names.MANAGED_BY: names.PRODUCT}
        assert wanted["annotations"].items() <= annotations_of(secret).items()
        assert all(key.startswith("keyturn.dev/") for key in annotations_of(secret).keys() - wanted["annotations"])
    for deployment in restarted:
        when = deployment["spec"]["template"]["metadata"]["annotations"][names.LAST_RESTARTED]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", when)
        assert when > RESTARTED


async def test_there_and_back_again_restarts_nothing(stage):
    """From the official operator to this one, back, and here again: all the while the same bytes and the same pods."""
    official = OfficialOperator(stage)
    await a_namespace_in_use(stage, official)
    before = {name: await stage.data(name) for name in SECRETS_MADE}
    rolled = await deployments(stage)
    operator = stage.operator(AUTO_RESTART="true")
    for name in TITLES:
        await stage.ready(name)
    await no_finalizers(stage)
    operator.terminate()

    for kind, name, title in (*((ONEPASSWORD_ITEMS, *each) for each in TITLES.items()), (DEPLOYMENTS, "shop", "shop")):
        secret = await official.reconcile(kind, name, title=title)
        assert labels_of(secret).get(names.MANAGED_BY) != names.PRODUCT
        assert not poll_would_write(stage, secret, title=title)
    assert {name: await stage.data(name) for name in SECRETS_MADE} == before

    operator = stage.operator(AUTO_RESTART="true")
    for name in (*TITLES, "shop-secret"):

        async def labelled(name=name):
            assert labels_of(await stage.secret(name)).get(names.MANAGED_BY) == names.PRODUCT

        await eventually(labelled)
    await no_finalizers(stage)
    await operator.polls(3)

    assert {name: await stage.data(name) for name in SECRETS_MADE} == before
    assert await deployments(stage) == rolled


async def test_a_secret_of_the_official_operator_is_taken_over_without_a_restart(stage):
    """Equal bytes stay, the workload keeps its pods, and the next rotation goes on as if nothing had been."""
    await left_by_the_official_operator(stage, "login", {"password": "first", "user": "app"})
    await stage.deploy("web", secret="login")

    operator = stage.operator(AUTO_RESTART="true")
    taken = await stage.ready("login", itemVersion="1")
    await operator.polls(2)

    assert "finalizers" not in taken["metadata"]
    assert await stage.data("login") == {"password": b"first", "user": b"app"}
    assert await stage.restarts("web") == 0

    stage.rotate("login", "second")
    await stage.holds("login", {"password": "second", "user": "app"})
    await stage.settled("web", restarts=1)


async def test_two_operators_at_once_slow_down_and_harm_nothing(stage):
    """Somebody forgot to stop the other one: its finalizer is not fought at full speed, and no byte and no pod changes."""
    official = OfficialOperator(stage)
    stage.put_item("login")
    await official.item("login", {"password": "first"})
    await stage.deploy("web", secret="login")
    stage.operator(AUTO_RESTART="true")
    await stage.ready("login")

    started = time.monotonic()
    for _ in range(4):
        await no_finalizers(stage)
        await official.reconcile(ONEPASSWORD_ITEMS, "login", title="login")
    await no_finalizers(stage)

    assert time.monotonic() - started >= 0.75
    assert await stage.data("login") == {"password": b"first"}
    assert await stage.restarts("web") == 0
    await stage.ready("login")


async def test_a_secret_without_an_owner_waits_for_consent(stage):
    """The official operator fills whatever bears its annotations or the object's name; here somebody must have said so."""
    stage.put_item("login")
    await OfficialOperator(stage).item("login", {"password": "first"})
    await stage.edit_secret("login", {"metadata": {"ownerReferences": None}})
    resolved = {names.ITEM_PATH: ids_of(stage, "login"), names.ITEM_VERSION: "1"}
    stray = {"metadata": {"annotations": resolved}, "data": encoded({"password": "first"})}
    await stage.cluster.create(SECRETS, stage.namespace, "stray", stray, field_manager="kubectl")
    operator = stage.operator()

    await stage.says("login", "SecretNotOurs", ready="False")
    stage.rotate("login", "second")
    await operator.polls(2)
    assert await stage.data("login") == {"password": b"first"}

    await stage.annotate_secret("login", {names.ADOPT: "true"})
    await stage.holds("login", {"password": "second"})
    await stage.ready("login", itemVersion="2")
    assert await stage.data("stray") == {"password": b"first"}


async def test_a_key_of_the_official_operators_that_left_the_item_goes(stage):
    """An apply alone would leave it for ever, since another manager wrote it."""
    await left_by_the_official_operator(stage, "login", {"password": "first", "user": "app"})
    stage.operator()
    await stage.ready("login")

    stage.connect.edit(VAULT, "login", remove_fields=["user"])

    await stage.holds("login", {"password": "first"})


async def test_an_object_with_the_official_finalizer_can_be_deleted(stage):
    """Also one whose deletion was waiting for an operator that is gone."""
    await left_by_the_official_operator(stage, "login", {"password": "first"})
    await stage.unask("login")

    stage.operator()

    await stage.has_no_secret("login")


async def test_an_item_tagged_to_be_ignored_freezes_its_secret(stage):
    """The data stays through rotations and restarts of the operator, the recorded version moves on, and it thaws later."""
    operator = stage.operator(AUTO_RESTART="true")
    await stage.provide("login")
    await stage.deploy("web", secret="login")

    stage.connect.edit(VAULT, "login", tags=[names.IGNORE_TAG], fields=[{"label": "password", "value": "second"}])
    await stage.says("login", "Frozen", ready="True")
    assert (operator.metric("keyturn_items_ready"), operator.metric("keyturn_items_failing")) == (1, 0)
    operator.stop()
    operator = stage.operator(AUTO_RESTART="true")
    await operator.polls(2)

    assert await stage.data("login") == {"password": b"first"}
    assert annotations_of(await stage.secret("login"))[names.ITEM_VERSION] == "2"
    assert await stage.restarts("web") == 0

    stage.connect.edit(VAULT, "login", tags=[])
    await stage.holds("login", {"password": "second"})
    await stage.settled("web", restarts=1)
    await stage.ready("login", itemVersion="3")


async def test_nothing_but_its_deletion_writes_the_data_of_a_frozen_secret(stage):
    """Neither a hand edit, nor an edited object, nor another path, nor an option, nor a full pass: the tag holds on every way."""
    first = stage.operator()
    await stage.provide("login", {"password": "first", "none": ""})
    stage.put_item("other", {"password": "other"}, tags=[names.IGNORE_TAG])
    stage.connect.edit(VAULT, "login", tags=[names.IGNORE_TAG], fields=[{"label": "password", "value": "second"}])
    await stage.says("login", "Frozen", ready="True")

    await stage.edit_secret("login", {"data": encoded({"password": "by hand"})})
    await stage.edit("login", {"metadata": {"labels": {"team": "red"}}})

    async def labelled():
        assert (await stage.secret("login"))["metadata"]["labels"].get("team") == "red"

    await eventually(labelled)
    first.stop()
    second = stage.operator("--allow-empty-values", KEYTURN_FULL_PASS_INTERVAL="1")
    await second.polls(3)
    await stage.edit("login", {"spec": {"itemPath": f"vaults/{VAULT}/items/other"}})
    await stage.says("login", "Frozen", ready="True")
    await second.polls(2)
    assert await stage.data("login") == {"password": b"by hand"}

    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await stage.holds("login", {"password": "other", "notesPlain": ""})


async def test_a_secret_for_a_tagged_item_is_made_if_there_is_none(stage):
    """The tag freezes what is there; it does not keep a first Secret from being made."""
    stage.operator()
    stage.put_item("login", tags=[names.IGNORE_TAG])
    await stage.ask("login")

    await stage.says("login", "Frozen", ready="True")
    await stage.holds("login", {"password": "first"})


async def test_a_title_with_slashes_is_addressed_by_more_parts(stage):
    """A form that the official operator refuses, so no old manifest can mean anything else by it."""
    stage.operator()
    stage.put_item("team/login/db")
    await stage.ask("db", f"vaults/{VAULT}/items/team/login/db")

    await stage.ready("db")
    await stage.holds("db", {"password": "first"})


async def test_annotations_go_along_on_request(stage):
    """All but those by which other tools track their objects; one that leaves the object leaves the Secret."""
    stage.operator("--enable-annotations")
    stage.put_item("login")
    await stage.ask("login", annotations={"team": "red", "argocd.argoproj.io/tracking-id": "x"})
    await stage.ready("login")
    annotations = annotations_of(await stage.secret("login"))
    assert annotations["team"] == "red"
    assert "argocd.argoproj.io/tracking-id" not in annotations

    await stage.edit("login", {"metadata": {"annotations": {"team": None}}})

    async def gone():
        assert "team" not in annotations_of(await stage.secret("login"))

    await eventually(gone)


async def test_long_silence_is_told_on_the_object_and_taken_back(stage):
    """Ready goes with a reason once nothing was heard for longer than permitted; the Secret stays all the while."""
    stage.operator(KEYTURN_MAX_STALENESS="2")
    await stage.provide("login")
    before = (await stage.secret("login"))["metadata"]["resourceVersion"]

    stage.connect.outage(True)
    silent = await stage.says("login", "SourceSilent", ready="False")
    assert condition_of(silent, "Stale")["status"] == "True"
    stage.connect.outage(False)
    back = await stage.ready("login")

    assert condition_of(back, "Stale") == {}
    assert (await stage.secret("login"))["metadata"]["resourceVersion"] == before
