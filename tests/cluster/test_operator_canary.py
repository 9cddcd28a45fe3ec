import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from operator_fixtures import GET_ITEM, GET_ITEMS, GET_VAULTS, HEARTBEAT, VAULT, Stage, encoded, plain_web_server

from keyturn.cluster.resources import DEPLOYMENTS, EVENTS, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core.names import ADOPT
from support.operator import OperatorProcess

pytestmark = pytest.mark.cluster

CANARY = "kT7#canary-Qz9\u00fc&<x>"
"""Unmistakable, with characters that JSON, HTML, URLs and log lines write in ways of their own."""


def disguises(text: str) -> Iterator[str]:
    """The ways in which a text may stand in another: plain, escaped, and in base64 at each of its three offsets."""
    raw = text.encode()
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(json.dumps(text))[3:-3]
    yield quote(text, safe="")
    yield repr(raw)[2:-1]
    yield raw.hex()
    # A part that no encoder has a reason to touch, for escapes that nobody thought of.
    yield "canary-Qz9"
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # Without the characters at either end that also depend on the neighbours.
            code = encode(b"\0" * offset + raw).decode().rstrip("=")
            yield code[(0, 2, 3)[offset] : len(code) - (0 if (len(raw) + offset) % 3 == 0 else 1)]


DISGUISES = sorted(set(disguises(CANARY)))


def found_in(text: str) -> list[str]:
    """The disguises of the canary that a text holds."""
    return [disguise for disguise in DISGUISES if disguise in text]


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


class Search:
    """Everything that the operator says to anybody but through the data of a Secret."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._heard: dict[str, str] = {}

    def listen(self, operator: OperatorProcess) -> None:
        """Take down what its endpoints say now."""
        for path in ("/metrics", "/readyz?verbose", "/healthz?verbose"):
            self._heard[path] = self._heard.get(path, "") + operator.get(path)[1]

    def read(self, operator: OperatorProcess) -> None:
        """Take down all that it wrote."""
        self._heard["output"] = operator.logged()

    async def look(self) -> None:
        """Take down what stands on all objects now; Secrets without their data."""
        everything = {}
        for resource in (ONEPASSWORD_ITEMS, DEPLOYMENTS, EVENTS):
            everything[resource.kind] = await self._stage.cluster.list(resource, self._stage.namespace)
        secrets = await self._stage.secrets()
        everything["Secret"] = [{**secret, "data": sorted(secret.get("data") or {})} for secret in secrets]
        for kind, objects in everything.items():
            self._heard[kind] = self._heard.get(kind, "") + json.dumps(objects, ensure_ascii=False)

    def finds(self) -> dict[str, list[str]]:
        """Where the canary is, and in which disguises."""
        return {where: found for where, text in self._heard.items() if (found := found_in(text))}

    def has(self, text: str) -> bool:
        """Whether a text is anywhere as it stands."""
        return any(text in heard for heard in self._heard.values())

    def places(self) -> set[str]:
        """Where was looked, and something was found to look at."""
        return {where for where, text in self._heard.items() if text not in {"", "[]"}}


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


BAD_ANSWERS = (
    {"status": 500, "message": f"cannot decrypt {CANARY}"},
    {"status": 403, "message": CANARY},
    {"status": 404, "message": f"no item with {CANARY}"},
    {"kind": "json", "body": {"id": CANARY, "fields": [{"value": CANARY}]}},
    {"kind": "json", "body": [{"id": "x", "title": 5, "name": [CANARY]}]},
    {"kind": "redirect", "location": f"https://evil.example/{quote(CANARY)}"},
    {"kind": "truncate"},
    {"kind": "invalid_json"},
    {"kind": "invalid_utf8"},
)


async def through_bad_answers(stage: Stage, operator: OperatorProcess, search: Search) -> None:
    """The canary in what Connect answers instead of an item, a list or a heartbeat, and in the values behind it."""
    for rule in BAD_ANSWERS:
        stage.connect.clear_faults()
        since = stage.connect.last_request()
        stage.connect.fault(GET_ITEM, **rule)
        stage.rotate("login", f"{since} {CANARY}")
        stage.connect.wait_requests(1, route=GET_ITEM, since=since)
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
