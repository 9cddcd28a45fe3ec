"""What is known of the connection that served a request before, and whether it may fall to the installation's."""

from dataclasses import replace

import pytest

from keyturn.control.requests.served import ServedBy
from keyturn.core import names
from keyturn.core.conditions import Condition, Status
from keyturn.core.connection import ConnectionKey, ConnectionSpec
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import DEFAULT_CONNECTION, Key, SecretRequest

A = SecretRequest(Key("n", "a"), "1", 1, "vaults/v/items/i")
DEFAULT = ConnectionKey("n", "default")


def filled_by(connection):
    """Our Secret, with what it says of the connection that it was filled through."""
    annotations = {names.CONNECTION: connection} if connection else {}
    return {A.key: ObjectMeta.of({"metadata": {"namespace": "n", "name": "a", "annotations": annotations}})}


def status(reason, generation=1, keys=(), **more):
    ready = Condition("Ready", "True" if reason == "Synced" else "False", reason)
    return Status(generation, conditions=(ready,), keys=keys, **more)


SYNCED, LOST = status("Synced"), status("NotConnected")


@pytest.mark.parametrize(
    ("seen", "connection"),
    [
        (replace(A, status=SYNCED), ""),
        (replace(A, status=LOST), ""),
        (replace(A, status=LOST, sync_requested="x"), DEFAULT_CONNECTION),
        (replace(A, status=status("NotConnected", last_sync_requested="x"), sync_requested="x"), ""),
        (replace(A, status=SYNCED, sync_requested="x"), ""),
        (replace(A, status=LOST, generation=2), DEFAULT_CONNECTION),
        (replace(A, status=Status()), ""),
    ],
)
def test_an_object_that_lost_its_connection_falls_to_the_installation_only_when_asked(seen, connection):
    """By a change of its spec, or by a sync request that came after it was said that the connection is gone."""
    served = ServedBy(filled_by("n/default"))

    assert served.resolve(seen).connection == connection


@pytest.mark.parametrize("restarted", [False, True])
def test_a_secret_that_was_deleted_is_not_made_of_another_vault(restarted):
    """Its deletion says nothing about where its values are to come from."""
    secrets = filled_by("n/default")
    served = ServedBy(secrets)
    served.resolve(replace(A, status=LOST))
    secrets.clear()
    if restarted:
        served = ServedBy(secrets)

    assert served.resolve(replace(A, status=LOST)).connection == ""
    served.forget(A.key)
    assert served.resolve(A).connection == DEFAULT_CONNECTION


def test_a_text_that_names_no_connection_counts_as_one_that_is_gone():
    """It is safe to wait, and not to use another vault."""
    served = ServedBy(filled_by("nonsense"))
    assert "the Connection n/default, through which" in served.resolve(replace(A, status=SYNCED)).not_connected

    served.use({DEFAULT: ConnectionSpec(DEFAULT, "u", 1, "connect", "{}")}, installation=True)
    assert served.resolve(replace(A, status=SYNCED)).connection == "n/default"


def test_a_fall_is_remembered_for_its_generation_alone():
    """A later loss is another one."""
    secrets, there = filled_by("n/default"), {}
    served = ServedBy(secrets)
    served.use(there, installation=True)
    assert served.resolve(replace(A, generation=2, status=LOST)).connection == DEFAULT_CONNECTION
    second = replace(A, generation=2, status=status("Progressing", 2))
    assert served.resolve(second).connection == DEFAULT_CONNECTION
    assert served.resolve(replace(second, uid="of a namesake")).connection == ""

    there[DEFAULT] = ConnectionSpec(DEFAULT, "u", 1, "connect", "{}")
    assert served.resolve(second).connection == "n/default"
    there.clear()
    assert served.resolve(second).connection == ""


@pytest.mark.parametrize("seen", [A, replace(A, generation=2, status=SYNCED)])
def test_what_a_connection_served_before_any_status_said_so_does_not_fall(seen):
    """The Secret is filled a moment before the status is written, and the Connection may go in between."""
    secrets, there = {}, {DEFAULT: ConnectionSpec(DEFAULT, "u", 1, "connect", "{}")}
    served = ServedBy(secrets)
    served.use(there, installation=True)
    assert served.resolve(seen).connection == "n/default"
    secrets |= filled_by("n/default")
    there.clear()

    assert served.resolve(seen).connection == ""
    assert served.resolve(replace(seen, generation=seen.generation + 1, status=LOST)).connection == DEFAULT_CONNECTION


def test_a_write_counts_before_the_watch_reports_it():
    """The Connection may go in between; what the watch reports after that counts again."""
    secrets, there = filled_by(""), {DEFAULT: ConnectionSpec(DEFAULT, "u", 1, "connect", "{}")}
    served = ServedBy(secrets)
    served.use(there, installation=True)
    served.wrote(served.resolve(replace(A, status=SYNCED)))
    there.clear()
    assert served.resolve(replace(A, status=SYNCED)).connection == ""

    secrets |= filled_by("n/default")
    assert served.resolve(replace(A, status=SYNCED)).connection == ""
    secrets |= filled_by("")
    assert served.resolve(replace(A, status=SYNCED)).connection == DEFAULT_CONNECTION
