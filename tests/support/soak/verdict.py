"""The verdict on what is there when the faults have stopped: Secrets, statuses, logs, processes."""

import asyncio
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from keyturn.cluster.resources import ONEPASSWORD_ITEMS, SECRETS
from keyturn.core.names import RESTART_OWED
from support.crew import Crew
from support.proving_ground import VAULT, Ground
from support.soak.actors import CANARY
from support.soak.cast import KEYS, Member

_BAD_WORDS = ("Traceback (most recent call last)", " ERROR ", " CRITICAL ", " failed with ", CANARY)
"""What no log may hold."""

_EXPECTED = "no longer leading, so this process ends"
"""An error that is right: the operator was suspended, or without the API server."""


async def unsettled(ground: Ground, members: Mapping[str, Member]) -> list[str]:
    """What is not yet as it must be, in words.

    Raises:
        ClusterError: the API server could not be asked.
    """
    secrets = {each["metadata"]["name"]: each for each in await ground.cluster.list(SECRETS, ground.namespace)}
    objects = {
        each["metadata"]["name"]: each for each in await ground.cluster.list(ONEPASSWORD_ITEMS, ground.namespace)
    }
    versions = await asyncio.to_thread(_versions, ground)
    wrong = [f"Secret {name} is left" for name in sorted(secrets.keys() - members.keys())]
    for name, member in members.items():
        if name not in secrets:
            wrong.append(f"Secret {name} is missing")
            continue
        wanted = await asyncio.to_thread(_wanted, ground, name)
        wrong += [f"Secret {name} {what}" for what in _wrong_secret(secrets[name], wanted)]
        if not member.annotated:
            wrong += [f"{name}: {what}" for what in _wrong_status(objects[name], versions[name])]
    return wrong


def bad_lines(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Lines that no log may hold.

    Args:
        texts: pairs of a name and a log.
    """
    return [
        f"{name}: {line}"
        for name, text in texts
        for line in text.splitlines()
        if any(word in line for word in _BAD_WORDS) and _EXPECTED not in line
    ]


def logs_of(crew: Crew) -> list[tuple[str, str]]:
    """The logs of the operators, by name."""
    return [(each.log.name, each.logged()) for each in crew.operators]


def left_over(crew: Crew) -> list[str]:
    """Processes of operators that still run, in words."""
    return [f"process {pid} of an operator still runs" for pid in sorted(crew.pids) if psutil.pid_exists(pid)]


def _versions(ground: Ground) -> dict[str, str]:
    [vault] = ground.emulator.admin.state()["vaults"]
    return {item["title"]: str(item["version"]) for item in vault["contents"]}


def _wanted(ground: Ground, name: str) -> dict[str, str]:
    return {key: ground.emulator.admin.value(VAULT, name, label=key) for key in KEYS}


def _wrong_secret(secret: Mapping[str, Any], wanted: Mapping[str, str]) -> list[str]:
    held = {key: b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
    wrong = [f"has a wrong {key}" for key in sorted(held.keys() | wanted.keys()) if held.get(key) != wanted.get(key)]
    if RESTART_OWED in (secret["metadata"].get("annotations") or {}):
        wrong.append("owes restarts")
    return wrong


def _wrong_status(obj: Mapping[str, Any], version: str) -> list[str]:
    status = obj.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready = conditions.get("Ready", {})
    wrong = []
    if (ready.get("status"), ready.get("reason")) != ("True", "Synced"):
        wrong.append(f"is not ready: {ready.get('reason')}: {ready.get('message')}")
    wrong += [f"is {each['type']}: {each['message']}" for each in conditions.values()
              if each["type"] != "Ready" and each["status"] == "True"]  # fmt: skip
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        wrong.append("has an old generation observed")
    if str(status.get("itemVersion")) != version:
        wrong.append(f"says version {status.get('itemVersion')} of {version}")
    if (status.get("restarts") or {}).get("owed", 0) != 0 or "owed" not in (status.get("restarts") or {"owed": 0}):
        wrong.append(f"says {status['restarts']} of restarts")
    return wrong
