"""Two tenants beside each other: whatever they do and in whatever order, no value crosses from one to the other without consent."""

import asyncio
import gc
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.cluster import KEYTURN_SECRETS, NAMESPACES, SECRETS
from keyturn.core.conditions import Status
from keyturn.core.connection import ConnectionKey, UsableFrom
from keyturn.core.label_selectors import LabelRequirement, LabelSelector
from keyturn.core.vault import VaultUnavailable
from support.event_loop import turns
from support.fake_vaults import FakeVaults
from support.sync_world import SyncWorld, reasons

RED, BLUE = "red", "blue"
TENANTS = (RED, BLUE)
ITEMS = ("db", "api")
KEYS = [ConnectionKey(namespace, name) for namespace in TENANTS for name in ("default", "work")]
FRIENDS = UsableFrom(selector=LabelSelector((LabelRequirement("friend", "In", ("yes",)),)))
CONSENTS = {"nobody": None, "by name": UsableFrom(TENANTS), "by label": FRIENDS}
INSTALLATION = "installation"


@dataclass
class Told:
    """What a Connection's owner last wrote, and whether a value of it may be under way to each namespace."""

    vaults: FakeVaults
    consent: str = "nobody"
    suspend: bool = False


class Tenants(SyncWorld):
    """Two namespaces, their Connections, and whose values may be where.

    Each value is the name of the connection that it comes from, and a number.
    """

    namespaces: ClassVar = TENANTS

    def __init__(self):
        super().__init__()
        self.told: dict[ConnectionKey, Told] = {}
        self.labels = dict.fromkeys(TENANTS, "no")
        self.refs = {}
        self.numbers = 0
        # Also those of Connections that are gone: a request to one may still be under way.
        self.accounts: list[FakeVaults] = []
        # Pairs of a namespace and a connection whose values may be written there until the next rest.
        self.permitted = {(namespace, INSTALLATION) for namespace in TENANTS}
        self.seen = {}
        for namespace in TENANTS:
            self.api.add(NAMESPACES, {"metadata": {"name": namespace, "labels": {"friend": "no"}}})
        self._fill(INSTALLATION, self.vaults)

    # What tenants do.

    def connect(self, key, consent="nobody", *, suspend=False):  # type: ignore[override]
        known = self.told.get(key)
        vaults = known.vaults if known is not None and self.numbers % 2 else FakeVaults()
        if known is None or vaults is not known.vaults:
            self.accounts.append(vaults)
            self._fill(str(key), vaults)
        self.told[key] = Told(vaults, consent, suspend)
        super().connect(key, vaults, usable_from=CONSENTS[consent], suspend=suspend)

    def drop(self, key):
        if self.told.pop(key, None) is not None:
            self.disconnect(key)

    def rotate(self, key):
        name, vaults = (str(key), self.told[key].vaults) if key in self.told else (INSTALLATION, self.vaults)
        self._fill(name, vaults)

    def label(self, namespace, friend):
        self.labels[namespace] = friend
        self.api.edit(NAMESPACES, None, namespace, {"metadata": {"labels": {"friend": friend}}})

    def ask(self, namespace, name, ref):
        """Write or edit a KeyturnSecret, which names a Connection or none."""
        reference = None if ref is None else {"name": ref.name, "namespace": ref.namespace}
        spec = {"itemPath": "vaults/Prod/items/db", "connectionRef": reference}
        if (namespace, name) in self.refs:
            found = self.api.edit(KEYTURN_SECRETS, namespace, name, {"spec": spec})
        else:
            status = {"observedGeneration": -1}
            manifest = {"metadata": {"namespace": namespace, "name": name}, "spec": spec, "status": status}
            found = self.api.add(KEYTURN_SECRETS, manifest)
        self.refs[namespace, name] = ref
        self.requests.seen(KEYTURN_SECRETS.kind, found)

    def forget(self, namespace, name):
        """Delete a KeyturnSecret."""
        if (namespace, name) in self.refs:
            del self.refs[namespace, name]
            gone = self.api.find(KEYTURN_SECRETS, namespace, name)
            self.api.remove(KEYTURN_SECRETS, namespace, name)
            self.requests.deleted(KEYTURN_SECRETS.kind, gone)

    def watch(self):
        """Kubernetes deletes Secrets whose owners are gone. The watch reports everything, also a Secret that is deleted right after."""
        super().watch()
        for namespace, name in product(TENANTS, ITEMS):
            owner = self.api.find(KEYTURN_SECRETS, namespace, name)
            secret = self.api.find(SECRETS, namespace, name)
            owners = [] if secret is None else [each["uid"] for each in secret["metadata"]["ownerReferences"]]
            if secret is not None and (owner is None or owner["metadata"]["uid"] not in owners):
                self.api.remove(SECRETS, namespace, name)
        super().watch()

    def hang(self, key, *, hangs):
        if key in self.told:
            gate, self.told[key].vaults.gate = self.told[key].vaults.gate, asyncio.Event() if hangs else None
            if gate is not None:
                gate.set()

    def fail(self, key, *, fails):
        if key in self.told:
            self.told[key].vaults.error = VaultUnavailable("down") if fails else None

    async def look(self, key):
        connection = self.connections.get(str(key))
        if connection is not None:
            await connection.poller.poll()

    # What must hold.

    def may_use(self, namespace, key):
        """Whether a namespace has the consent of a Connection's owner now."""
        if key.namespace == namespace:
            return True
        consent = self.told[key].consent if key in self.told else "nobody"
        return consent == "by name" or (consent == "by label" and self.labels[namespace] == "yes")

    def check(self):
        """Every value that came into a Secret since the last time is one that may be there."""
        self.permitted |= {
            (namespace, str(key)) for namespace in TENANTS for key in KEYS if self.may_use(namespace, key)
        }
        for namespace in TENANTS:
            for name in ITEMS:
                value = self.value(namespace, name)
                if value is not None and value != self.seen.get((namespace, name)):
                    assert (namespace, value.partition("|")[0]) in self.permitted, f"{value} in {namespace}"
                self.seen[namespace, name] = value

    def value(self, namespace, name):
        """What a Secret holds; None if there is none."""
        secret = self.api.find(SECRETS, namespace, name)
        return None if secret is None else b64decode(secret["data"]["password"]).decode()

    async def rest(self):
        """Everything works again, and all that waits is done; from then on, only what is permitted now may be written."""
        for vaults in self.accounts:
            vaults.error = None
            if vaults.gate is not None:
                vaults.gate.set()
        for _ in range(8):
            await turns(20)
            while self.sync.is_busy():
                self.time.advance(0.01)
                await turns(20)
            self.watch()
            for key in KEYS:
                await self.look(key)
            self.time.advance(60)
            self.check()
        self.permitted = {(namespace, INSTALLATION) for namespace in TENANTS}
        self.check()

    def check_end(self):
        """At rest, each object is served by what serves it, or says that nothing does."""
        for (namespace, name), ref in self.refs.items():
            manifest = self.api.find(KEYTURN_SECRETS, namespace, name)
            ready = reasons(Status.read(manifest["status"]))["Ready"]
            key = ref or ConnectionKey(namespace, "default")
            if key in self.told and not self.told[key].suspend and self.may_use(namespace, key):
                assert ready == ("True", "Synced"), (namespace, name, key)
                assert self.value(namespace, name) == f"{key}|{self.current(key)}"
            elif ref is not None:
                assert ready[1] == "NotConnected", (namespace, name, key, ready)

    def current(self, key):
        [field] = self.told[key].vaults.fields["a"]
        return str(field.value).partition("|")[2]

    def request_changed(self, key):
        self.sync.request_changed(key)

    def _fill(self, name, vaults):
        self.numbers += 1
        vaults.edit("a", value=f"{name}|{self.numbers}", revision=str(self.numbers))


namespaces, items = st.sampled_from(TENANTS), st.sampled_from(ITEMS)
keys, flags, consents = st.sampled_from(KEYS), st.booleans(), st.sampled_from(list(CONSENTS))
objects = [(namespace, name) for namespace in TENANTS for name in ITEMS]


def move(name, *arguments, **options):
    """A call of a method of `Tenants`."""
    return st.tuples(st.just(name), st.tuples(*arguments), st.fixed_dictionaries(options))


connects = move("connect", keys, consents, suspend=st.sampled_from((False, False, True)))
asks = move("ask", namespaces, items, keys | keys | st.none())
moves = st.one_of(
    connects,
    connects,
    asks,
    asks,
    move("drop", keys),
    move("rotate", keys),
    move("label", namespaces, st.sampled_from(("yes", "no"))),
    move("forget", namespaces, items),
    move("hang", keys, hangs=flags),
    move("fail", keys, fails=flags),
    move("look", keys),
    move("watch"),
    move("rest"),
)


@pytest.fixture(autouse=True)
def small_heap():
    """A connection that goes is followed by a collection of garbage, which need not look at what other tests left."""
    gc.freeze()
    yield
    gc.unfreeze()


@settings(max_examples=30)
@given(
    st.tuples(*(consents for _ in KEYS)),
    st.tuples(*(keys | keys | st.none() for _ in objects)),
    st.lists(st.tuples(moves, st.integers(0, 12)), min_size=10, max_size=40),
)
async def test_no_value_crosses_without_consent(consents, refs, steps):
    """Passes are interrupted anywhere: by a change of consent, of a credential, of a label, of what is asked for."""
    world = Tenants()
    for key, consent in zip(KEYS, consents, strict=True):
        world.connect(key, consent)
    for (namespace, name), ref in zip(objects, refs, strict=True):
        world.ask(namespace, name, ref)
    workers = asyncio.ensure_future(world.sync.run())
    try:
        for (name, arguments, options), pause in steps:
            doing = getattr(world, name)(*arguments, **options)
            if doing is not None:
                doing = asyncio.ensure_future(doing)
            if name == "rest":
                await doing
            for _ in range(pause):
                world.time.advance(0.01)
                await turns(1)
                world.check()
        # Consent by labels is read when it is used, so everything is used once more.
        for each in (*KEYS, INSTALLATION):
            world.rotate(each)
        await world.rest()
        world.check_end()
    finally:
        workers.cancel()
        with suppress(asyncio.CancelledError):
            await workers
