"""Which workload must restart, and what a restart writes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.metadata import ObjectMeta
from keyturn.core.pending import NOTHING_PENDING, Change, PendingChanges
from keyturn.core.restarts import (
    PendingRestart,
    described,
    judge,
    parse_switch,
    restart_annotations,
    revision_of,
    unreadable_switch,
    wants_restart,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def switch(value):
    return {names.AUTO_RESTART: value}


@pytest.mark.parametrize("text", ["1", "t", "true", "True", "TRUE", "tRuE"])
def test_the_official_spellings_of_true(text):
    """Lower-cased before they are compared."""
    assert parse_switch(text) is True


@pytest.mark.parametrize("text", ["0", "f", "false", "FALSE"])
def test_the_official_spellings_of_false(text):
    """The same for the other side."""
    assert parse_switch(text) is False


@pytest.mark.parametrize("text", ["yes", "on", " true", "", "2"])
def test_other_spellings_are_neither(text):
    """The caller decides what that means."""
    assert parse_switch(text) is None


@pytest.mark.parametrize(("text", "found"), [("yes", "yes"), (" true", " true"), ("", ""), ("T", ""), ("0", "")])
def test_a_switch_that_cannot_be_read_is_not_taken_for_an_unset_one(text, found):
    """A user who wrote `yes` waits for a restart that never comes, unless a log line says so."""
    assert unreadable_switch(switch(text)) == found
    assert unreadable_switch(None, switch(""), switch(text), switch("maybe")) == (found or ("" if text else "maybe"))
    assert unreadable_switch({}) == ""


@pytest.mark.parametrize(
    ("secret", "workload", "namespace", "default", "expected"),
    [
        pytest.param({}, {}, {}, True, True, id="set nowhere: the operator's own setting"),
        pytest.param({}, {}, {}, False, False, id="which is off by default"),
        pytest.param(switch("true"), switch("false"), switch("false"), False, True, id="Secret before all"),
        pytest.param(switch("false"), switch("true"), {}, True, False, id="in both directions"),
        pytest.param({}, switch("true"), switch("false"), False, True, id="workload before Namespace"),
        pytest.param({}, {}, switch("false"), True, False, id="Namespace before the operator"),
        pytest.param(switch(""), switch("true"), {}, False, True, id="empty is unset"),
        pytest.param(switch("maybe"), switch("true"), {}, True, False, id="nonsense is false"),
        pytest.param({}, {}, None, True, True, id="an unreadable Namespace leaves the operator's setting"),
    ],
)
def test_the_first_level_that_sets_the_switch_decides(secret, workload, namespace, default, expected):
    """The official operator's precedence."""
    assert wants_restart(secret, workload, namespace, default=default) is expected


@pytest.mark.parametrize(
    ("text", "revision"), [("7", 7), ("", 0), ("x", 0), ("-1", 0), ("1.5", 0), ("٣", 0), ("9" * 5000, 0)]
)
def test_a_revision_is_a_whole_number_or_none(text, revision):
    """Anyone may have edited it."""
    assert revision_of({names.REVISION: text}) == revision


def secret(*changes, name="db", uid="cafe-1", revision="", annotations=None, present=None):
    """Metadata of a Secret with these pending changes; `present` are its keys, None if its managed fields do not say."""
    written = {names.RESTART_OWED: PendingChanges(changes).to_annotation(), names.REVISION: revision}
    metadata = {"namespace": "app", "name": name, "uid": uid, "annotations": {**written, **(annotations or {})}}
    if present is not None:
        owned = {"f:data": {f"f:{key}": {} for key in present}}
        metadata["managedFields"] = [{"manager": "keyturn", "operation": "Apply", "fieldsV1": owned}]
    return ObjectMeta.of({"metadata": metadata})


def pending(*changes, **more):
    found = PendingRestart.of(secret(*changes, **more))
    assert found is not None
    return found


def workload(created_at="2026-11-21T11:00:00Z", **annotations):
    return ObjectMeta.of(
        {
            "metadata": {
                "namespace": "app",
                "name": "web",
                "uid": "w-1",
                "creationTimestamp": created_at,
                "annotations": annotations,
            }
        }
    )


def template(stamps="", **secrets):
    """A pod template that uses keys of Secrets, all of them for None, and carries revision stamps."""
    sources = [{"secretRef": {"name": name}} for name, keys in secrets.items() if keys is None]
    variables = [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
        for name, keys in secrets.items()
        for key in keys or ()
    ]
    container = {"name": "main", "env": variables, "envFrom": sources}
    return {"metadata": {"annotations": {names.REVISION: stamps}}, "spec": {"containers": [container]}}


def verdict(found, pods, *, of=None, policy=None, default=True, declined=None):
    pending_restarts = {each.secret.name: each for each in ([found] if isinstance(found, PendingRestart) else found)}
    return judge(
        of or workload(), pods, pending_restarts, policy=policy or {}, default=default, declined=declined or {}
    )


@pytest.mark.parametrize(("remembered", "due"), [(2, False), (3, True), (10**18 - 1, True)])
def test_a_remembered_revision_that_the_secret_has_not_reached_hides_no_change(remembered, due):
    """A forged record was restarted for once; the changes after it have lower numbers."""
    found = pending(Change(2, ("a",)))

    assert bool(verdict(found, template(db=None), declined={found.secret.uid: remembered}).due) is due


def test_a_secret_without_the_annotation_has_no_pending_restart():
    """Most Secrets, most of the time."""
    assert PendingRestart.of(replace(secret(), annotations={})) is None


def test_an_annotation_that_cannot_be_read_restarts_no_workload():
    """It is there, and is only removed."""
    found = PendingRestart.of(replace(secret(), annotations={names.RESTART_OWED: "nonsense"}))

    assert found is not None
    assert not verdict(found, template(db=None)).due


@pytest.mark.parametrize(
    ("stamps", "created_at", "due"),
    [
        pytest.param("", "2026-11-21T11:00:00Z", True, id="older than the change"),
        pytest.param("", "", True, id="of an unknown age"),
        pytest.param("", "2026-11-21T12:00:00Z", True, id="of the same second, which may be before it"),
        pytest.param("", "2026-11-21T12:00:01Z", False, id="created after the change"),
        pytest.param("db=cafe.1", "2026-11-21T11:00:00Z", True, id="restarted for an earlier change"),
        pytest.param("db=cafe.2", "2026-11-21T11:00:00Z", False, id="restarted for it already"),
        pytest.param("db=cafe.3", "2026-11-21T11:00:00Z", True, id="for a revision from before it was set back"),
        pytest.param("db=beef.2", "2026-11-21T11:00:00Z", True, id="for a Secret that was recreated since"),
        pytest.param("other=cafe.2", "2026-11-21T11:00:00Z", True, id="for another Secret"),
        pytest.param("db=cafe.two,db", "2026-11-21T11:00:00Z", True, id="edited by hand"),
    ],
)
def test_a_restart_is_due_once_and_only_for_a_workload_that_holds_old_bytes(stamps, created_at, due):
    """Never twice for one revision, never for a workload created after the change."""
    found = verdict(pending(Change(2, ("password",), NOW)), template(stamps, db=None), of=workload(created_at))

    assert found.due == ({"db": ("password",)} if due else {})
    assert found.done == ({"db"} if stamps == "db=cafe.2" else set())


CHANGES = (
    Change(4, ("password",), NOW),
    Change(5, ("username",), NOW + timedelta(minutes=5)),
    Change(6, ("ca.crt",)),
)


@pytest.mark.parametrize(
    ("stamps", "keys", "created_at", "due"),
    [
        pytest.param("", {"username"}, "", ("username",), id="only what it uses"),
        pytest.param("", {"host"}, "", (), id="nothing of what changed"),
        pytest.param("", None, "", ("ca.crt", "password", "username"), id="everything"),
        pytest.param("db=cafe.4", {"password"}, "", (), id="has seen the only change that concerns it"),
        pytest.param("db=cafe.4", None, "", ("ca.crt", "username"), id="what came after the revision of its stamp"),
        pytest.param("", None, "2026-11-21T12:03:00Z", ("ca.crt", "username"), id="what came after its creation"),
        pytest.param("", {"password"}, "2026-11-21T12:03:00Z", (), id="created after the only one that concerns it"),
        pytest.param("", {"ca.crt"}, "2026-11-21T18:00:00Z", ("ca.crt",), id="the time of the change is unknown"),
    ],
)
def test_each_change_counts_for_itself(stamps, keys, created_at, due):
    """However many changes accumulate, no workload is restarted for a key that it does not use, or has seen."""
    found = verdict(pending(*CHANGES), template(stamps, db=keys), of=workload(created_at))

    assert found.due == ({"db": due} if due else {})


def test_a_workload_that_restarted_for_its_own_keys_is_done():
    """Later changes of keys that it does not use do not concern it."""
    assert verdict(pending(*CHANGES), template("db=cafe.5", db={"username"})).done == {"db"}
    assert not verdict(pending(*CHANGES), template("db=cafe.5", db={"ca.crt"})).done
    assert not verdict(pending(*CHANGES), template("db=cafe.5", db={"host"})).done


def test_one_restart_serves_all_secrets_that_changed():
    """They are judged together, and each with its own switch."""
    pending_restarts = [
        pending(Change(2, ("a",), NOW), name="one"),
        pending(Change(3, ("b",), NOW), name="two"),
        pending(Change(4, ("c",), NOW), name="off", annotations=switch("false")),
        pending(Change(4, ("d",), NOW), name="unused"),
    ]

    found = verdict(pending_restarts, template(one=None, two={"b"}, off=None))

    assert found.due == {"one": ("a",), "two": ("b",)}
    assert found.declined == {"off"}


def test_a_switch_that_is_turned_on_causes_no_restart_for_an_old_change():
    """It concerns what changes from then on, even while the annotation stays for other workloads."""
    off = verdict(pending(Change(2, ("a",), NOW)), template(db=None), default=False)
    on = verdict(pending(Change(2, ("a",), NOW)), template(db=None), declined={"cafe-1": 2})
    later = verdict(pending(Change(2, ("a",), NOW), Change(3, ("b",), NOW)), template(db=None), declined={"cafe-1": 2})

    assert (off.due, off.declined) == ({}, {"db"})
    assert (on.due, on.declined, on.done) == ({}, frozenset(), frozenset())
    assert later.due == {"db": ("b",)}


@pytest.mark.parametrize("odd", [None, 5, [], {"annotations": 5}, {"annotations": {names.REVISION: 5}}])
def test_a_template_of_any_shape_is_judged(odd):
    """A custom resource may hold anything there."""
    assert verdict(pending(Change(2, ("a",), NOW)), {**template(db=None), "metadata": odd}).due == {"db": ("a",)}


def test_a_restart_writes_two_annotations_and_nothing_else():
    """The official one, so that GitOps ignore rules still work, and the revision stamps."""
    zone = timezone(timedelta(hours=1))
    pods = template("old=1.1,db=cafe.1,tls=1.7", db=None, tls={"tls.crt"})

    assert restart_annotations(workload(), pods, {"db": "cafe.2"}, now=NOW.astimezone(zone)) == {
        "operator.1password.io/last-restarted": "2026-11-21T13:00:00+01:00",
        "keyturn.dev/revision": "db=cafe.2,tls=1.7",
    }


def test_a_restart_is_explained_by_secrets_and_keys():
    """A user who asks why pods were replaced reads this in an Event and in the log."""
    one, two = pending(Change(2, ("a",)), name="one"), pending(Change(7, ("b", "c")), name="two")

    assert described([(one, ("a",))]) == "the Secret one revision 2 (a)"
    assert described([(one, ("a",)), (two, ("b", "c"))]) == "the Secrets one revision 2 (a), two revision 7 (b, c)"


KEYS = st.sampled_from("abcd")
HISTORIES = st.lists(st.tuples(st.frozensets(KEYS, min_size=1), st.frozensets(st.sampled_from("vwxyz"))), max_size=8)


@given(HISTORIES, st.dictionaries(st.sampled_from("vwxyz"), st.frozensets(KEYS), min_size=5))
def test_no_workload_restarts_twice_for_a_change_or_for_a_key_that_it_does_not_use(history, uses):
    """A whole history of changes and passes: after each, a workload that could be reached has seen exactly what it uses."""
    changes, stamps = NOTHING_PENDING, dict.fromkeys(uses, "")
    missed = {name: set() for name in uses}
    for revision, (changed, unreachable) in enumerate(history, start=2):
        changes = changes.with_change(revision, changed)
        found = pending(*changes.changes, revision=str(revision))
        for name, keys in uses.items():
            missed[name] |= changed & keys
            pods = template(stamps[name], db=keys)
            due = verdict(found, pods).due
            assert set(due.get("db", ())) == missed[name]
            if due and name not in unreachable:
                stamps[name] = restart_annotations(workload(), pods, {"db": found.stamp}, now=NOW)[names.REVISION]
                missed[name].clear()
        if not any(missed.values()):
            changes = NOTHING_PENDING


RENAMED = Change(2, ("newpassword", "password"), NOW)


@pytest.mark.parametrize(
    ("keys", "present", "gone"),
    [
        pytest.param({"password"}, ["newpassword", "username"], {"db": ("password",)}, id="it requires the old name"),
        pytest.param({"password", "username"}, ["newpassword", "username"], {"db": ("password",)}, id="among others"),
        pytest.param({"newpassword"}, ["newpassword", "username"], {}, id="it requires the new name"),
        pytest.param({"password"}, ["newpassword", "password"], {}, id="the key is back"),
        pytest.param(None, ["newpassword", "username"], {}, id="it takes whatever there is"),
        pytest.param(None, [], {"db": ("newpassword", "password")}, id="and nothing is left"),
        pytest.param({"password"}, None, {}, id="nobody knows which keys there are"),
    ],
)
def test_a_workload_does_not_restart_without_a_key_that_it_requires(keys, present, gone):
    """Its new pods would fail to start, while those that run work with what they have."""
    found = verdict(pending(RENAMED, present=present), template(db=keys))

    assert found.gone == gone
    assert found.due


def test_a_key_that_is_gone_holds_the_restart_for_any_other_secret():
    """A restart makes all containers again, whichever Secret it is for."""
    both = [
        pending(RENAMED, present=["newpassword"]),
        pending(Change(5, ("token",), NOW), name="api", present=["token"]),
    ]
    found = verdict(both, template("db=cafe.2", db={"password"}, api=None))

    assert found.due == {"api": ("token",)}
    assert found.gone == {"db": ("password",)}


def test_a_workload_without_a_due_restart_has_nothing_held():
    """It was restarted already, or is younger than the change; then its own template is wrong, which the kubelet says."""
    found = verdict(pending(RENAMED, present=["newpassword"]), template("db=cafe.2", db={"password"}))

    assert (found.due, found.gone) == ({}, {})


NAMED = st.frozensets(st.sampled_from("abcd"), max_size=4)


@given(changed=NAMED.filter(bool), present=NAMED, required=NAMED.filter(bool), optional=NAMED)
def test_a_restart_is_made_if_and_only_if_no_required_key_is_gone(changed, present, required, optional):
    """For all keys that changed, that are there, and that a workload refers to in either way."""
    pods = template(db=required)
    env = pods["spec"]["containers"][0]["env"]
    env += [
        {"name": "O", "valueFrom": {"secretKeyRef": {"name": "db", "key": key, "optional": True}}} for key in optional
    ]
    found = verdict(pending(Change(2, tuple(sorted(changed)), NOW), present=sorted(present)), pods)

    assert set(found.due.get("db", ())) == changed & (required | optional)
    assert set(found.gone.get("db", ())) == ((changed - present) & required if found.due else set())
