"""Every record of ours may be forged; whatever it says, each rotation is restarted."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn.core import names
from keyturn.core.conditions import Status
from keyturn.core.desired import Desired
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.pending import pending_changes
from keyturn.core.request import Key, Owner, SecretRequest
from keyturn.core.restart_status import begun, pending_by_status
from keyturn.core.restarts import PendingRestart, judge, restart_annotations
from keyturn.core.secret import Apply, Create, plan_secret
from keyturn.core.stamps import RevisionStamp
from support.stored_secrets import stored

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESTARTS = {"revision": 7, "changedAt": "2026-11-21T11:00:00Z", "keys": ["password"], "owed": 0, "done": 1}
STATUS = Status(
    observed_generation=1, item_path="vaults/v/items/i", item_version="3", keys=("password",), restarts=RESTARTS
)
REQUEST = SecretRequest(
    key=Key("app", "db"),
    uid="cr-1",
    generation=1,
    item_path="vaults/v/items/i",
    owners=(Owner(names.API_VERSION, names.KIND, "db", "cr-1"),),
    status=STATUS,
)
RECORDS = (
    names.REVISION,
    names.RESTART_OWED,
    names.RESTART_DECLINED,
    names.ITEM_PATH,
    names.ITEM_VERSION,
    names.OPTIONS,
    names.KEYS,
)
NUMBERS = st.sampled_from((0, 1, 2, 6, 7, 8, 9, 999, 1000, 10**6, 10**15, 10**18 - 2, 10**18 - 1, 10**18, 2**63 - 1))
NUMBERS |= st.integers(-5, 2**64)


def change(revision, keys):
    return json.dumps({"revision": revision, "changes": [{"revision": revision, "keys": keys}]})


FORGERIES = (
    st.text(max_size=20)
    | NUMBERS.map(str)
    | st.builds(change, NUMBERS, st.lists(st.sampled_from(("password", "x")), max_size=2))
    | st.builds("web-1={}".format, NUMBERS)
    | st.builds("cafe.{}".format, NUMBERS)
)


class World:
    """A Secret at revision 7, which one workload uses and has seen as it is."""

    def __init__(self, request=REQUEST):
        self.request, self.item_revision, self.writes = request, 3, 1000
        self.template: dict[str, Any] = {
            "metadata": {"annotations": {names.REVISION: "db=cafe.7"}},
            "spec": {"containers": [{"envFrom": [{"secretRef": {"name": "db"}}]}]},
        }
        plan = plan_secret(None, self.desired(b"0"))
        assert isinstance(plan, Create)
        self.secret = self.stored(plan.manifest)
        self.secret["metadata"]["annotations"] |= {names.REVISION: "7"}
        self.secret["metadata"]["annotations"].pop(names.RESTART_OWED, None)

    def desired(self, value):
        return Desired(self.request, ItemPath("v", "i"), str(self.item_revision), data={"password": value})

    def stored(self, manifest):
        """The Secret as the API server keeps it after a write of ours."""
        self.writes += 1
        return stored(manifest, uid="cafe-1", version=str(self.writes))

    def forge(self, record, text):
        """Somebody edits an annotation of the Secret, or removes it, and so becomes its owner."""
        self.writes += 1
        metadata = self.secret["metadata"]
        annotations = {name: value for name, value in metadata["annotations"].items() if name != record}
        if text is not None:
            annotations[record] = text
        ours = json.loads(json.dumps(metadata["managedFields"][0]))
        ours["fieldsV1"]["f:metadata"]["f:annotations"].pop(f"f:{record}", None)
        theirs = {"f:metadata": {"f:annotations": {f"f:{record}": {}} if text is not None else {}}}
        fields = [ours, {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": theirs}]
        self.secret["metadata"] = {
            **metadata,
            "annotations": annotations,
            "managedFields": fields,
            "resourceVersion": str(self.writes),
        }

    def rotate(self, value):
        """The item changes, and the Secret is written; the status follows."""
        self.item_revision += 1
        plan = plan_secret(self.secret, self.desired(value))
        assert isinstance(plan, Apply)
        assert plan.changed == ("password",)
        declined = self.secret["metadata"]["annotations"].get(names.RESTART_DECLINED)
        theirs = self.secret["metadata"]["managedFields"][1:]
        self.secret = self.stored(plan.manifest)
        if declined is not None:
            # Our apply does not touch it.
            self.secret["metadata"]["annotations"][names.RESTART_DECLINED] = declined
            self.secret["metadata"]["managedFields"] += theirs

    def is_due(self):
        pending = PendingRestart.of(ObjectMeta.of(self.secret))
        assert pending is not None
        workload = ObjectMeta.of(
            {
                "metadata": {
                    "namespace": "app",
                    "name": "web",
                    "uid": "web-1",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                }
            }
        )
        declined = {"cafe-1": revision} if (revision := pending.declined().get("web-1")) else {}
        verdict = judge(workload, self.template, {"db": pending}, policy={}, default=True, declined=declined)
        self.stamps = restart_annotations(workload, self.template, {"db": pending.stamp}, now=NOW)
        return bool(verdict.due)

    def restart(self):
        self.template["metadata"]["annotations"] |= self.stamps
        self.secret["metadata"]["annotations"].pop(names.RESTART_OWED)

    def check_rotations(self):
        """Each is restarted exactly once, and all numbers can be written and read back."""
        for value in (b"1", b"2", b"3"):
            self.rotate(value)
            annotations = self.secret["metadata"]["annotations"]
            revision = int(annotations[names.REVISION])
            changes = pending_changes(annotations)
            assert changes is not None
            assert 0 < revision < 2**63
            assert changes.revision == revision
            assert RevisionStamp.parse(f"cafe.{revision}").revision == revision
            assert begun(revision, changes)["revision"] == revision
            assert self.is_due()
            pending = dict(self.secret["metadata"]["annotations"])
            self.restart()
            self.secret["metadata"]["annotations"] = pending
            assert not self.is_due()
            self.restart()


@pytest.mark.parametrize("has_status", [True, False], ids=["status", "no status"])
@pytest.mark.parametrize("record", RECORDS)
@given(forged=st.none() | FORGERIES)
@example(forged=str(10**18 - 1))
@example(forged=change(10**18 - 1, ["password"]))
@example(forged="web-1=8")
@example(forged="web-1=1001")
@example(forged="6")
def test_a_forged_annotation_loses_no_restart(record, has_status, forged):
    """An overflow once ended the restarts of a Secret's workloads for good."""
    world = World(
        replace(REQUEST, has_status=has_status, status=replace(STATUS, restarts={}) if not has_status else STATUS)
    )
    world.forge(record, forged)

    world.check_rotations()


@given(
    restarts=st.fixed_dictionaries(
        {},
        optional={
            "revision": NUMBERS,
            "changedAt": st.sampled_from(("2999-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00", "x")),
            "keys": st.lists(st.text(max_size=3), max_size=3),
            "owed": NUMBERS,
            "done": NUMBERS,
        },
    ),
    version=st.text(max_size=3),
)
@example(restarts={"revision": 2**63 - 1}, version="3")
def test_a_forged_status_loses_no_restart(restarts, version):
    """A right to write statuses is no right to stop restarts."""
    world = World(replace(REQUEST, status=replace(STATUS, restarts=restarts, item_version=version, keys=())))

    world.check_rotations()
    again = pending_by_status(restarts)
    assert again is None or all(each.at is None or each.at.tzinfo for each in again.changes)


@given(FORGERIES.filter(lambda text: text not in {f"cafe.{number}" for number in (8, 9, 10)}))
@example(f"cafe.{10**18 - 1}")
@example("cafe.7")
def test_a_forged_stamp_loses_no_restart(stamp):
    """What the pods carry decides, if the Secret can have reached it."""
    world = World()
    world.template["metadata"]["annotations"][names.REVISION] = f"db={stamp}"

    world.check_rotations()
