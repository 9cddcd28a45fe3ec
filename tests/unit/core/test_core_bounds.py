"""What is recorded or said has a bound, whatever people call their fields, and however many there are."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyturn.base.log import info
from keyturn.base.text import listed
from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.content import Skipped
from keyturn.core.desired import Desired
from keyturn.core.keys import ALL_KEYS, MOST_RECORDED, is_legal_key, recordable
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.pending import NOTHING_PENDING, pending_changes
from keyturn.core.request import Key, SecretRequest
from keyturn.core.restarts import PendingRestart, described, exposure, restart_annotations
from keyturn.core.secret import plan_secret
from keyturn.core.stamps import read_stamps, written_stamps
from keyturn.core.status import Failure, Progressing, Reason, Stale, Synced, Warnings, status_after
from keyturn.core.usage import ALL, KeySet

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REQUEST = SecretRequest(key=Key("app", "n" * 253), uid="u", generation=1, item_path="x")
ALL_ANNOTATIONS = 256 * 1024
"""Bytes that Kubernetes allows an object."""


def keys(count, length):
    return tuple(f"{number:06}".ljust(length, "k") for number in range(count))


SETS = st.builds(keys, st.integers(0, 1500), st.integers(6, 253))


@settings(max_examples=20)
@given(st.lists(SETS, min_size=1, max_size=4))
@example([keys(2000, 200)])
@example([keys(2000, 253), keys(1, 6), keys(2, 253)])
@example([(f"k{number}",) for number in range(300)])
def test_pending_changes_fit_an_annotation_and_lose_no_workload(rotations):
    """A record that outgrew its annotation once kept a Secret stale for ever."""
    pending = NOTHING_PENDING
    for revision, changed in enumerate(rotations, 2):
        pending = pending.with_change(revision, changed)
        text = pending.to_annotation()
        assert len(text) < ALL_ANNOTATIONS / 4
        read = pending_changes({names.RESTART_OWED: text})
        assert read is not None
        for key in changed[:: max(1, len(changed) // 5)]:
            assert exposure(read, KeySet(frozenset({key})), seen=revision - 1, created_at="").due
            assert not exposure(read, KeySet(frozenset({key})), seen=revision, created_at="").due
        assert bool(exposure(read, ALL, seen=revision - 1, created_at="").due) is bool(changed)
        assert not exposure(read, KeySet(frozenset()), seen=0, created_at="").due


@settings(max_examples=20)
@given(SETS)
@example(keys(2000, 200))
def test_the_annotations_of_a_secret_fit(names_of_keys):
    """Also if they name its keys, for a requester without a status."""
    desired = Desired(
        replace(REQUEST, has_status=False, status=Status(keys=("old",))),
        ItemPath("v" * 26, "i" * 26),
        "3",
        data=dict.fromkeys(names_of_keys, b"x"),
    )
    annotations = plan_secret(None, desired).manifest["metadata"]["annotations"]  # type: ignore[union-attr]

    assert sum(len(name) + len(text) for name, text in annotations.items()) < ALL_ANNOTATIONS / 2


@settings(max_examples=20)
@given(SETS, st.text(max_size=50), st.integers(0, 10_000))
@example(keys(2000, 200), "🔑", 10_000)
def test_a_status_has_a_bound(names_of_keys, text, times):
    """Two lists of names and a few messages, far below the 1.5 MiB of the API server."""
    long = text * times
    skipped = tuple(Skipped(label, long) for label in names_of_keys)
    pending = NOTHING_PENDING.with_change(2, names_of_keys)
    warnings = Warnings((long,), skipped, long)
    changes = (
        Synced("p", "3", names_of_keys, warnings, revision=2, pending=pending),
        Failure(Reason.ITEM_NOT_FOUND, long),
        Stale(long),
        Progressing(long),
    )
    for change in changes:
        status = status_after(REQUEST, change, now=NOW)
        assert len(json.dumps(status.to_manifest(secret=REQUEST.key.name)).encode()) < 128 * 1024


@settings(max_examples=20)
@given(st.dictionaries(st.text("ab.-", min_size=1, max_size=9), st.just("cafe.12"), max_size=9), st.integers(1, 2000))
def test_stamps_fit_an_annotation_and_keep_what_is_needed(stamps, count):
    """A stamp that is left out means one more restart, so those of pending Secrets go first."""
    many = {f"{number:06}".ljust(253, "s"): "cafe.3" for number in range(count)}
    written = written_stamps({**many, **stamps}, needed=stamps)

    assert len(written) <= 64 * 1024
    assert stamps.items() <= read_stamps({names.REVISION: written}).items()


def test_a_restart_of_a_workload_that_has_seen_many_secrets_fits():
    """Stamps of all Secrets that a workload uses are kept in one annotation."""
    secrets = [f"{number:06}".ljust(253, "s") for number in range(2000)]
    template = {
        "metadata": {"annotations": {names.REVISION: ",".join(f"{name}=cafe.3" for name in secrets)}},
        "spec": {"containers": [{"envFrom": [{"secretRef": {"name": name}} for name in secrets]}]},
    }
    workload = ObjectMeta.of({"metadata": {"namespace": "app", "name": "web"}})
    annotations = restart_annotations(workload, template, {secrets[-1]: "cafe.4"}, now=NOW)

    assert sum(map(len, annotations.values())) < ALL_ANNOTATIONS / 2
    assert read_stamps(annotations)[secrets[-1]] == "cafe.4"


@settings(max_examples=20)
@given(SETS.filter(bool))
@example(keys(2000, 200))
def test_what_is_said_of_keys_is_short(names_of_keys):
    """A line of the log once had 130 kB."""
    secret = ObjectMeta.of({"metadata": {"namespace": "app", "name": "db", "uid": "u"}})
    causes = described([(PendingRestart(secret, NOTHING_PENDING), recordable(names_of_keys))])

    assert len(listed("key", names_of_keys)) < 6000
    assert len(causes) < 6000
    assert ALL_KEYS not in causes


def test_a_line_and_its_fields_have_a_bound(caplog):
    """Whatever is filled in."""
    line = info("{namespace}: {detail}")
    caplog.set_level(logging.INFO)
    line(logging.getLogger("bounds"), namespace="n" * 9999, keys=keys(5000, 253), detail="x" * 200_000)

    (record,) = caplog.records
    assert len(record.getMessage()) == 4096
    assert len(json.dumps(record.about)) < 32 * 1024


def test_no_key_has_the_name_that_stands_for_all():
    """And what stands for all is recorded as that, beside whatever else."""
    assert not is_legal_key(ALL_KEYS)
    assert recordable([ALL_KEYS, "a"]) == (ALL_KEYS,)
    assert recordable(["b", "a", "a"]) == ("a", "b")
    assert recordable(["k" * MOST_RECORDED]) == (ALL_KEYS,)
