"""Which workload is owed a restart, and what a restart writes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.restarts import (
    NOTHING_OWED,
    OwedRestart,
    by_server_time,
    carried_revisions,
    is_due,
    owed_restart,
    parse_switch,
    restart_patch,
    revision_mark,
    revision_of,
    secrets_used,
    unreadable_switch,
    wants_restart,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, 500_000, tzinfo=UTC)
OWED = OwedRestart(revision=2, changed_at=NOW, keys=("password",))


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
    """Whoever asks decides what that means."""
    assert parse_switch(text) is None


@pytest.mark.parametrize(("text", "told"), [("yes", "yes"), (" true", " true"), ("", ""), ("T", ""), ("0", "")])
def test_a_switch_that_nobody_can_read_is_told_apart_from_none(text, told):
    """Whoever wrote `yes` waits for a restart that never comes, unless somebody says so."""
    assert unreadable_switch(switch(text)) == told
    assert unreadable_switch({}) == ""


@pytest.mark.parametrize(
    ("secret", "workload", "namespace", "default", "expected"),
    [
        pytest.param({}, {}, {}, True, True, id="nobody says anything: the operator's own setting"),
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
def test_the_first_level_that_says_anything_decides(secret, workload, namespace, default, expected):
    """The official operator's precedence."""
    assert wants_restart(secret, workload, namespace, default=default) is expected


@given(st.integers(1), st.datetimes(timezones=st.just(UTC)), st.lists(st.text("abc.-", min_size=1), unique=True))
def test_a_debt_is_read_back_as_it_was_written(revision, changed_at, keys):
    """It must survive any crash, so it lives on the Secret."""
    debt = OwedRestart(revision, changed_at, tuple(keys))

    assert owed_restart({names.RESTART_OWED: debt.to_annotation()}) == debt


NONSENSE = [
    '{"revision":1,"changedAt":"2026-01-01","keys":[]}',
    '{"revision":Infinity,"changedAt":"2026-01-01T00:00:00Z","keys":[]}',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", NONSENSE, ids=["no zone", "no number", "no end"])
def test_nonsense_that_python_stumbles_over_is_no_debt(text):
    """One annotation of one tenant must not stop the operator for all."""
    assert owed_restart({names.RESTART_OWED: text}) is None


def test_the_servers_clock_dates_a_debt():
    """Ours may be off, and workloads are dated by the server's."""
    fields = [
        {"manager": "keyturn", "time": "2026-11-21T12:30:00Z"},
        {"manager": "keyturn", "time": "2026-11-21T12:20:00Z"},
        {"manager": "kubectl-edit", "time": "2026-11-21T13:00:00Z"},
    ]

    assert by_server_time(OWED, fields).changed_at == datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
    assert by_server_time(OWED, []) == OWED


@given(st.text() | st.sampled_from(["{}", "[]", "null", '{"revision":1}', '{"revision":1,"changedAt":5,"keys":[]}']))
def test_a_debt_that_somebody_edited_is_no_debt(text):
    """Nonsense in an annotation must never stop a pass."""
    assert owed_restart({names.RESTART_OWED: text}) is None


@pytest.mark.parametrize(
    ("text", "revision"), [("7", 7), ("", 0), ("x", 0), ("-1", 0), ("1.5", 0), ("٣", 0), ("9" * 5000, 0)]
)
def test_a_revision_is_a_whole_number_or_none(text, revision):
    """Somebody may have edited it."""
    assert revision_of({names.REVISION: text}) == revision


TEMPLATE = {
    "spec": {
        "containers": [
            {
                "name": "a",
                "env": [
                    {"name": "A", "value": "plain"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "from-env", "key": "k"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}},
                ],
                "envFrom": [{"prefix": "X_", "secretRef": {"name": "from-env-from"}}, {"configMapRef": {"name": "no"}}],
            }
        ],
        "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "from-init"}}]}],
        "volumes": [
            {"name": "v", "secret": {"secretName": "from-volume"}},
            {"name": "e", "emptyDir": {}},
            {
                "name": "p",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "no"}},
                        {"secret": {"name": "from-projected"}},
                        {"secret": {"name": "from-projected-too"}},
                    ]
                },
            },
        ],
        "imagePullSecrets": [{"name": "from-pull"}],
    }
}


def test_every_way_to_refer_to_a_secret_is_seen():
    """Environment, volumes, all projected sources, init containers and pull secrets; no config maps."""
    assert secrets_used(TEMPLATE) == {
        "from-env",
        "from-env-from",
        "from-init",
        "from-volume",
        "from-projected",
        "from-projected-too",
        "from-pull",
    }


@pytest.mark.parametrize("template", [{}, {"spec": None}, {"spec": {"containers": None, "volumes": [{}]}}])
def test_a_template_that_refers_to_nothing(template):
    """Absent and empty members are all the same."""
    assert secrets_used(template) == frozenset()


@pytest.mark.parametrize(
    ("carried", "created_at", "due"),
    [
        pytest.param({}, "2026-11-21T11:00:00Z", True, id="older than the change"),
        pytest.param({}, "2026-11-21T12:00:00Z", True, id="of the same second, which may be before it"),
        pytest.param({}, "2026-11-21T12:00:01Z", False, id="created after the change"),
        pytest.param({names.REVISION: "db=cafe.1"}, "2026-11-21T11:00:00Z", True, id="restarted for an earlier one"),
        pytest.param({names.REVISION: "db=cafe.2"}, "2026-11-21T11:00:00Z", False, id="restarted for it already"),
        pytest.param({names.REVISION: "db=beef.2"}, "2026-11-21T11:00:00Z", True, id="for a Secret since replaced"),
        pytest.param({names.REVISION: "other=cafe.2"}, "2026-11-21T11:00:00Z", True, id="for another Secret"),
    ],
)
def test_a_restart_is_due_once_and_only_to_who_holds_old_bytes(carried, created_at, due):
    """Never twice for one revision, never to a workload created after the change."""
    assert is_due("db", "cafe.2", OWED, carried=carried, created_at=created_at) is due


def test_an_unreadable_debt_is_due_to_nobody():
    """It is only cleared."""
    assert not is_due("db", "cafe.0", NOTHING_OWED, carried={}, created_at="2020-01-01T00:00:00Z")


def test_a_restart_touches_two_annotations_of_the_template_and_nothing_else():
    """The official one, so that GitOps ignore rules go on to work, and the revisions now carried."""
    zone = timezone(timedelta(hours=1))
    patch = restart_patch(
        {names.REVISION: "old=1.1,db=cafe.1"}, {"db": "cafe.2"}, in_use={"db", "tls"}, now=NOW.astimezone(zone)
    )

    assert patch == {
        "spec": {
            "template": {
                "metadata": {
                    "annotations": {
                        "operator.1password.io/last-restarted": "2026-11-21T13:00:00+01:00",
                        "keyturn.dev/revision": "db=cafe.2",
                    }
                }
            }
        }
    }


NAMES = st.text("abc-.", min_size=1, max_size=5)
MARKS = st.builds(revision_mark, st.uuids().map(str), st.integers(1, 9))


@given(
    st.dictionaries(NAMES, MARKS, max_size=4),
    st.dictionaries(NAMES, MARKS, min_size=1, max_size=4),
    st.frozensets(NAMES),
)
def test_after_a_restart_the_template_carries_every_mark_that_was_due(before, due, others):
    """And keeps those of the other Secrets it uses."""
    used = others | due.keys()
    text = ",".join(f"{name}={mark}" for name, mark in before.items())

    patch = restart_patch({names.REVISION: text}, due, in_use=used, now=NOW)

    carried = carried_revisions(patch["spec"]["template"]["metadata"]["annotations"])
    assert carried == {name: mark for name, mark in {**before, **due}.items() if name in used}
