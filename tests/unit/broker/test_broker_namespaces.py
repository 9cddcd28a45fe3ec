"""The labels of namespaces: read when they are needed, and for how long they count."""

import asyncio

import pytest

from keyturn.broker.errors import NotAvailable
from keyturn.broker.namespaces import LABELS_LAST, NamespaceLabels
from keyturn.cluster import NAMESPACES
from support.fake_api import FakeApiServer
from support.fake_time import FakeTime


class Labelled:
    """A namespace with a label."""

    def __init__(self):
        self.time = FakeTime(sleeps=False)
        self.api = FakeApiServer(time=self.time)
        self.api.add(NAMESPACES, {"metadata": {"name": "team-a", "labels": {"stage": "live"}}})
        self.labels = NamespaceLabels(self.api, time=self.time)

    def reads(self):
        return self.api.count("get", NAMESPACES)


async def test_labels_are_read_once_for_all_who_need_them():
    """A read of a value must not cost a request to the API server each time."""
    world = Labelled()
    assert world.labels.known("team-a") is None

    found = await asyncio.gather(*(world.labels.labels("team-a") for _ in range(10)))

    assert found == [{"stage": "live"}] * 10
    assert world.reads() == 1
    assert world.labels.known("team-a") == {"stage": "live"}


async def test_a_label_that_is_taken_away_counts_no_more_after_some_seconds():
    """It may have been the consent."""
    world = Labelled()
    await world.labels.labels("team-a")
    world.api.edit(NAMESPACES, None, "team-a", {"metadata": {"labels": {"stage": None}}})
    world.time.advance(LABELS_LAST)

    assert await world.labels.labels("team-a") == {}


async def test_a_namespace_that_is_gone_has_none():
    """A selector may ask that a label be absent, so this is not the same as no labels."""
    world = Labelled()
    assert await world.labels.labels("nowhere") is None


@pytest.mark.parametrize("status", [0, 403, 500])
async def test_labels_that_cannot_be_read_are_not_guessed(status):
    """Old ones neither."""
    world = Labelled()
    await world.labels.labels("team-a")
    world.time.advance(LABELS_LAST)
    world.api.fail("get", NAMESPACES, "team-a", status=status, times=1 if status else 2)

    with pytest.raises(NotAvailable):
        await world.labels.labels("team-a")
    assert await world.labels.labels("team-a") == {"stage": "live"}
