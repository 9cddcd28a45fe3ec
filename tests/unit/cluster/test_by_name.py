"""An informer without the right to list or watch has the same objects, if later."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cluster_fakes import answer, scripted_cluster

from keyturn.cluster.by_name import _PAGE, ByName
from keyturn.cluster.errors import Forbidden, Gone, NotFound
from keyturn.cluster.informer import Informer
from keyturn.cluster.resources import ALL_NAMESPACES, DEPLOYMENTS, SECRETS, Resource
from support.fake_time import FakeTime
from support.patience import PATIENCE_S

OURS = {"app.kubernetes.io/managed-by": "keyturn"}
LABEL = ("app.kubernetes.io/managed-by", "keyturn")
KEY = ("apps", "login")
HOUR = 3600.0


def secret(version, *, name="login", namespace="apps", uid="u", labels=OURS):
    metadata = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"kind": "Secret", "metadata": metadata, "data": {"password": "Y2FuYXJ5"}}


class Server:
    """Answers GETs from a dict, and records them."""

    def __init__(self, *objects):
        self.objects = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in objects}
        self.requests = []
        self.failure = None
        self.refused = asyncio.Queue()
        self.publish: Callable[[Resource, Mapping[str, Any]], None] = lambda _resource, _answer: None

    def observe_answers(self, observer: Callable[[Resource, Mapping[str, Any]], None]) -> None:
        self.publish = observer

    async def get_metadata(self, resource, namespace, name):
        assert resource is SECRETS
        self.requests.append((namespace, name))
        if self.failure is not None:
            self.refused.put_nowait(None)
            raise self.failure
        try:
            return self.objects[namespace, name]
        except KeyError:
            raise NotFound("not found") from None


def by_name(server, *, names=(KEY,), time=None):
    return ByName(server, SECRETS, names=lambda: list(names), label=LABEL, interval=HOUR, time=time or FakeTime())


class Followed:
    """A running informer over names, in time that passes only by `pass_an_hour`."""

    def __init__(self, server, *, names, namespaces, on_beat):
        self._time = FakeTime(sleeps=False)
        self._changes = asyncio.Queue()
        self.list_watch = by_name(server, names=names, time=self._time)
        self.informer = Informer(
            self.list_watch,
            label="secrets",
            namespaces=namespaces,
            on_change=lambda key, old, new: self._changes.put_nowait((key, new and new.resource_version)),
            on_beat=on_beat,
            # Its own time, so that its retries do not wait for the next hour.
            time=FakeTime(),
        )

    async def change(self):
        return await asyncio.wait_for(self._changes.get(), PATIENCE_S)

    def pass_an_hour(self):
        self._time.advance(HOUR)

    def pass_a_minute(self):
        self._time.advance(60.0)

    def versions(self):
        return {key: meta.resource_version for key, meta in self.informer.objects.items()}


@asynccontextmanager
async def following(server, *, names=(KEY,), namespaces=(ALL_NAMESPACES,), synced=True, on_beat=lambda: None):
    followed = Followed(server, names=names, namespaces=namespaces, on_beat=on_beat)
    running = asyncio.create_task(followed.informer.run())
    followed.list_watch.start()
    try:
        if synced:
            await asyncio.wait_for(followed.informer.synced.wait(), PATIENCE_S)
        yield followed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_names_in_use_are_got_and_no_others():
    """Of these, objects of ours are known; foreign and missing ones are not."""
    server = Server(secret(1), secret(2, name="foreign", labels={}), secret(3, name="unused"))

    async with following(server, names=[KEY, ("apps", "foreign"), ("apps", "missing")]) as followed:
        assert followed.versions() == {KEY: "1"}
    assert server.requests == [("apps", "foreign"), KEY, ("apps", "missing")]


async def test_many_objects_are_listed_in_pages():
    """However many there are, all are known in the end."""
    names = [("apps", f"n{number}") for number in range(250)]

    async with following(Server(*(secret(7, name=name) for _, name in names)), names=names) as followed:
        assert followed.versions().keys() == set(names)


async def test_nothing_is_requested_before_the_start():
    """A list of no names would be complete, and mean that there is no Secret."""
    server = Server(secret(1))
    list_watch = by_name(server)
    pages = list_watch.list(ALL_NAMESPACES)
    first = asyncio.ensure_future(anext(pages))
    await asyncio.sleep(0)
    assert server.requests == []

    list_watch.start()

    assert (await first).items.keys() == {KEY}
    await pages.aclose()


async def test_own_answers_are_known_at_once():
    """The restart controller must see a pending restart that this process writes without delay."""
    server = Server(secret(1))
    async with following(server) as followed:
        await followed.change()

        server.publish(SECRETS, secret(2))
        server.publish(DEPLOYMENTS, secret(3))
        server.publish(SECRETS, secret(4, name="new"))

        assert [await followed.change(), await followed.change()] == [(KEY, "2"), (("apps", "new"), "4")]


async def test_no_value_is_kept_of_an_answer():
    """The answer to a GET holds the whole Secret, and may wait in a queue."""
    server = Server(secret(1))
    list_watch = by_name(server)
    list_watch.start()
    [page] = [page async for page in list_watch.list(ALL_NAMESPACES)]
    server.publish(SECRETS, secret(2))

    assert "Y2FuYXJ5" not in repr(page)
    assert "Y2FuYXJ5" not in repr(list_watch._listings)


async def test_an_older_answer_that_arrives_late_changes_nothing():
    """Of two calls in flight at once, the older answer may arrive last."""
    server = Server(secret(5))
    async with following(server) as followed:
        await followed.change()

        server.publish(SECRETS, secret(4))
        server.publish(SECRETS, secret(3, uid="created again"))

        assert await followed.change() == (KEY, "3")


async def test_changes_by_others_are_found_within_an_hour():
    """Edits and deletions by others are found late, but found."""
    server = Server(secret(1), secret(1, name="other"))
    async with following(server, names=[KEY, ("apps", "other")]) as followed:
        assert {await followed.change(), await followed.change()} == {(KEY, "1"), (("apps", "other"), "1")}

        server.objects[KEY] = secret(2)
        followed.pass_an_hour()
        assert await followed.change() == (KEY, "2")
        del server.objects["apps", "other"]
        followed.pass_an_hour()
        assert await followed.change() == (("apps", "other"), None)


async def test_an_object_whose_name_is_no_longer_in_use_is_forgotten():
    """Otherwise memory would grow with each name that was ever used."""
    names = [KEY]
    async with following(Server(secret(1)), names=names) as followed:
        await followed.change()
        names.clear()
        followed.pass_an_hour()

        assert await followed.change() == (KEY, None)


async def test_each_namespace_is_followed_on_its_own():
    """There may be one Role in each namespace, and none for the whole cluster."""
    names = [KEY, ("blue", "login"), ("elsewhere", "login")]
    server = Server(*(secret(1, namespace=namespace) for namespace, _ in names))

    async with following(server, names=names, namespaces=("apps", "blue")) as followed:
        assert followed.versions().keys() == {KEY, ("blue", "login")}
        server.publish(SECRETS, secret(2, namespace="blue"))
        seen = {await followed.change() for _ in range(3)}
        assert (("blue", "login"), "2") in seen


async def test_a_missing_right_is_an_error_until_it_is_granted():
    """An operator whose Role arrives late must not need a restart."""
    server = Server(secret(1))
    server.failure = Forbidden("no")
    async with following(server, synced=False) as followed:
        for _ in range(2):
            await asyncio.wait_for(server.refused.get(), PATIENCE_S)
        assert "cannot watch secrets" in followed.informer.error
        assert not followed.informer.synced.is_set()
        server.failure = None

        assert await followed.change() == (KEY, "1")


async def test_a_watch_of_an_older_list_is_gone():
    """What the newer list reported would be missing from it."""
    list_watch = by_name(Server(secret(1)))
    list_watch.start()
    [older] = [page async for page in list_watch.list("apps")]
    [newer] = [page async for page in list_watch.list("apps")]

    with pytest.raises(Gone):
        async with list_watch.watch("apps", older.version):
            pass
    async with list_watch.watch("apps", newer.version):
        pass


async def test_an_idle_watch_beats_each_minute():
    """A watchdog must not take an hour without changes for a hang."""
    beats = asyncio.Queue()
    async with following(Server(secret(1)), on_beat=lambda: beats.put_nowait(None)) as followed:
        for _ in range(20):
            await asyncio.wait_for(beats.get(), PATIENCE_S)
            followed.pass_a_minute()


async def test_many_gets_without_a_change_beat():
    """Thousands of GETs take minutes on a slow API server, and the watchdog waits for none that long."""
    many = [("apps", f"s{number:03}") for number in range(2 * _PAGE)]
    server = Server(*(secret(5, name=name) for _, name in many))
    beats_at = []
    async with following(server, names=many, on_beat=lambda: beats_at.append(len(server.requests))) as followed:
        # The last name changes, so that its change shows the end of the second round.
        server.objects[many[-1]] = secret(6, name=many[-1][1])
        followed.pass_an_hour()
        while (await followed.change())[1] != "6":
            pass

    assert any(len(many) < requests < 2 * len(many) for requests in beats_at)


@pytest.mark.parametrize("verb", ["apply", "create", "merge_patch", "json_patch", "get", "get_metadata"])
async def test_the_gateway_publishes_each_answer_about_one_object(verb):
    """An answer that it did not publish would be known an hour later."""
    cluster = scripted_cluster(answer({"metadata": {"name": "login"}}))
    published = []
    cluster.observe_answers(lambda resource, answer: published.append((resource, answer["metadata"]["name"])))
    body = [] if verb == "json_patch" else {}
    arguments = () if verb.startswith("get") else (body,)
    options = {} if verb.startswith("get") else {"field_manager": "tests"}

    await getattr(cluster, verb)(SECRETS, "apps", "login", *arguments, **options)

    assert published == [(SECRETS, "login")]
