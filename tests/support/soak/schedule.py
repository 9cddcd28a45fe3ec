"""The schedule of a run: what goes wrong and what people do, when and for how long. It depends on the seed alone."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from support.soak.cast import member

SIDES = ("people", "Connect", "API server", "operator")
"""What acts. The steps of one side follow each other; the sides act at the same time."""

CONNECT_FAULTS: dict[str, tuple[str, dict[str, object]]] = {
    "400": ("GET /v1/*", {"status": 400}),
    "401": ("GET /v1/*", {"status": 401}),
    "403": ("GET /v1/*", {"status": 403}),
    "404 of items": ("GET /v1/vaults/{vault}/items/{item}", {"status": 404}),
    "429": ("*", {"status": 429, "retry_after": 1}),
    "429 with a date": ("*", {"status": 429, "retry_after": 2, "retry_after_date": True}),
    "500": ("*", {"status": 500}),
    "500 of items": ("GET /v1/vaults/{vault}/items/{item}", {"status": 500}),
    "503": ("*", {"status": 503, "retry_after": 1}),
    "page of a proxy": ("*", {"kind": "html", "status": 502}),
    "page that says 200": ("*", {"kind": "html"}),
    "redirect": ("*", {"kind": "redirect"}),
    "no body": ("*", {"kind": "empty"}),
    "cut answers": ("*", {"kind": "truncate"}),
    "stalled answers": ("*", {"kind": "stall"}),
    "hanging answers": ("*", {"kind": "hang"}),
    "slow answers": ("*", {"kind": "pass", "delay_s": 1.5}),
    "resets": ("*", {"kind": "reset"}),
    "short keep-alive": ("*", {"kind": "once"}),
    "invalid JSON": ("*", {"kind": "invalid_json"}),
    "invalid UTF-8": ("*", {"kind": "invalid_utf8"}),
    "no vaults": ("GET /v1/vaults", {"kind": "json", "body": []}),
    "no items": ("GET /v1/vaults/{vault}/items", {"kind": "json", "body": []}),
    "broken lists": ("GET /v1/vaults/{vault}/items", {"kind": "json", "body": [{"id": 7}]}),
    "broken items": ("GET /v1/vaults/{vault}/items/{item}", {"kind": "json", "body": {"id": "x", "fields": 3}}),
    "cut items": ("GET /v1/vaults/{vault}/items/{item}", {"kind": "truncate", "framing": "close"}),
}
"""Faults of Connect's answers: a route and the members of a fault rule."""

OUTAGES = ("refuse", "reset", "hang")
API_FAULTS = ("409", "429", "500", "503", "unsent", "unanswered")
OPERATOR_FAULTS = ("kill", "kill the leader", "kill amid writes", "end the leader", "suspend the leader")

_PASSING = 12
"""So many numbers of members that come and go."""


@dataclass(frozen=True)
class Step:
    """One thing that happens.

    Attributes:
        at: seconds since the beginning; later if the step before it on its side is not done by then.
        side: what acts.
        action: what it does.
        lasts: for how many seconds; 0 for something that is done at once.
        names: of the Secrets that it is about.
        keys: whose values change.
        number: says more, as a share in percent, or as the number of a write.
        choice: says more, as the kind of a fault.
    """

    at: float
    side: str
    action: str
    lasts: float = 0.0
    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    number: int = 0
    choice: str = ""

    @property
    def kind(self) -> str:
        """What it does, with its choice."""
        return ": ".join(filter(None, (self.action, self.choice)))

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.kind, " ".join(self.names), "+".join(self.keys))))
        number = f" ({self.number})" if self.number else ""
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:7.1f} s  {self.side}: {what}{number}{lasts}"


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        seed: of everything that is left to chance.
        seconds: how long it lasts, until the faults stop.
        secrets: how many there are all the time.
        restarts_api_server: whether the API server may be killed.
    """

    seed: int
    seconds: float
    secrets: int = 20
    restarts_api_server: bool = False


def schedule(plan: Plan) -> list[Step]:
    """All steps, in the order of their times."""
    sides = (
        _people(random.Random(f"{plan.seed} people"), plan),
        _connect(random.Random(f"{plan.seed} Connect"), plan),
        _api_server(random.Random(f"{plan.seed} API server"), plan),
        _operator(random.Random(f"{plan.seed} operator"), plan),
    )
    return sorted((step for side in sides for step in side), key=lambda step: step.at)


def _people(chance: random.Random, plan: Plan) -> Iterator[Step]:
    lasting = [f"s{number:03d}" for number in range(plan.secrets)]
    present: list[str] = []
    absent = [f"t{number:03d}" for number in range(_PASSING)]
    at = 0.0
    while (at := at + chance.uniform(0.3, 3.0)) < plan.seconds:
        names = lasting + present
        one = (chance.choice(names),)
        some = tuple(sorted(chance.sample(names, chance.randint(2, len(names) // 2))))
        keys = chance.choice((("password",), ("password",), ("username",), ("password", "username")))
        action = chance.choices(
            ("rotate", "rotate many", "rotate all", "rotate and back", "save without a change", "edit the Secret",
             "delete the Secret", "scale", "create", "delete", "delete and create", "create a workload again"),
            (8, 4, 1, 2, 2, 4, 3, 3, 4, 3, 2, 2),
        )[0]  # fmt: skip
        if action == "create" and absent:
            name = absent.pop(chance.randrange(len(absent)))
            present.append(name)
            yield Step(at, "people", action, names=(name,))
        elif action == "delete" and present:
            name = present.pop(chance.randrange(len(present)))
            absent.append(name)
            yield Step(at, "people", action, names=(name,))
        elif action == "delete and create" and present:
            yield Step(at, "people", action, names=(chance.choice(present),))
        elif action == "edit the Secret":
            yield Step(at, "people", action, names=one, choice=_edit(chance, *one))
        elif action in {"rotate", "rotate and back"}:
            yield Step(at, "people", action, names=one, keys=keys)
        elif action == "rotate many":
            yield Step(at, "people", action, names=some, keys=keys)
        elif action == "rotate all":
            yield Step(at, "people", action, names=tuple(lasting), keys=keys)
        elif action in {"save without a change", "delete the Secret", "scale", "create a workload again"}:
            yield Step(at, "people", action, names=one)


def _edit(chance: random.Random, secret: str) -> str:
    """What somebody edits of a Secret."""
    choice = chance.choice(("a value", "another key", "no key", "a label", "no item version"))
    if choice == "no item version" and member(int(secret[1:])).annotated:
        # Nothing else proves that a Secret of a workload is ours: it would be left alone, as a foreign one.
        return "a label"
    return choice


def _connect(chance: random.Random, plan: Plan) -> Iterator[Step]:
    at = 0.0
    while (at := at + chance.uniform(1.0, 6.0)) < plan.seconds:
        lasts = round(chance.uniform(0.5, 8.0), 1)
        action = chance.choices(("answers", "outage", "old versions", "restart", "drop connections"), (8, 2, 2, 1, 1))[
            0
        ]
        if action in {"restart", "drop connections"}:
            yield Step(at, "Connect", action)
            continue
        choice = {"answers": chance.choice(list(CONNECT_FAULTS)), "outage": chance.choice(OUTAGES)}.get(action, "")
        number = chance.choice((20, 50, 100)) if action == "answers" else 0
        yield Step(at, "Connect", action, lasts=min(lasts, plan.seconds - at), choice=choice, number=number)
        at += lasts


def _api_server(chance: random.Random, plan: Plan) -> Iterator[Step]:
    """The API server is killed in the first half alone: a leader that is without it for too long ends."""
    at = 0.0
    while (at := at + chance.uniform(1.0, 8.0)) < plan.seconds:
        lasts = round(chance.uniform(1.0, 10.0), 1)
        action = chance.choices(("answers", "cut watches", "kill"), (6, 2, 1))[0]
        if action == "answers":
            number = chance.choice((5, 10, 30))
            choice = chance.choice(API_FAULTS)
            yield Step(at, "API server", action, lasts=min(lasts, plan.seconds - at), number=number, choice=choice)
            at += lasts
        elif action == "cut watches":
            yield Step(at, "API server", action)
        elif plan.restarts_api_server and at < plan.seconds / 2:
            yield Step(at, "API server", action)
            at += 10.0


def _operator(chance: random.Random, plan: Plan) -> Iterator[Step]:
    """Operators end in the first half alone: what lives through the second half shows whether memory stays flat."""
    at = 0.0
    while (at := at + chance.uniform(5.0, 20.0)) < plan.seconds / 2:
        action = chance.choice(OPERATOR_FAULTS)
        if action == "suspend the leader":
            yield Step(at, "operator", action, lasts=round(chance.uniform(0.5, 16.0), 1))
        else:
            yield Step(at, "operator", action, number=chance.randint(1, 60) if action == "kill amid writes" else 0)
