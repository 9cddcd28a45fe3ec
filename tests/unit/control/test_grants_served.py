"""Which connection serves a grant, and which paths are wanted of it."""

from datetime import timedelta

import pytest

from keyturn.control.grants.served import ServedGrants
from keyturn.core.access_grant import GrantKey
from keyturn.core.connection import ConnectionKey, read_connection
from keyturn.core.paths import ItemPath
from keyturn.core.request import DEFAULT_CONNECTION
from support.fake_time import FakeTime
from support.grants import grant_spec, read_grant

DEPLOY = GrantKey("team", "deploy")
DB = ItemPath("Prod", "db")


class Served:
    """Grants and Connections as plain dicts."""

    def __init__(self, *, installation=True):
        self.time = FakeTime()
        self.grants = {}
        self.known = {}
        self.served = ServedGrants(self.grants, known=self.known, installation=installation, time=self.time)

    def put(self, *, name="deploy", **spec):
        grant = read_grant(grant_spec(**spec), name=name)
        self.grants[grant.key] = grant
        return self.served.resolve(grant.key)

    def remove(self, key=DEPLOY):
        del self.grants[key]
        return self.served.resolve(key)

    def connect(self, name, namespace="team", **spec):
        manifest = {"metadata": {"namespace": namespace, "name": name, "uid": "u"}, "spec": {"connect": {}, **spec}}
        self.known[ConnectionKey(namespace, name)] = read_connection(manifest)


@pytest.mark.parametrize(
    ("installation", "default", "ref", "expected"),
    [
        (True, False, None, DEFAULT_CONNECTION),
        (True, True, None, "team/default"),
        (False, False, None, ""),
        (False, True, None, "team/default"),
        (True, True, {"name": "work"}, "team/work"),
        (True, True, {"name": "absent"}, ""),
        (True, True, {"name": ""}, ""),
        (True, True, {"name": "work", "namespace": "other"}, ""),
    ],
)
def test_a_grant_is_served_as_a_secret_is(installation, default, ref, expected):
    """One rule for both, so that nobody has to learn two."""
    world = Served(installation=installation)
    world.connect("work")
    world.connect("work", "other")
    if default:
        world.connect("default")

    found = world.put(connectionRef=ref)
    assert found.connection == expected
    assert bool(found.refusal) is (expected == "")
    assert world.served.served_by(expected or "x") == ((DEPLOY,) if expected else ())


def test_a_connection_is_known_to_decide_before_it_is_there():
    """When it comes, the grant is looked at."""
    world = Served(installation=False)
    world.put()
    world.put(name="other", connectionRef={"name": "work"})

    assert world.served.choosing(ConnectionKey("team", "default")) == (DEPLOY,)
    assert world.served.choosing(ConnectionKey("team", "work")) == (GrantKey("team", "other"),)
    world.connect("default")
    assert world.served.resolve(DEPLOY).connection == "team/default"


def test_wanted_paths_are_the_same_object_as_long_as_they_are_the_same():
    """An idle poll must cost the same with ten thousand grants as with one."""
    world = Served()
    world.put()
    before = world.served.paths(DEFAULT_CONNECTION)
    world.put(name="other")
    world.served.resolve(DEPLOY)

    assert before == (DB,)
    assert world.served.paths(DEFAULT_CONNECTION) is before
    assert world.served.paths("team/work") == ()


def test_what_ended_or_went_is_not_wanted():
    """Nobody reads it any more."""
    world = Served()
    world.put(expiresAt=(world.time.now() + timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert world.served.paths(DEFAULT_CONNECTION) == (DB,)
    world.time.advance(11)
    world.served.resolve(DEPLOY)
    assert world.served.paths(DEFAULT_CONNECTION) == ()

    world.put()
    assert world.served.paths(DEFAULT_CONNECTION) == (DB,)
    world.remove()
    assert world.served.paths(DEFAULT_CONNECTION) == ()
    assert world.served.choosing(ConnectionKey("team", "default")) == ()


def test_labels_that_were_not_read_permit_nothing():
    """A selector may ask that a label be absent."""
    world = Served()
    selector = {"matchExpressions": [{"key": "frozen", "operator": "DoesNotExist"}]}
    world.connect("work", "other", usableFrom={"selector": selector})

    found = world.put(connectionRef={"name": "work", "namespace": "other"})
    assert (found.connection, found.by_labels) == ("", True)
    assert world.served.labels_read(DEPLOY, {}).connection == "other/work"
    assert world.served.resolve(DEPLOY).connection == "other/work"
    assert world.served.labels_read(DEPLOY, {"frozen": ""}).connection == ""
    assert world.served.labels_read(DEPLOY, None).connection == ""
