import base64
import json

import pytest
from canary_fixtures import Search, answer_badly
from operator_fixtures import GET_ITEMS, GET_VAULTS, HEARTBEAT, VAULT, Stage, encoded, plain_web_server

from keyturn.cluster.resources import SECRETS
from keyturn.core.names import ADOPT
from support.canaries import CANARY, found_in
from support.operator import OperatorProcess

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    "carrier",
    [CANARY, f"x{CANARY}", f"xx{CANARY}y", CANARY * 2, f"tls {CANARY}\n"],
    ids=["alone", "one off", "two off", "twice", "inside"],
)
def test_the_search_finds_what_it_looks_for(carrier):
    """Plain, as JSON and in base64, wherever in a longer text it begins, the canary is found."""
    assert found_in(carrier)
    assert found_in(json.dumps({"a": carrier}))
    assert found_in(base64.b64encode(carrier.encode()).decode())
    assert found_in(base64.b64encode(b"12345" + carrier.encode() + b"67").decode())
    assert not found_in("the keys password, tls.crt of the Secret login at version 2")


async def through_success(stage: Stage) -> None:
    """The canary as a value, under labels of every kind, in an address and in files; added, changed and removed."""
    await stage.provide(
        "login",
        {"password": "first", "old": CANARY, "..illegal": CANARY, "\u65e5\u672c": CANARY},
        files=[{"name": "file", "content": f"file {CANARY}"}, {"name": "###", "content": CANARY}],
        urls=[{"href": f"https://example.com/?token={CANARY}", "label": "site"}],
    )
    await stage.deploy("web", secret="login")
    stage.rotate("login", CANARY)
    await stage.settled("web", restarts=1)
    stage.connect.edit(VAULT, "login", remove_fields=["old"])
    await stage.settled("web", restarts=2)
    stage.connect.attach(VAULT, "login", name="file", content=CANARY.encode() * 2)
    stage.connect.detach(VAULT, "login", name="###")
    await holds_what_it_should(stage)


async def through_hands(stage: Stage) -> None:
    """The canary in hand edits that are undone, in a deleted Secret, in a foreign one that is refused and taken over."""
    for patch in ({"data": encoded({"password": f"hand {CANARY}"})}, {"stringData": {"extra": CANARY}}):
        await stage.edit_secret("login", patch)
        await holds_what_it_should(stage)
    await stage.cluster.delete(SECRETS, stage.namespace, "login")
    await holds_what_it_should(stage)
    stage.put_item("foreign", {"password": CANARY})
    theirs = {"data": encoded({"theirs": CANARY})}
    await stage.cluster.create(SECRETS, stage.namespace, "foreign", theirs, field_manager="helm")
    await stage.ask("foreign")
    await stage.says("foreign", "SecretNotOurs")
    await stage.annotate_secret("foreign", {ADOPT: "true"})
    await stage.ready("foreign")


async def through_refusals(stage: Stage) -> None:
    """The canary in Secrets that the API server refuses: keys missing, form wrong, too much of it, not to be changed."""
    stage.put_item("cert", {"tls.crt": CANARY})
    await stage.ask("cert", type="kubernetes.io/tls")
    stage.put_item("docker", {".dockerconfigjson": f"no json {CANARY}"})
    await stage.ask("docker", type="kubernetes.io/dockerconfigjson")
    stage.put_item("large", {"password": CANARY}, files=[{"name": "big", "content": CANARY * 60_000}])
    await stage.ask("large")
    await stage.says("cert", "SecretInvalid")
    await stage.says("docker", "SecretInvalid")
    await stage.says("large", "SecretTooLarge")
    await stage.edit_secret("foreign", {"immutable": True})
    stage.rotate("foreign", f"new {CANARY}")
    await stage.says("foreign", "SecretImmutable")


async def through_bad_answers(stage: Stage, operator: OperatorProcess, search: Search) -> None:
    """The canary in what Connect answers instead of an item, a list or a heartbeat, and in the values behind it."""
    answer_badly(stage, "login")
    for route in (GET_ITEMS, GET_VAULTS, HEARTBEAT):
        stage.connect.clear_faults()
        since = stage.connect.last_request()
        stage.connect.fault(route, status=500, message=CANARY, count=1)
        stage.connect.fault(route, kind="json", body=[{"id": CANARY, "name": CANARY}])
        stage.rotate("login", f"{since} {CANARY}")
        await stage.ask(f"late-{since}", f"vaults/{VAULT}/items/login")
        stage.connect.wait_requests(2, route=route, since=since)
        search.listen(operator)
        await search.look()
    stage.connect.clear_faults()
    await holds_what_it_should(stage)


async def holds_what_it_should(stage: Stage) -> None:
    """Wait until the Secret holds the item as it is after the edits above."""
    site = f"https://example.com/?token={CANARY}"
    await stage.holds("login", {"password": stage.connect.value(VAULT, "login"), "file": CANARY * 2, "site": site})


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_no_value_ever_leaves_through_another_door(stage, log_format):
    """Put through every path of success and failure, a value is found in Secrets and nowhere else, not even at debug level."""
    search = Search(stage)
    operator = stage.operator("--log-level=debug", f"--log-format={log_format}", AUTO_RESTART="true")

    await through_success(stage)
    await through_hands(stage)
    await through_refusals(stage)
    search.listen(operator)
    await search.look()
    await through_bad_answers(stage, operator, search)
    code = operator.terminate()
    search.read(operator)
    await search.look()

    assert code == 0
    assert search.places() == {
        "/metrics", "/readyz?verbose", "/healthz?verbose", "output", "Secret", "OnePasswordItem", "Deployment", "Event"
    }  # fmt: skip
    assert search.finds() == {}
    assert not search.has(stage.emulator.token("all"))


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_nothing_of_a_strangers_page_is_quoted(stage, status):
    """What a server that is not Connect writes into its pages is not found in anything that the operator says."""
    search = Search(stage)
    stage.put_item("login")
    await stage.ask("login")

    with plain_web_server(f"<html><title>{CANARY}</title>".encode(), "text/html", status=status) as host:
        operator = stage.operator("--log-level=debug", ready=False, OP_CONNECT_HOST=host)
        await stage.says("login", "VaultUnavailable")
        await stage.event("login", "VaultUnavailable")
        search.listen(operator)
        operator.terminate()
    search.read(operator)
    await search.look()

    assert "VaultUnavailable" in operator.logged()
    assert search.finds() == {}
