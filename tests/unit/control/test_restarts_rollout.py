"""One pass over one namespace: what it asks of the API server, and what it does where that fails."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.transport import ApiResponse
from keyturn.control.restarts.kinds import ChosenKind
from keyturn.control.restarts.rollout import RestartPass
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, RESTART_DECLINED, RESTART_OWED, REVISION
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.restart_kinds import parse_kinds
from keyturn.core.restarts import PendingRestart
from support.fake_time import FakeTime

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

_WORKLOADS = re.compile(r"/apis/[^/]+/[^/]+/namespaces/app/(?P<plural>[a-z]+)(/(?P<name>[^/]+))?")
_SECRET = re.compile(r"/api/v1/namespaces/app/secrets/(?P<name>[^/]+)")


class Server:
    """An API server in memory, as a transport: one namespace with workloads, and Secrets whose marks can be removed.

    Attributes:
        asked: how often, by method and what was meant.
        trouble: answers to give instead, in order, by method and name.
        before_patch: called before a workload is patched.
        noted: Secrets beside whose mark it was noted who declined, with the note.
    """

    def __init__(self):
        self.workloads = {}
        self.marks = {}
        self.noted = []
        self.policy = {}
        self.asked = Counter()
        self.trouble = {}
        self.before_patch = lambda name: None

    def add(self, name, secrets, *, plural="deployments", **annotations):
        sources = [{"secretRef": {"name": secret}} for secret in secrets]
        metadata = {"name": name, "namespace": "app", "uid": f"{name}-uid", "resourceVersion": "1"}
        metadata |= {"annotations": annotations, "creationTimestamp": "2026-11-21T11:00:00Z"}
        template = {"metadata": {}, "spec": {"containers": [{"name": "main", "envFrom": sources}]}}
        self.workloads[plural, name] = {"metadata": metadata, "spec": {"template": template}}

    def owing(self, *names):
        pending_restarts = []
        for name in names:
            self.marks[name] = PendingChanges((Change(2, ("password",), NOW),)).to_annotation()
            annotations = {RESTART_OWED: self.marks[name], REVISION: "2"}
            metadata = {"namespace": "app", "name": name, "uid": f"{name}-uid", "annotations": annotations}
            pending_restarts.append(PendingRestart.of(ObjectMeta.of({"metadata": metadata})))
        return pending_restarts

    def carried(self, name, plural="deployments"):
        return self.workloads[plural, name]["spec"]["template"]["metadata"].get("annotations", {}).get(REVISION, "")

    async def send(self, request, deadline):
        match = _WORKLOADS.fullmatch(request.path) or _SECRET.fullmatch(request.path)
        what = request.path.rsplit("/", 1)[-1]
        self.asked[request.method, match["plural"] if match and "plural" in match.groupdict() else what] += 1
        if planned := self.trouble.get((request.method, what)):
            return planned.pop(0)
        if request.path == "/api/v1/namespaces/app":
            return _answer({"metadata": {"name": "app", "annotations": self.policy}})
        if match is None:
            return _status(404, "NotFound")
        if "plural" not in match.groupdict() and isinstance(request.body, dict):
            self.noted.append((match["name"], request.body["metadata"]["annotations"][RESTART_DECLINED]))
            return _answer({"metadata": {"name": match["name"]}})
        if "plural" not in match.groupdict():
            return self._clear(match["name"], request.body)
        return self._workload(request, match["plural"], match["name"])

    async def aclose(self):
        """Nothing is open."""

    def _workload(self, request, plural, name):
        if name is None:
            return _answer({"items": [each for key, each in self.workloads.items() if key[0] == plural]})
        if request.method == "PATCH":
            self.before_patch(name)
        found = self.workloads.get((plural, name))
        if found is None:
            return _status(404, "NotFound")
        if request.method == "PATCH":
            if request.body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                return _status(409, "Conflict")
            assert set(request.body) == {"metadata", "spec"}
            assert set(request.body["metadata"]) == {"resourceVersion"}
            template = found["spec"]["template"]["metadata"]
            template["annotations"] = {
                **template.get("annotations", {}),
                **request.body["spec"]["template"]["metadata"]["annotations"],
            }
            self.touch(name, plural)
        return _answer(found)

    def touch(self, name, plural="deployments"):
        metadata = self.workloads[plural, name]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def _clear(self, name, operations):
        tests = {each["path"]: each["value"] for each in operations if each["op"] == "test"}
        if tests["/metadata/annotations/keyturn.dev~1restart-owed"] != self.marks.get(name):
            return _status(422, "Invalid")
        del self.marks[name]
        return _answer({"metadata": {"name": name}})


def _answer(body):
    return ApiResponse(200, json.dumps(body).encode())


def _status(code, reason, retry_after=None):
    return ApiResponse(code, json.dumps({"kind": "Status", "code": code, "reason": reason}).encode(), retry_after)


class Books:
    """A payer before such a server, and what it tells."""

    def __init__(self, server, *, default=True, kinds=""):
        self.told = []
        self.said = {}
        cluster = Cluster(server, time=FakeTime())

        async def tell_status(key, said):
            self.said[key.name] = (said["owed"], said["done"])

        self.payer = RestartPass(
            cluster,
            chosen=[ChosenKind(cluster, reference) for reference in parse_kinds(kinds)],
            default=default,
            now=lambda: NOW,
            restarted=lambda kind, outcome: None,
            tell=lambda about, note: self.told.append((about.name, note)),
            tell_status=tell_status,
        )


@pytest.fixture
def server():
    return Server()


async def test_a_pass_asks_once_for_each_kind_however_many_secrets_there_are(server):
    """Fifty Secrets of one workload: one look at the namespace, one list of each kind, one restart."""
    names = [f"s{number:02d}" for number in range(50)]
    server.add("web", names)

    outcome = await Books(server).payer.pay("app", server.owing(*names))

    assert (outcome.failed, outcome.progress) == (False, True)
    reads = {what: count for what, count in server.asked.items() if what[0] == "GET"}
    assert reads == {("GET", what): 1 for what in ("app", "deployments", "statefulsets", "daemonsets")}
    assert server.asked["PATCH", "deployments"] == 1
    assert server.marks == {}


async def test_a_workload_that_changes_meanwhile_is_looked_at_again_at_once(server):
    """Its controller writes its status while it is rolled out; that must not cost the whole namespace a second."""
    server.add("web", ["login"])
    changes = [lambda: server.touch("web")] * 3
    server.before_patch = lambda name: changes.pop()() if changes else None

    outcome = await Books(server).payer.pay("app", server.owing("login"))

    assert not outcome.failed
    assert server.asked["PATCH", "deployments"] == 4
    assert server.asked["GET", "deployments"] == 4
    assert server.marks == {}


async def test_a_workload_that_never_stands_still_is_left_to_the_next_pass(server):
    """The others are restarted, and its Secrets go on to owe."""
    server.add("restless", ["one", "both"])
    server.add("web", ["two", "both"])
    server.before_patch = lambda name: server.touch(name) if name == "restless" else None
    books = Books(server)

    outcome = await books.payer.pay("app", server.owing("one", "two", "both"))

    assert outcome.failed
    assert server.carried("restless") == ""
    assert "both=both.2" in server.carried("web")
    assert set(server.marks) == {"one", "both"}
    assert books.said == {"one": (1, 0), "two": (0, 1), "both": (1, 1)}


async def test_what_was_deleted_is_owed_nothing(server):
    """Between the list and the restart it may go."""
    server.add("web", ["login"])
    server.before_patch = lambda name: server.workloads.pop(("deployments", name))

    outcome = await Books(server).payer.pay("app", server.owing("login"))

    assert not outcome.failed
    assert server.marks == {}


@pytest.mark.parametrize(
    ("trouble", "retry_after"),
    [
        pytest.param(_status(429, "TooManyRequests", "7"), 7.0, id="too many requests"),
        pytest.param(_status(503, "ServiceUnavailable"), 0.0, id="out of order"),
        pytest.param(_status(403, "Forbidden"), 0.0, id="forbidden"),
    ],
)
@pytest.mark.parametrize("what", [("GET", "statefulsets"), ("PATCH", "web"), ("PATCH", "login")])
async def test_whatever_fails_is_done_by_the_next_pass(server, what, trouble, retry_after):
    """A mark stays until everything was looked at and everybody restarted, and nobody is restarted twice."""
    server.add("web", ["login"])
    server.add("other", ["login"])
    server.trouble = {what: [trouble]}
    books = Books(server)
    pending_restarts = server.owing("login")

    failed = await books.payer.pay("app", pending_restarts)
    assert (failed.failed, failed.retry_after) == (True, retry_after)
    assert set(server.marks) == {"login"}

    assert not (await books.payer.pay("app", pending_restarts)).failed
    assert server.marks == {}
    assert [server.carried(name) for name in ("web", "other")] == ["login=login.2"] * 2
    assert sorted(name for name, _ in books.told) == ["other", "web"]


async def test_a_policy_that_cannot_be_read_now_is_waited_for(server):
    """Without it nobody knows who wants a restart; where it may never be read, the operator's own setting holds."""
    server.add("web", ["login"])
    server.trouble = {("GET", "app"): [_status(500, "InternalError"), _status(403, "Forbidden")]}
    books = Books(server)
    pending_restarts = server.owing("login")

    assert (await books.payer.pay("app", pending_restarts)).failed
    assert server.carried("web") == ""
    assert not (await books.payer.pay("app", pending_restarts)).failed
    assert server.carried("web") == "login=login.2"


async def test_a_mark_that_moved_on_is_left(server):
    """What it says now was not paid."""
    server.add("web", ["login"])
    pending_restarts = server.owing("login")
    server.marks["login"] = "another"

    outcome = await Books(server).payer.pay("app", pending_restarts)

    assert not outcome.failed
    assert server.marks == {"login": "another"}


async def test_who_declined_is_not_restarted_when_the_mark_stands_for_another(server):
    """A switch that is turned on speaks of later changes."""
    server.add("unwilling", ["login"], **{AUTO_RESTART: "false"})
    server.add("web", ["login"])
    server.trouble = {("PATCH", "web"): [_status(503, "ServiceUnavailable")]}
    books = Books(server)
    pending_restarts = server.owing("login")
    await books.payer.pay("app", pending_restarts)

    server.workloads["deployments", "unwilling"]["metadata"]["annotations"] = {}
    await books.payer.pay("app", pending_restarts)

    assert (server.carried("unwilling"), server.carried("web")) == ("", "login=login.2")
    assert books.said == {"login": (0, 1)}
    assert books.payer.is_paid(pending_restarts[0].secret)
    books.payer.forget_all_but([])
    assert not books.payer.is_paid(pending_restarts[0].secret)


async def test_another_operator_knows_who_declined(server):
    """What was declined is written down while the mark stands for another, once, and read by whoever pays after a crash."""
    server.add("unwilling", ["login"], **{AUTO_RESTART: "false"})
    server.add("web", ["login"])
    server.trouble = {("PATCH", "web"): [_status(503, "ServiceUnavailable")] * 2}
    books, [pending] = Books(server), server.owing("login")
    await books.payer.pay("app", [pending])
    assert server.noted == [("login", "unwilling-uid=2")]

    server.workloads["deployments", "unwilling"]["metadata"]["annotations"] = {}
    noted = replace(pending.secret, annotations={**pending.secret.annotations, RESTART_DECLINED: server.noted[0][1]})
    another = Books(server)
    await another.payer.pay("app", [PendingRestart.of(noted)])
    await another.payer.pay("app", [PendingRestart.of(noted)])

    assert (server.carried("unwilling"), server.carried("web")) == ("", "login=login.2")
    assert len(server.noted) == 1
    assert server.marks == {}


async def test_a_namespace_is_read_in_pages_of_which_only_the_due_are_kept(server):
    """Thousands of whole workloads at once would be the operator's largest piece of memory."""
    server.add("web", ["login"])
    server.add("other", ["unrelated"])
    first, second = server.workloads["deployments", "other"], server.workloads["deployments", "web"]
    pages = [_answer({"items": [first], "metadata": {"continue": "more"}}), _answer({"items": [second]})]
    server.trouble = {("GET", "deployments"): pages}

    assert not (await Books(server).payer.pay("app", server.owing("login"))).failed

    assert server.carried("web") == "login=login.2"
    assert server.marks == {}


async def test_a_switch_that_nobody_can_read_is_told_once(server, caplog):
    """It counts as false wherever it stands, and somebody waits for the restart."""
    server.policy = {AUTO_RESTART: "yes"}
    server.add("web", ["login"])
    server.add("blocked", ["login"], **{AUTO_RESTART: "true"})
    server.trouble = {("PATCH", "blocked"): [_status(503, "ServiceUnavailable")]}
    books = Books(server)
    pending_restarts = server.owing("login")

    await books.payer.pay("app", pending_restarts)
    await books.payer.pay("app", pending_restarts)

    told = [message for message in caplog.messages if "neither true nor false" in message]
    assert told == [f"Deployment app/web is not restarted: {AUTO_RESTART} is 'yes', neither true nor false"]
    assert (server.carried("web"), server.carried("blocked")) == ("", "login=login.2")


async def test_a_kind_of_our_users_is_found_and_listed_like_the_others(server):
    """Its plural is the API server's business; while it is not served there is nothing of it to restart."""
    server.add("web", ["login"], plural="rolloutses")
    books = Books(server, kinds="argoproj.io/v1alpha1/Rollout")
    assert not (await books.payer.pay("app", server.owing("login"))).failed
    assert server.carried("web", "rolloutses") == ""

    served = {"resources": [{"name": "rolloutses/status", "kind": "Rollout", "namespaced": True}]}
    served["resources"].append({"name": "rolloutses", "kind": "Rollout", "namespaced": True})
    server.trouble = {("GET", "v1alpha1"): [_answer(served), _status(500, "InternalError"), _answer(served)]}
    pending_restarts = server.owing("login")
    assert not (await books.payer.pay("app", pending_restarts)).failed
    assert server.carried("web", "rolloutses") == "login=login.2"

    pending_restarts = server.owing("login")
    assert (await books.payer.pay("app", pending_restarts)).failed
    assert set(server.marks) == {"login"}


async def test_a_restart_is_told(server):
    """By Secrets and keys, on the workload itself."""
    server.add("web", ["login", "tls"])
    books = Books(server)

    await books.payer.pay("app", server.owing("login", "tls"))

    assert books.told == [("web", "restarted for the Secrets login revision 2 (password), tls revision 2 (password)")]
