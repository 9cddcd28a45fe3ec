"""Consent: the labels of a namespace are read before each use, once for all passes that wait for them."""

import asyncio

import pytest

from keyturn.cluster import NAMESPACES, Forbidden
from keyturn.control.sync.consent import Consent
from keyturn.control.sync.situations import Situations
from keyturn.core.connection import ConnectionKey, UsableFrom
from keyturn.core.label_selectors import LabelRequirement, LabelSelector
from keyturn.core.outcomes import Ended
from support.sync_world import NAMESPACE, World

FOREIGN = ConnectionKey("b", "work")
TEAM = LabelSelector((LabelRequirement("team", "In", ("a",)),))


class Asking(World):
    """Objects that name a Connection of another namespace.

    Attributes:
        changed: the keys whose request differed after a reading.
    """

    def __init__(self):
        super().__init__()
        self.changed = []
        situations = Situations(self.connections, polling_interval=600, time=self.time)
        self.consent = Consent(
            self.api, registry=self.registry, situations=situations, on_change=self.changed.append, time=self.time
        )
        self.connect(FOREIGN, usable_from=UsableFrom(selector=TEAM))
        self.api.add(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": {"team": "a"}}})

    def ask(self, name="db"):
        return self.add_shaped(name, connectionRef={"name": "work", "namespace": "b"})

    async def ends(self, request):
        """With what it ends the pass; None if that goes on."""
        try:
            await self.consent.stop_unless_served(request)
        except Ended as ended:
            return ended.outcome.result
        return None

    def latest(self, request):
        return self.registry.get(request.key)


@pytest.fixture(name="world")
def _world():
    return Asking()


async def test_labels_that_fit_make_another_request(world):
    """Its key is in the queue again; the pass that found out must not go on with the old one."""
    first, second = world.ask(), world.ask("api")

    assert await world.ends(first) == "Superseded"
    assert world.changed == [first.key, second.key]
    assert world.latest(first).connection == "b/work"
    world.time.advance(1)
    assert await world.ends(world.latest(first)) is None


async def test_passes_share_a_reading_that_began_after_them(world):
    """An earlier one may be older than the end of the consent."""
    request = world.ask()
    await world.ends(request)
    request = world.latest(request)
    world.time.advance(1)
    world.api.calls.clear()
    assert await asyncio.gather(*(world.ends(request) for _ in range(9))) == [None] * 9
    assert world.api.count("get", NAMESPACES) == 1

    world.api.edit(NAMESPACES, None, NAMESPACE, {"metadata": {"labels": {"team": "b"}}})
    world.time.advance(1)
    assert await world.ends(request) == "Superseded"
    assert world.latest(request).connection == ""


async def test_a_namespace_that_is_gone_or_cannot_be_read_gives_no_consent(world):
    """A failure to read says nothing, and is met again."""
    request = world.ask()
    world.api.fail("get", NAMESPACES, status=403, reason="Forbidden")
    with pytest.raises(Forbidden):
        await world.consent.stop_unless_served(request)
    await world.ends(request)
    assert world.latest(request).connection == "b/work"

    world.api.remove(NAMESPACES, None, NAMESPACE)
    world.time.advance(1)
    assert await world.ends(world.latest(request)) == "Superseded"
    assert world.latest(request).connection == ""


async def test_what_no_connection_serves_ends_there(world):
    """Whatever the reason; what the installation serves goes on."""
    assert await world.ends(world.add_item("api")) is None
    request = world.add_shaped("web", connectionRef={"name": "absent"})

    assert await world.ends(request) == "NotConnected"
    assert world.api.count("get", NAMESPACES) == 0


async def test_nothing_stays_of_a_namespace_whose_last_such_object_is_gone(world):
    """Namespaces of previews come and go by the thousand."""
    request = world.ask()
    await world.ends(request)
    assert world.latest(request).by_labels

    world.registry.remove(request.key, uid=request.uid)
    assert not world.registry._served._labels
    for number in range(9):
        await world.consent._read(f"preview-{number}", since=world.time.monotonic())
    assert len(world.consent._readings) == 1
