"""The cast: what the objects of a run are called, and which keys of which Secrets each workload uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from keyturn.cluster.resources import DAEMONSETS, DEPLOYMENTS, STATEFULSETS, Resource
from support.casting import asking, is_annotated, shares

KEYS = ("endpoint", "password", "username")
"""Of every item. The first is never changed by anybody in 1Password."""

_KINDS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)


@dataclass(frozen=True)
class Workload:
    """A workload that wants to be restarted.

    Attributes:
        name: of the object.
        resource: its kind.
        uses: keys by Secret; `KEYS` for a Secret that is used as a whole.
        requests: the Secret that its annotations ask for; empty for none.
    """

    name: str
    resource: Resource
    uses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    requests: str = ""

    def body(self) -> dict[str, Any]:
        """The manifest, of which no pod ever starts."""
        wholes = [secret for secret, keys in self.uses.items() if keys == KEYS]
        single = [(secret, key) for secret, keys in self.uses.items() if keys != KEYS for key in keys]
        container = {
            "name": "main",
            "image": "nowhere.example/none",
            "envFrom": [{"secretRef": {"name": secret}} for secret in wholes],
            "env": [
                {"name": f"V{number}", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
                for number, (secret, key) in enumerate(single)
            ],
        }
        labels = {"app": self.name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
        if self.resource is not DAEMONSETS:
            spec["replicas"] = 0
        if self.resource is STATEFULSETS:
            spec["serviceName"] = self.name
        annotations = asking(self.requests) if self.requests else {}
        return {"metadata": {"annotations": annotations}, "spec": spec}


@dataclass(frozen=True, eq=False)
class Member:
    """One Secret, who asks for it, and the workloads that use no other.

    Attributes:
        name: of the Secret, its item and its OnePasswordItem.
        annotated: whether the first workload asks for it, and no OnePasswordItem does.
        workloads: its own.
    """

    name: str
    annotated: bool
    workloads: tuple[Workload, ...]


@cache
def member(number: int, *, passing: bool = False) -> Member:
    """A member of the cast.

    Args:
        number: decides about its kinds of workloads.
        passing: whether it comes and goes during the run.
    """
    name = f"{'t' if passing else 's'}{number:03d}"
    kinds = [_KINDS[(number + turn) % len(_KINDS)] for turn in range(len(_KINDS))]
    annotated = is_annotated(number)
    first = Workload(
        f"own-{name}", kinds[0], {name: KEYS if annotated else ("password",)}, requests=name if annotated else ""
    )
    return Member(
        name,
        annotated,
        (
            first,
            Workload(f"user-{name}", kinds[1], {name: ("username",)}),
            Workload(f"whole-{name}", kinds[2], {name: KEYS}),
            Workload(f"bystander-{name}", kinds[0], {name: ("endpoint",)}),
        ),
    )


def shared(members: Sequence[Member]) -> list[Workload]:
    """Workloads that use the passwords of several Secrets."""
    groups = shares([each.name for each in members])
    return [Workload(name, DEPLOYMENTS, dict.fromkeys(secrets, ("password",))) for name, secrets in groups.items()]
