"""Every character through every write, on a real API server: what people call things must never decide whether a write arrives."""

import asyncio

import pytest

from keyturn.cluster.events import About, EventPoster
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import DEPLOYMENTS, EVENTS, LEASES, ONEPASSWORD_ITEMS, SECRETS
from keyturn.core.events import Event
from support.fake_time import FakeTime
from support.operator import eventually

pytestmark = pytest.mark.cluster

BASIC = "".join(map(chr, range(0x10000)))
"""The Basic Multilingual Plane: control characters, line separators, bidirectional marks, halves of characters."""

ASTRAL = "".join(chr(plane * 0x10000 + low) for plane in range(1, 17) for low in (0, 1, 0xF511, 0xFFFD, 0xFFFE, 0xFFFF))
"""Characters of all other planes, the last that there is among them."""

TRICKY = '🔑 "\\ud83d\\\\" \\🔑\\ \ud83d🔑\udd11 \u202eright\u202c - # : {a: b} &x *x !x %x @x `x` \t \r\n --- ...\n'
"""What YAML might take for something of its own, and halves beside whole characters."""

TEXTS = (BASIC, ASTRAL, TRICKY, "🔑" * 20_000, "")
NAME = "n" * 63 + ("." + "n" * 63) * 2 + "." + "n" * 61
LONG_KEY = f"{NAME}/{'k' * 63}"
LEGAL_LABEL = "l" * 63


def in_go(text):
    """The text as an API server keeps it: halves of characters become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def noted(text):
    return {"metadata": {"annotations": {"example.com/note": text, LONG_KEY: "long"}}}


async def create(cluster: Cluster, resource, namespace, name, body):
    await cluster.create(resource, namespace, name, body, field_manager="keyturn")


async def apply(cluster: Cluster, resource, namespace, name, body):
    await cluster.apply(resource, namespace, name, body, field_manager="keyturn")


async def merge(cluster: Cluster, resource, namespace, name, body):
    await cluster.merge_patch(resource, namespace, name, body, field_manager="keyturn")


async def operations(cluster: Cluster, resource, namespace, name, body):
    (member,) = body
    await cluster.json_patch(
        resource, namespace, name, [{"op": "add", "path": f"/{member}", "value": body[member]}], field_manager="keyturn"
    )


WRITERS = {"create": create, "apply": apply, "merge": merge, "json patch": operations}


@pytest.mark.parametrize("resource", [SECRETS, LEASES, ONEPASSWORD_ITEMS], ids=lambda resource: resource.plural)
@pytest.mark.parametrize("writer", WRITERS)
async def test_every_character_passes_through_every_verb(cluster, namespace, crds, writer, resource):
    """An emoji in an annotation once stopped every later write of the object."""
    assert len(NAME) == 253
    if writer in {"merge", "json patch"}:
        await cluster.create(resource, namespace, NAME, {}, field_manager="tests")
    for number, text in enumerate(TEXTS):
        body = noted(text)
        if writer == "json patch":
            # It replaces all metadata, and must name what the API server does not let go.
            found = await cluster.get_metadata(resource, namespace, NAME)
            body = {"metadata": {**found["metadata"], **body["metadata"]}}
        name = f"{number}{NAME[1:]}" if writer == "create" else NAME

        await WRITERS[writer](cluster, resource, namespace, name, body)

        found = await cluster.get(resource, namespace, name)
        assert found["metadata"]["annotations"] == {"example.com/note": in_go(text), LONG_KEY: "long"}


async def test_every_character_passes_through_a_status(cluster, namespace, crds):
    """A status quotes titles and labels; one that cannot be written leaves its object without an answer for ever."""
    await cluster.create(ONEPASSWORD_ITEMS, namespace, NAME, {}, field_manager="tests")
    for text in TEXTS:
        condition = {"type": "Ready", "status": "False", "reason": "ItemNotFound", "message": text}
        body = {"status": {"observedGeneration": 1, "conditions": [condition], "secret": {"keys": [text]}}}

        await cluster.apply(
            ONEPASSWORD_ITEMS, namespace, NAME, body, field_manager="keyturn-status", subresource="status"
        )

        status = (await cluster.get(ONEPASSWORD_ITEMS, namespace, NAME))["status"]
        assert status["conditions"] == [{**condition, "message": in_go(text)}]
        assert status["secret"]["keys"] == [in_go(text)]


async def test_every_character_passes_through_a_restart(cluster, namespace):
    """A pod template is patched beside annotations of other people."""
    template = {
        "metadata": {"labels": {"app": LEGAL_LABEL}, "annotations": {"example.com/note": in_go(TRICKY)}},
        "spec": {"containers": [{"name": "main", "image": "nowhere.example/none"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": LEGAL_LABEL}}, "template": template}
    await cluster.create(DEPLOYMENTS, namespace, NAME, {"spec": spec}, field_manager="tests")
    for text in TEXTS:
        patch = {"spec": {"template": noted(text)}}
        await cluster.merge_patch(DEPLOYMENTS, namespace, NAME, patch, field_manager="keyturn-restart")

        found = await cluster.get(DEPLOYMENTS, namespace, NAME)
        annotations = found["spec"]["template"]["metadata"]["annotations"]
        assert annotations["example.com/note"] == in_go(text)


async def test_every_character_passes_through_an_event(cluster, namespace, crds):
    """An Event is cut and kept on one line, but never lost."""
    made = await cluster.create(ONEPASSWORD_ITEMS, namespace, NAME, {}, field_manager="tests")
    about = About(ONEPASSWORD_ITEMS, namespace, NAME, made["metadata"]["uid"])
    outcomes: list[str] = []
    poster = EventPoster(cluster, time=FakeTime(), on_outcome=outcomes.append)
    for number, text in enumerate(TEXTS):
        for message in (text, f"{number} 🔑 {text[-500:]}"):
            poster.post(about, Event("ItemNotFound", message, warning=True))

    task = asyncio.create_task(poster.run())

    async def all_posted() -> None:
        assert outcomes == ["posted"] * len(TEXTS) * 2

    await eventually(all_posted)
    task.cancel()
    messages = [event.get("message", "") for event in await cluster.list(EVENTS, namespace)]
    assert sum(message.startswith(tuple(f"{number} 🔑" for number in range(len(TEXTS)))) for message in messages) == 5
    assert all(len(message) <= 1024 for message in messages)
    assert all(message.isprintable() for message in messages)
