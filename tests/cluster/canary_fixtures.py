"""What the tests with canaries share: a record of everything that an operator says, and answers that hold a canary."""

import json
from urllib.parse import quote

from operator_fixtures import GET_ITEM, Stage, decoded

from keyturn.cluster.resources import DEPLOYMENTS, EVENTS, KEYTURN_SECRETS, ONEPASSWORD_ITEMS
from support.canaries import CANARY, found_in
from support.operator import OperatorProcess

_BAD_ANSWERS = (
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
"""Rules for faults of Connect."""


def answer_badly(stage: Stage, title: str) -> None:
    """Let Connect answer in every bad way when an item is fetched, which is rotated each time."""
    for rule in _BAD_ANSWERS:
        stage.connect.clear_faults()
        since = stage.connect.last_request()
        stage.connect.fault(GET_ITEM, **rule)
        stage.rotate(title, f"{since} {CANARY}")
        stage.connect.wait_requests(1, route=GET_ITEM, since=since)


class Search:
    """Everything that the operator says to anybody but through the data of a Secret.

    What Secrets hold is looked for, too, also if it was made of several values or by a filter.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._heard: dict[str, str] = {}
        self._held: set[bytes] = set()
        self._public = b""

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
        for resource in (ONEPASSWORD_ITEMS, KEYTURN_SECRETS, DEPLOYMENTS, EVENTS):
            everything[resource.kind] = await self._stage.cluster.list(resource, self._stage.namespace)
        secrets = await self._stage.secrets()
        specs = [shaped["spec"] for shaped in everything[KEYTURN_SECRETS.kind]]
        # Templates are no secret, and some of their text is in Secrets.
        self._public += "".join(text for spec in specs for text in spec.get("templates", {}).values()).encode()
        self._held |= {value for secret in secrets for value in decoded(secret).values()}
        everything["Secret"] = [{**secret, "data": sorted(secret.get("data") or {})} for secret in secrets]
        for kind, objects in ((kind, objects) for kind, objects in everything.items() if objects):
            self._heard[kind] = self._heard.get(kind, "") + json.dumps(objects, ensure_ascii=False)

    def finds(self) -> dict[str, list[str]]:
        """Where a canary is, or what a Secret held, and in which disguises."""
        return {
            where: found
            for where, text in self._heard.items()
            if (found := found_in(text, self._held, public=self._public))
        }

    def has(self, text: str) -> bool:
        """Whether a text is anywhere as it stands."""
        return any(text in heard for heard in self._heard.values())

    def places(self) -> set[str]:
        """Where was looked, and something was found to look at."""
        return {where for where, text in self._heard.items() if text}
