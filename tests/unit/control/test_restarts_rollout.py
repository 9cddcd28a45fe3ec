"""One pass over one namespace: which requests it sends, and what it does if they fail."""

from collections import Counter

import pytest

from keyturn.cluster import (
    DAEMONSETS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    SECRETS,
    STATEFULSETS,
    Resource,
)
from keyturn.control.restarts.results import PassResult
from keyturn.control.restarts.rollout import RestartPass
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import AUTO_RESTART, REFRESH_MOUNTS, RESTART_DECLINED, RESTART_OWED
from keyturn.core.pending import Change, PendingChanges
from keyturn.core.restart_kinds import parse_kinds
from keyturn.core.restarts import PendingRestart
from support.beside import beside
from support.event_loop import turns
from support.fake_api import FakeApiServer
from support.fake_context import fake_context, posted_events
from support.restart_objects import (
    BEFORE,
    CHANGED_AT,
    add_pending,
    add_workload,
    owning,
    seen_again,
    stamps,
    still_pending,
)

ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rolloutses", "Rollout")
OFF, ON = {AUTO_RESTART: "false"}, {AUTO_RESTART: "true"}


class Rig:
    """A pass before an API server in memory.

    Attributes:
        counted: workloads left and done, by the name of the Secret, as its status got them.
    """

    def __init__(self, api, **settings):
        self.counted = {}
        self.context = fake_context(api, **{"auto_restart": True, **settings})

        async def on_counted(key, restarts):
            self.counted[key.name] = (restarts["owed"], restarts["done"])

        self.passes = RestartPass(self.context, on_counted=on_counted)

    async def run(self, pending):
        return await self.passes.run("app", pending)

    @property
    def events(self):
        return [(about.name, event.reason, event.message) for about, event in posted_events(self.context)]

    def metric(self, kind, outcome):
        labels = {"kind": kind, "outcome": outcome}
        return self.context.metrics.registry.get_sample_value("keyturn_restarts_total", labels)


@pytest.fixture
def api():
    found = FakeApiServer()
    found.add(NAMESPACES, {"metadata": {"name": "app"}})
    return found


def on_patch(api, resource, react):
    """Have something happen to a workload right before it is patched."""
    api.before = lambda call: react(call.name) if (call.verb, call.resource) == ("patch", resource.label) else None


async def test_a_pass_reads_each_kind_once_however_many_secrets_there_are(api):
    """Fifty Secrets of one workload: one look at the namespace, one list of each kind, one restart."""
    names = [f"s{number:02d}" for number in range(50)]
    add_workload(api, "web", *names)

    result = await Rig(api).run(add_pending(api, *names))

    assert result == PassResult(progress=True)
    reads = Counter((call.verb, call.resource) for call in api.calls if call.verb in {"get", "list"})
    assert reads == {
        ("get", "namespaces"): 1,
        ("list", "deployments.apps"): 1,
        ("list", "statefulsets.apps"): 1,
        ("list", "daemonsets.apps"): 1,
    }
    assert api.count("patch", DEPLOYMENTS) == 1
    assert still_pending(api, *names) == set()


@pytest.mark.parametrize("resource", [DEPLOYMENTS, STATEFULSETS, DAEMONSETS], ids=lambda resource: resource.kind)
async def test_a_restart_touches_two_annotations_of_the_template_alone(api, resource):
    """Everything else belongs to others, and the patch conflicts with whatever they change meanwhile."""
    add_workload(api, "web", "login", resource=resource)
    version = api.find(resource, "app", "web")["metadata"]["resourceVersion"]
    rig = Rig(api)

    await rig.run(add_pending(api, "login"))

    [patch] = [call for call in api.writes if call.resource == resource.label]
    annotations = {
        "operator.1password.io/last-restarted": "2030-01-01T00:00:00+00:00",
        "keyturn.dev/revision": "login=login.2",
    }
    assert patch.body == {
        "metadata": {"resourceVersion": version},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    }
    assert patch.field_manager == "keyturn-restart"
    assert rig.metric(resource.kind, "done") == 1


async def test_a_workload_that_changes_meanwhile_is_read_again_at_once(api):
    """Its controller writes its status while it is rolled out; that must not cost the whole namespace a second."""
    add_workload(api, "web", "login")
    changes = [None] * 3
    on_patch(api, DEPLOYMENTS, lambda name: changes and [changes.pop(), api.edit(DEPLOYMENTS, "app", name, {})])

    result = await Rig(api).run(add_pending(api, "login"))

    assert not result.failed
    assert api.count("patch", DEPLOYMENTS) == 4
    assert (api.count("list", DEPLOYMENTS), api.count("get", DEPLOYMENTS)) == (1, 3)
    assert still_pending(api, "login") == set()


async def test_a_workload_that_never_stands_still_is_left_to_the_next_pass(api):
    """The others are restarted, and its Secrets keep their annotation."""
    add_workload(api, "restless", "one", "both")
    add_workload(api, "web", "two", "both")
    on_patch(api, DEPLOYMENTS, lambda name: name == "restless" and api.edit(DEPLOYMENTS, "app", name, {}))
    rig = Rig(api)

    result = await rig.run(add_pending(api, "one", "two", "both"))

    assert result.failed
    assert api.count("patch", DEPLOYMENTS, "restless") == 6
    assert stamps(api, "restless") == ""
    assert "both=both.2" in stamps(api, "web")
    assert still_pending(api, "one", "two", "both") == {"one", "both"}
    assert rig.counted == {"one": (1, 0), "two": (0, 1), "both": (1, 1)}
    assert rig.metric("Deployment", "failed") == 1


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        pytest.param({"metadata": {"labels": {"a": "b"}}}, 1, id="nothing that matters: restart"),
        pytest.param({"spec": {"template": {"spec": {"containers": []}}}}, 0, id="does not use the Secret any more"),
        pytest.param({"metadata": {"annotations": OFF}}, 0, id="switched off"),
        pytest.param(
            {"spec": {"template": {"metadata": {"annotations": {"keyturn.dev/revision": "login=login.2"}}}}},
            0,
            id="restarted already",
        ),
        pytest.param({"metadata": {"deletionTimestamp": BEFORE, "finalizers": ["x"]}}, 0, id="being deleted"),
    ],
)
async def test_a_workload_that_changed_is_judged_in_its_new_state(api, change, restarts):
    """The verdict on the old state holds only for the old state."""
    add_workload(api, "web", "login")
    changes = [change]
    on_patch(api, DEPLOYMENTS, lambda name: changes and api.edit(DEPLOYMENTS, "app", name, changes.pop()))

    result = await Rig(api).run(add_pending(api, "login"))

    assert not result.failed
    written = [call for call in api.writes if call.resource == DEPLOYMENTS.label]
    assert len(written) == restarts
    assert still_pending(api, "login") == set()


async def test_what_was_declined_in_a_pass_stays_declined_if_the_workload_changes_in_it(api):
    """A switch that is turned on between two attempts concerns later changes, too."""
    add_workload(api, "web", "login", "forced", annotations=OFF)
    login, forced = add_pending(api, "login", "forced")
    api.edit(SECRETS, "app", "forced", {"metadata": {"annotations": ON}})
    changes = [{"metadata": {"annotations": ON}}]
    on_patch(api, DEPLOYMENTS, lambda name: changes and api.edit(DEPLOYMENTS, "app", name, changes.pop()))

    await Rig(api).run([login, seen_again(api, forced)])

    assert stamps(api, "web") == "forced=forced.2"


@pytest.mark.parametrize("fails", [False, True], ids=["restarted for another", "and cannot be restarted"])
async def test_what_a_workload_declines_when_it_is_judged_again_is_remembered(api, fails):
    """The switch was turned off between two attempts, and is turned on between two passes."""
    add_workload(api, "web", "login", "forced")
    add_workload(api, "blocked", "login", annotations=ON)
    login, forced = add_pending(api, "login", "forced")
    api.edit(SECRETS, "app", "forced", {"metadata": {"annotations": ON}})
    changes = [{"metadata": {"annotations": OFF}}]

    def react(name):
        if name == "web" and changes:
            api.edit(DEPLOYMENTS, "app", "web", changes.pop())
            api.fail("patch", DEPLOYMENTS, "web", times=int(fails))

    on_patch(api, DEPLOYMENTS, react)
    api.fail("patch", DEPLOYMENTS, "blocked")
    rig = Rig(api)
    pending = [login, seen_again(api, forced)]

    assert (await rig.run(pending)).failed
    assert stamps(api, "web") == ("" if fails else "forced=forced.2")
    api.edit(DEPLOYMENTS, "app", "web", {"metadata": {"annotations": ON}})
    assert not (await rig.run(pending)).failed

    assert (stamps(api, "web"), stamps(api, "blocked")) == ("forced=forced.2", "login=login.2")


async def test_what_was_declined_is_remembered_if_the_list_breaks_off(api):
    """The pages that were read count."""
    add_workload(api, "a-unwilling", "login", annotations=OFF)
    add_workload(api, "web", "login")
    api.largest_page = 1
    first = [True]
    api.before = lambda call: (
        api.fail("list", DEPLOYMENTS) if call.resource == DEPLOYMENTS.label and first and first.pop() else None
    )
    rig = Rig(api)
    pending = add_pending(api, "login")

    assert (await rig.run(pending)).failed
    assert stamps(api, "web") == ""
    api.edit(DEPLOYMENTS, "app", "a-unwilling", {"metadata": {"annotations": ON}})
    assert not (await rig.run(pending)).failed

    assert (stamps(api, "a-unwilling"), stamps(api, "web")) == ("", "login=login.2")


async def test_a_workload_that_was_deleted_needs_no_restart(api):
    """It may go between the list and the restart."""
    add_workload(api, "web", "login")
    on_patch(api, DEPLOYMENTS, lambda name: api.remove(DEPLOYMENTS, "app", name))

    result = await Rig(api).run(add_pending(api, "login"))

    assert not result.failed
    assert still_pending(api, "login") == set()


@pytest.mark.parametrize(
    ("failure", "retry_after"),
    [
        pytest.param({"status": 429, "retry_after": 7}, 7.0, id="too many requests"),
        pytest.param({"status": 503}, 0.0, id="unavailable"),
        pytest.param({"status": 403}, 0.0, id="forbidden"),
    ],
)
@pytest.mark.parametrize(
    "request_",
    [("list", STATEFULSETS), ("patch", DEPLOYMENTS, "web"), ("patch", SECRETS, "login")],
    ids=["a list", "a restart", "the annotation"],
)
async def test_what_fails_is_done_by_the_next_pass(api, request_, failure, retry_after):
    """The annotation stays until every workload was judged and restarted, and none is restarted twice."""
    add_workload(api, "web", "login")
    add_workload(api, "other", "login")
    api.fail(*request_, **failure)
    rig = Rig(api)
    pending = add_pending(api, "login")

    failed = await rig.run(pending)
    assert (failed.failed, failed.retry_after) == (True, retry_after)
    assert still_pending(api, "login") == {"login"}

    assert not (await rig.run(pending)).failed
    assert still_pending(api, "login") == set()
    assert [stamps(api, name) for name in ("web", "other")] == ["login=login.2"] * 2
    assert sorted(name for name, _, _ in rig.events) == ["other", "web"]


async def test_an_incomplete_count_is_not_written(api):
    """A kind that could not be listed may hold any number of workloads."""
    add_workload(api, "web", "login")
    api.fail("list", STATEFULSETS)
    rig = Rig(api)

    await rig.run(add_pending(api, "login"))

    assert rig.counted == {}


async def test_a_policy_that_cannot_be_read_now_is_waited_for(api):
    """Without it the switch is unknown. If it may never be read, the operator's own setting decides."""
    add_workload(api, "web", "login")
    api.fail("get", NAMESPACES, status=500)
    api.fail("get", NAMESPACES, status=403)
    rig = Rig(api)
    pending = add_pending(api, "login")

    assert (await rig.run(pending)).failed
    assert stamps(api, "web") == ""
    assert not (await rig.run(pending)).failed
    assert stamps(api, "web") == "login=login.2"


async def test_an_annotation_that_moved_on_is_left(api):
    """The change that it names now was not handled."""
    add_workload(api, "web", "login")
    pending = add_pending(api, "login")
    api.edit(SECRETS, "app", "login", {"metadata": {"annotations": {RESTART_OWED: "another"}}})

    result = await Rig(api).run(pending)

    assert not result.failed
    assert api.find(SECRETS, "app", "login")["metadata"]["annotations"][RESTART_OWED] == "another"


async def test_a_workload_that_declined_is_not_restarted_while_the_annotation_stays_for_another(api):
    """A switch that is turned on concerns later changes."""
    add_workload(api, "unwilling", "login", annotations=OFF)
    add_workload(api, "web", "login")
    api.fail("patch", DEPLOYMENTS, "web")
    rig = Rig(api)
    [pending] = add_pending(api, "login")
    await rig.run([pending])

    api.edit(DEPLOYMENTS, "app", "unwilling", {"metadata": {"annotations": None}})
    await rig.run([pending])

    assert (stamps(api, "unwilling"), stamps(api, "web")) == ("", "login=login.2")
    assert rig.counted == {"login": (0, 1)}
    assert rig.passes.is_done(pending.secret)
    rig.passes.forget_all_but([])
    assert not rig.passes.is_done(pending.secret)


async def test_the_next_leader_knows_which_workloads_declined(api):
    """It is recorded once, beside the annotation that stays for another workload, and read after a crash."""
    add_workload(api, "unwilling", "login", annotations=OFF)
    add_workload(api, "web", "login")
    api.fail("patch", DEPLOYMENTS, "web", times=2)
    [pending] = add_pending(api, "login")
    await Rig(api).run([pending])
    recorded = seen_again(api, pending)
    assert recorded.secret.annotations[RESTART_DECLINED] == "unwilling-uid=2"

    api.edit(DEPLOYMENTS, "app", "unwilling", {"metadata": {"annotations": None}})
    another = Rig(api)
    await another.run([recorded])
    await another.run([recorded])

    assert (stamps(api, "unwilling"), stamps(api, "web")) == ("", "login=login.2")
    written = [call for call in api.writes if call.resource == SECRETS.label]
    assert len(written) == 2, "the record, once, and the removal"
    assert RESTART_DECLINED not in api.find(SECRETS, "app", "login")["metadata"]["annotations"]
    assert still_pending(api, "login") == set()


async def test_a_namespace_is_read_in_pages_of_which_only_due_workloads_are_kept(api):
    """Thousands of whole workloads at once would be the operator's largest piece of memory."""
    add_workload(api, "a-other", "unrelated")
    add_workload(api, "web", "login")
    api.largest_page = 1

    assert not (await Rig(api).run(add_pending(api, "login"))).failed

    assert api.count("list", DEPLOYMENTS) == 2
    assert stamps(api, "web") == "login=login.2"
    assert still_pending(api, "login") == set()


async def test_a_switch_that_cannot_be_read_is_logged_once(api, caplog):
    """It counts as false at whichever level it is set, and its author waits for the restart."""
    api.edit(NAMESPACES, None, "app", {"metadata": {"annotations": {AUTO_RESTART: "yes"}}})
    add_workload(api, "web", "login")
    add_workload(api, "blocked", "login", annotations=ON)
    api.fail("patch", DEPLOYMENTS, "blocked")
    rig = Rig(api)
    pending = add_pending(api, "login")

    await rig.run(pending)
    await rig.run(pending)

    [record] = [record for record in caplog.records if "neither true nor false" in record.getMessage()]
    assert record.getMessage() == (
        f"Deployment app/web is not restarted: {AUTO_RESTART} is 'yes', neither true nor false"
    )
    assert record.about == {"kind": "Deployment", "namespace": "app", "name": "web"}
    assert (stamps(api, "web"), stamps(api, "blocked")) == ("", "login=login.2")


async def test_a_chosen_kind_is_found_and_listed_like_the_others(api):
    """The API server knows its plural. While it is not served there is no object of it to restart."""
    rig = Rig(api, restart_kinds=parse_kinds("argoproj.io/v1alpha1/Rollout"))
    assert not (await rig.run(add_pending(api, "login"))).failed

    add_workload(api, "web", "login", resource=ROLLOUTS)
    assert not (await rig.run(add_pending(api, "login"))).failed
    assert stamps(api, "web", resource=ROLLOUTS) == "login=login.2"

    api.fail("discovery", "/apis/argoproj.io/v1alpha1", status=500)
    assert (await rig.run(add_pending(api, "login"))).failed
    assert still_pending(api, "login") == {"login"}


async def test_a_restart_is_explained_by_an_event_and_a_log_line(api, caplog):
    """By Secrets and keys, on the workload itself."""
    caplog.set_level("INFO")
    add_workload(api, "web", "login", "tls")
    rig = Rig(api)

    await rig.run(add_pending(api, "login", "tls"))

    causes = "the Secrets login revision 2 (password), tls revision 2 (password)"
    assert rig.events == [("web", "Restarted", f"restarted for {causes}")]
    [record] = [each for each in caplog.records if each.levelname == "INFO"]
    assert record.getMessage() == f"restarted Deployment app/web for {causes}"
    assert record.about == {"kind": "Deployment", "namespace": "app", "name": "web"}


@pytest.mark.parametrize(
    ("status", "pending"),
    [
        pytest.param(503, {"login"}, id="refused for now: the annotation stays"),
        pytest.param(403, set(), id="forbidden: the kubelet does it later"),
        pytest.param(404, set(), id="gone: the next pod has the new file"),
    ],
)
async def test_the_annotation_stays_while_a_pod_that_wants_new_files_has_old_ones(api, status, pending):
    """Also if all workloads have restarted."""
    pod = {"namespace": "app", "name": "web-1", "creationTimestamp": BEFORE, "annotations": {REFRESH_MOUNTS: "true"}}
    api.add(PODS, {"metadata": pod, "spec": {"volumes": [{"name": "v", "secret": {"secretName": "login"}}]}})
    api.fail("patch", PODS, "web-1", status=status)

    result = await Rig(api, refresh_mounts=True).run(add_pending(api, "login"))

    assert result.failed == bool(pending)
    assert still_pending(api, "login") == pending


async def test_a_workload_that_requires_a_key_that_is_gone_keeps_running(api, caplog):
    """Its restart stays pending, an Event names the key, and the log names it once."""
    add_workload(api, "old", "login", keys=["password"])
    add_workload(api, "new", "login", keys=["newpassword"])
    add_workload(api, "all", "login")
    rig = Rig(api)
    pending = add_pending(api, "login", present=["newpassword", "username"])

    for _ in range(2):
        result = await rig.run([seen_again(api, pending[0])])
        assert (result.held, result.failed) == (True, False)

    assert stamps(api, "old") == ""
    assert stamps(api, "all") == "login=login.2"
    assert still_pending(api, "login") == {"login"}
    assert rig.counted == {"login": (1, 1)}
    message = (
        "not restarted for the Secret login revision 2 (password): it requires what is gone: "
        "key password of the Secret login. Its pods keep running. It restarts once the key is back"
    )
    assert rig.events.count(("old", "KeyGone", message)) == 2
    lines = [record for record in caplog.records if "requires what is gone" in record.message]
    assert [record.about["reason"] for record in lines] == ["KeyGone"]


async def test_a_case_that_comes_back_is_logged_again(api, caplog):
    """What a pass does not find any more is over."""
    add_workload(api, "old", "login", keys=["password"])
    rig = Rig(api)
    [pending] = add_pending(api, "login", present=["other"])
    for present in (["other"], ["password"], ["other"]):
        api.edit(SECRETS, "app", "login", {"metadata": {"managedFields": [owning(present)]}})
        if present == ["password"]:
            api.fail("patch", DEPLOYMENTS)
        await rig.run([seen_again(api, pending)])

    assert sum("requires what is gone" in record.message for record in caplog.records) == 2


async def test_a_workload_that_changes_while_it_is_restarted_is_held_by_its_new_state(api):
    """The new state requires a key that is gone."""
    add_workload(api, "web", "login")
    ref = {"secretKeyRef": {"name": "login", "key": "password"}}
    container = {"name": "main", "env": [{"name": "A", "valueFrom": ref}]}
    changes = [{"spec": {"template": {"spec": {"containers": [container]}}}}]
    on_patch(api, DEPLOYMENTS, lambda name: changes and api.edit(DEPLOYMENTS, "app", name, changes.pop()))
    rig = Rig(api)

    result = await rig.run(add_pending(api, "login", present=["newpassword"]))

    assert result.held
    assert stamps(api, "web") == ""
    assert rig.counted == {"login": (1, 0)}


@pytest.mark.parametrize(
    ("resource", "spec", "why"),
    [
        (STATEFULSETS, {"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
        (DAEMONSETS, {"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
        (DEPLOYMENTS, {"paused": True}, "paused"),
    ],
)
async def test_a_workload_that_replaces_no_pod_is_marked_and_not_said_to_be_restarted(api, caplog, resource, spec, why):
    """The patch is the same; only the words differ."""
    caplog.set_level("INFO")
    add_workload(api, "web", "login", resource=resource, **spec)
    rig = Rig(api)
    statuses = []

    async def on_counted(_key, restarts):
        statuses.append(restarts)

    rig.passes = RestartPass(rig.context, on_counted=on_counted)
    await rig.run(add_pending(api, "login"))

    assert stamps(api, "web", resource=resource) == "login=login.2"
    [(name, reason, message)] = rig.events
    assert (name, reason) == ("web", "RestartWaiting")
    assert message.startswith("marked for a restart for the Secret login revision 2 (password): ")
    assert why in message
    assert f"marked {resource.kind} app/web" in caplog.text
    assert {name: statuses[0][name] for name in ("owed", "done", "waiting")} == {"owed": 0, "done": 0, "waiting": 1}


async def look_back(rig, seconds=31.0):
    """Let time pass, and the look after a restart be made."""
    rig.context.time.advance(seconds)
    async with beside(rig.passes.look_back(), to_its_end=False):
        await turns(20)


def put_back(api, name="web", **template):
    """What a tool does that applies its own template."""
    annotations = {"keyturn.dev/revision": None, "operator.1password.io/last-restarted": None}
    managed = [{"manager": "argocd", "time": "2030-01-01T12:00:00Z", "fieldsV1": {"f:spec": {}}}]
    patch = {"template": {"metadata": {"annotations": annotations}, **template}}
    api.edit(DEPLOYMENTS, "app", name, {"metadata": {"managedFields": managed}, "spec": patch})


async def undone_while_another_is_held(api):
    """A restart that a tool undoes, while that of another workload is pending; returns the rig and what is pending."""
    add_workload(api, "web", "login")
    add_workload(api, "held", "login", keys=["password"])
    rig = Rig(api)
    [pending] = add_pending(api, "login", present=["newpassword"])
    await rig.run([pending])
    put_back(api)
    return rig, pending


async def test_a_restart_that_somebody_undoes_is_reported_once_and_not_made_again(api, caplog):
    """Two controllers that undo each other's work would roll pods for ever."""
    rig, pending = await undone_while_another_is_held(api)

    await look_back(rig)
    for _ in range(2):
        await rig.run([seen_again(api, pending)])

    assert stamps(api, "web") == ""
    assert api.count("patch", DEPLOYMENTS, "web") == 1
    undone = [message for name, reason, message in rig.events if (name, reason) == ("web", "RestartUndone")]
    assert len(undone) == 1
    assert "field manager argocd" in undone[0]
    assert "was undone by field manager argocd" in caplog.text


async def test_a_restart_that_is_undone_while_others_are_pending_is_reported_by_the_next_pass(api):
    """A pass looks at each workload anyway."""
    rig, pending = await undone_while_another_is_held(api)
    await rig.run([seen_again(api, pending)])

    assert [reason for name, reason, _ in rig.events if name == "web"] == ["Restarted", "RestartUndone"]
    assert api.count("patch", DEPLOYMENTS, "web") == 1


async def test_a_later_change_restarts_a_workload_whose_restart_was_undone(api):
    """Only the same revision is left alone."""
    add_workload(api, "web", "login")
    rig = Rig(api)
    await rig.run(add_pending(api, "login"))
    put_back(api)
    await look_back(rig)
    later = PendingChanges((Change(3, ("password",), CHANGED_AT),))
    annotations = {RESTART_OWED: later.to_annotation(), "keyturn.dev/revision": "3"}
    changed = api.edit(SECRETS, "app", "login", {"metadata": {"annotations": annotations}})
    await rig.run([PendingRestart.of(ObjectMeta.of(changed))])

    assert stamps(api, "web") == "login=login.3"


async def test_a_template_that_changes_in_other_ways_too_undoes_nothing(api):
    """Its pods are new, and see the new Secret."""
    add_workload(api, "web", "login")
    rig = Rig(api)
    await rig.run(add_pending(api, "login"))
    put_back(api, spec={"containers": [{"name": "main", "image": "next"}]})
    await look_back(rig)

    assert [reason for _, reason, _ in rig.events] == ["Restarted"]


@pytest.mark.parametrize("status", [404, 503])
async def test_a_look_after_a_restart_that_fails_is_not_repeated(api, status):
    """The restart was made; only the report would be missing."""
    add_workload(api, "web", "login")
    rig = Rig(api)
    await rig.run(add_pending(api, "login"))
    api.fail("get", DEPLOYMENTS, status=status)
    await look_back(rig)

    assert api.count("get", DEPLOYMENTS) == 1
    assert [reason for _, reason, _ in rig.events] == ["Restarted"]


async def test_a_workload_that_is_restarted_twice_is_looked_at_once(api):
    """After the second restart; the first one's stamp is gone by then."""
    add_workload(api, "web", "one", "two")
    rig = Rig(api)
    await rig.run(add_pending(api, "one"))
    await rig.run(add_pending(api, "two"))
    rig.passes.forget_all_but([])
    await look_back(rig)
    rig.passes.forget_all_but([])

    assert api.count("get", DEPLOYMENTS) == 1
    assert [reason for _, reason, _ in rig.events] == ["Restarted", "Restarted"]


@pytest.mark.parametrize("default", [True, False])
async def test_a_switch_in_a_place_without_effect_is_reported_when_it_matters(api, default):
    """Whoever set it expects a restart, or none, and gets the opposite."""
    add_workload(api, "web", "login")
    add_workload(api, "other", "unchanged")
    for name in ("web", "other"):
        api.edit(DEPLOYMENTS, "app", name, {"metadata": {"labels": {AUTO_RESTART: "true"}}})
    rig = Rig(api, auto_restart=default)

    await rig.run(add_pending(api, "login"))

    found = [(name, message) for name, reason, message in rig.events if reason == "AutoRestartMisplaced"]
    where = "operator.1password.io/auto-restart has no effect in the workload's labels"
    assert found == [("web", f"{where}; set it in the workload's annotations")]
