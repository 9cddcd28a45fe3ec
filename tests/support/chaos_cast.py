"""Who takes part in a run of chaos: what requests Secrets, which workload uses which key, and what each rotation changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyturn.cluster.resources import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, Resource
from support.casting import asking, is_annotated, item_path, shares

_HASHED = 4
"""Every so many shaped Secrets, one has a key whose bytes differ each time they are made. They must stay while they fit."""


@dataclass(frozen=True)
class User:
    """A workload that uses one key of one Secret.

    Attributes:
        name: of the workload.
        secret: that it uses.
        key: of that Secret.
        annotations: of the workload.
    """

    name: str
    secret: str
    key: str
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """What one rotation does.

    Attributes:
        titles: of the items whose password is rotated.
        keys: of the Secrets that change by it.
    """

    titles: Sequence[str]
    keys: frozenset[str]


@dataclass(frozen=True)
class Cast:
    """All that take part.

    Attributes:
        secrets: names of the Secrets; each has an item of the same title.
        more_items: titles of further items.
        resource: the kind of object that requests Secrets.
        objects: the specs of these objects, by the name of the Secret.
        users: workloads that use one Secret.
        shared: Secrets that one workload uses together, by its name.
        shared_key: of each of these Secrets. Every rotation changes it.
        turns: what rotations do, in turn.
    """

    secrets: Sequence[str]
    more_items: Sequence[str]
    resource: Resource
    objects: Mapping[str, Mapping[str, Any]]
    users: Sequence[User]
    shared: Mapping[str, Sequence[str]]
    shared_key: str
    turns: Sequence[Turn]

    def turn(self, rotation: int) -> Turn:
        """What a rotation does; they count from 1."""
        return self.turns[(rotation - 1) % len(self.turns)]

    def restarts(self, user: User, rotations: int) -> int:
        """How often so many rotations must restart a workload."""
        return sum(user.key in self.turn(rotation).keys for rotation in range(1, rotations + 1))

    def restarted_last(self, secret: str, rotations: int) -> int:
        """How many workloads the last rotation must restart for one Secret, the shared one included."""
        changed = self.turn(rotations).keys
        return sum(user.key in changed for user in self.users if user.secret == secret) + 1


def plain(number: int) -> Cast:
    """As many Secrets as with 1Password's own operator: each is one item."""
    secrets = _names(number)
    annotated = {name: asking(name) for number, name in enumerate(secrets) if is_annotated(number)}
    own = [User(f"own-{name}", name, "password", annotated.get(name, {})) for name in secrets]
    return Cast(
        secrets=secrets,
        more_items=(),
        resource=ONEPASSWORD_ITEMS,
        objects={name: {"itemPath": item_path(name)} for name in secrets if name not in annotated},
        users=[*own, *(User(f"bystander-{name}", name, "username") for name in secrets)],
        shared=shares(secrets),
        shared_key="password",
        turns=[Turn(secrets, frozenset({"password"}))],
    )


def shaped(number: int) -> Cast:
    """As many Secrets that KeyturnSecrets make of two items each, one of which others use, too; the two are rotated in turn."""
    secrets = _names(number)
    groups = shares(secrets)
    mails = {name: f"mail-{group}" for group, names in groups.items() for name in names}
    hashed = [name for name in secrets if int(name[1:]) % _HASHED == 0]
    users = [
        User(f"{part}-{name}", name, key)
        for name in secrets
        for part, key in (("url", "URL"), ("own", "PASSWORD"), ("mail", "MAIL_PASSWORD"), ("bystander", "USER"))
    ]
    return Cast(
        secrets=secrets,
        more_items=sorted(set(mails.values())),
        resource=KEYTURN_SECRETS,
        objects={name: _shape(name, mails[name], hashed=name in hashed) for name in secrets},
        users=[*users, *(User(f"hash-{name}", name, "HASH") for name in hashed)],
        shared=groups,
        shared_key="URL",
        turns=[
            Turn(secrets, frozenset({"PASSWORD", "URL", "HASH"})),
            Turn(sorted(set(mails.values())), frozenset({"MAIL_PASSWORD", "URL"})),
        ],
    )


def _shape(name: str, mail: str, *, hashed: bool) -> dict[str, Any]:
    keys = {"USER": "username", "PASSWORD": "password", "MAIL_PASSWORD": "mail/password"}
    return {
        "itemPath": item_path(name),
        "items": {"mail": item_path(mail)},
        "keys": keys | ({"HASH": "password | bcrypt"} if hashed else {}),
        "templates": {
            "URL": "x://{{ username | urlencode }}:{{ password | urlencode }}@{{ mail/password | b64encode }}"
        },
    }


def _names(number: int) -> list[str]:
    return [f"s{each:03d}" for each in range(number)]
