"""An informer that may neither list nor watch has the same picture all the same."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from keyturn.cluster import by_name
from keyturn.cluster.by_name import ByName
from keyturn.cluster.errors import Forbidden, NotFound
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.informer import METADATA, Informer
from keyturn.cluster.resources import DEPLOYMENTS, SECRETS
from keyturn.cluster.transport import Answer
from support.patience import PATIENCE_S

OURS = {"app.kubernetes.io/managed-by": "keyturn"}
LABEL = ("app.kubernetes.io/managed-by", "keyturn")
KEY = ("apps", "login")
HOUR = 3600.0


def secret(version, *, name="login", namespace="apps", uid="u", labels=OURS):
    metadata = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"kind": "Secret", "metadata": metadata, "data": {"password": "Y2FuYXJ5"}}


class Server:
    """Answers GETs from a dict, and counts them."""

    def __init__(self, *objects):
        self.objects = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in objects}
        self.asked = []
        self.failure = None
        self.refused = asyncio.Queue()

    async def get_metadata(self, resource, namespace, name):
        assert resource is SECRETS
        self.asked.append((namespace, name))
        if self.failure is not None:
            self.refused.put_nowait(None)
            raise self.failure
        try:
            return self.objects[namespace, name]
        except KeyError:
            raise NotFound("there is none") from None


class Rig:
    def __init__(self, source, informer, changes):
        self.source = source
        self.informer = informer
        self.changes = changes

    async def change(self):
        return await asyncio.wait_for(self.changes.get(), PATIENCE_S)

    def versions(self):
        return {key: meta.resource_version for key, meta in self.informer.objects.items()}


@asynccontextmanager
async def following(server, *, names=(KEY,), interval=HOUR, namespaces=None, synced=True, beat=lambda: None):
    changes = asyncio.Queue()
    source = ByName(server, SECRETS, names=lambda: list(names), label=LABEL, interval=interval)
    informer = Informer(
        source,
        SECRETS,
        reading=METADATA,
        namespaces=namespaces,
        on_change=lambda key, old, new: changes.put_nowait((key, new and new.resource_version)),
        on_beat=beat,
        sleep=lambda _: asyncio.sleep(0),
    )
    running = asyncio.create_task(informer.run())
    source.named.set()
    try:
        if synced:
            await asyncio.wait_for(informer.synced.wait(), PATIENCE_S)
        yield Rig(source, informer, changes)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_asked_for_is_got_and_nothing_else():
    """Of names that concern us, ours are known; foreign ones and missing ones are not."""
    server = Server(secret(1), secret(2, name="foreign", labels={}), secret(3, name="unasked"))

    async with following(server, names=[KEY, ("apps", "foreign"), ("apps", "missing")]) as rig:
        assert rig.versions() == {KEY: "1"}
    assert server.asked == [("apps", "foreign"), KEY, ("apps", "missing")]


async def test_many_are_listed_in_pages():
    """However many there are, all are known in the end."""
    names = [("apps", f"n{number}") for number in range(250)]

    async with following(Server(*(secret(7, name=name) for _, name in names)), names=names) as rig:
        assert rig.versions().keys() == set(names)


async def test_nothing_is_asked_before_the_names_are_known():
    """A picture of no names would look complete, and be taken for "there is no Secret"."""
    server = Server(secret(1))
    source = ByName(server, SECRETS, names=lambda: [KEY], label=LABEL, interval=HOUR)
    pages = source.pages(SECRETS, None, label_selector="", accept="", size=500)
    first = asyncio.ensure_future(anext(pages))
    await asyncio.sleep(0)
    assert server.asked == []

    source.named.set()

    assert [each["metadata"]["name"] for each in (await first)["items"]] == ["login"]
    await pages.aclose()


async def test_own_answers_are_known_at_once_and_without_data():
    """A mark that we write must be seen by the restarter now, and no value may stay in a queue."""
    async with following(Server(secret(1))) as rig:
        await rig.change()

        rig.source.take(SECRETS, secret(2))
        rig.source.take(DEPLOYMENTS, secret(3))
        rig.source.take(SECRETS, secret(4, name="made"))

        assert [await rig.change(), await rig.change()] == [(KEY, "2"), (("apps", "made"), "4")]
        assert rig.source._event(secret(1)).object.keys() == {"metadata"}


async def test_an_answer_that_was_overtaken_changes_nothing():
    """Of two calls under way at once, the older answer may arrive last."""
    async with following(Server(secret(5))) as rig:
        await rig.change()

        rig.source.take(SECRETS, secret(4))
        rig.source.take(SECRETS, secret(3, uid="made anew"))

        assert await rig.change() == (KEY, "3")


async def test_what_others_do_is_found_at_the_next_look():
    """Edits and deletions by others are healed late, but healed."""
    server = Server(secret(1), secret(1, name="other"))
    async with following(server, names=[KEY, ("apps", "other")], interval=0.01) as rig:
        assert {await rig.change(), await rig.change()} == {(KEY, "1"), (("apps", "other"), "1")}

        server.objects[KEY] = secret(2)
        assert await rig.change() == (KEY, "2")
        del server.objects["apps", "other"]
        assert await rig.change() == (("apps", "other"), None)


async def test_who_is_asked_for_no_more_is_forgotten():
    """Memory follows what is asked for."""
    names = [KEY]
    async with following(Server(secret(1)), names=names, interval=0.01) as rig:
        await rig.change()
        names.clear()

        assert await rig.change() == (KEY, None)


async def test_namespaces_have_a_source_each():
    """With a Role in each namespace, each is asked on its own."""
    names = [KEY, ("blue", "login"), ("elsewhere", "login")]
    server = Server(*(secret(1, namespace=namespace) for namespace, _ in names))

    async with following(server, names=names, namespaces=("apps", "blue")) as rig:
        assert rig.versions().keys() == {KEY, ("blue", "login")}
        rig.source.take(SECRETS, secret(2, namespace="blue"))
        seen = {await rig.change() for _ in range(3)}
        assert (("blue", "login"), "2") in seen


async def test_a_missing_right_is_told_and_waited_for():
    """An operator whose Role comes late serves as soon as it is there."""
    server = Server(secret(1))
    server.failure = Forbidden("no")
    async with following(server, synced=False) as rig:
        for _ in range(2):
            await asyncio.wait_for(server.refused.get(), PATIENCE_S)
        assert "cannot watch secrets" in rig.informer.trouble
        assert not rig.informer.synced.is_set()
        server.failure = None

        assert await rig.change() == (KEY, "1")


async def test_it_shows_signs_of_life(monkeypatch):
    """A watchdog must not take a quiet hour for a hang."""
    monkeypatch.setattr(by_name, "_SIGN_OF_LIFE", 0.001)
    beats = asyncio.Queue()
    async with following(Server(secret(1)), beat=lambda: beats.put_nowait(None)):
        for _ in range(20):
            await asyncio.wait_for(beats.get(), PATIENCE_S)


@pytest.mark.parametrize("verb", ["apply", "create", "merge_patch", "json_patch", "get", "get_metadata"])
async def test_the_gateway_echoes_each_single_object(verb):
    """What the gateway does not tell would be known an hour later."""

    class Transport:
        async def send(self, request, deadline):
            return Answer(200, b'{"metadata": {"name": "login"}}', None)

        async def aclose(self):
            """Nothing is open."""

    cluster = Cluster(Transport())
    heard = []
    cluster.echo = lambda resource, answer: heard.append((resource, answer["metadata"]["name"]))
    body = [] if verb == "json_patch" else {}
    arguments = () if verb.startswith("get") else (body,)
    options = {} if verb.startswith("get") else {"field_manager": "tests"}

    await getattr(cluster, verb)(SECRETS, "apps", "login", *arguments, **options)
    await cluster.delete(SECRETS, "apps", "login")

    assert heard == [(SECRETS, "login")]


async def test_a_long_look_that_finds_no_news_shows_life():
    """Thousands of GETs take minutes where the API server is slow; a watchdog that heard nothing would end the process."""
    many = [("apps", f"s{number:03}") for number in range(2 * by_name._PAGE)]
    server = Server(*(secret(5, name=name) for _, name in many))
    beats_at = []
    async with following(server, names=many, beat=lambda: beats_at.append(len(server.asked))) as rig:
        # One of the names is asked for last, and tells that the second look is over.
        server.objects[many[-1]] = secret(6, name=many[-1][1])
        rig.source._due[None] = 0.0
        rig.source.take(SECRETS, secret(5, name=many[0][1]))
        while (await rig.change())[1] != "6":
            pass

    assert any(len(many) < asked < 2 * len(many) for asked in beats_at)
