"""What a pass writes on a Secret and into its status when all workloads of the namespace are judged."""

import asyncio

import pytest

from keyturn.cluster import SECRETS, Forbidden, Invalid, Unavailable
from keyturn.control.restarts.declined import DeclinedMemory, DeclinedRestart
from keyturn.control.restarts.finisher import Finisher
from keyturn.control.restarts.results import KindResult, PassResult
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import RESTART_DECLINED, RESTART_OWED
from support.fake_api import FakeApiServer
from support.fake_context import fake_context
from support.restart_objects import add_pending, seen_again, still_pending

WEB = ObjectMeta.of({"metadata": {"namespace": "app", "name": "web", "uid": "web-uid"}})
PROGRESS, NOTHING = PassResult(progress=True), PassResult()


class Rig:
    """A finisher before an API server with one Secret.

    Attributes:
        counted: what the status got.
        refusal: what its write raises, if anything.
    """

    def __init__(self):
        self.api = FakeApiServer()
        [self.pending] = add_pending(self.api, "login")
        self.counted = []
        self.refusal = None
        self.declined = DeclinedMemory()

        async def on_counted(key, restarts):
            self.counted.append((key, restarts["owed"], restarts["done"], still_pending(self.api, "login")))
            if self.refusal:
                raise self.refusal

        self.finisher = Finisher(
            fake_context(self.api), writing=asyncio.Semaphore(1), declined=self.declined, on_counted=on_counted
        )

    async def finish(self, found=None, *, stale=False):
        return await self.finisher.finish(self.pending, found or KindResult(), stale=stale)

    def annotations(self):
        return self.api.find(SECRETS, "app", "login")["metadata"]["annotations"]


@pytest.fixture
def rig():
    return Rig()


@pytest.mark.parametrize(
    ("found", "stale", "result", "counted"),
    [
        pytest.param(KindResult(done={"login": 2}), False, PROGRESS, (0, 2), id="all done"),
        pytest.param(KindResult(), False, PROGRESS, (0, 0), id="no workload uses it"),
        pytest.param(KindResult(left={"other": 1}), False, PROGRESS, (0, 0), id="another Secret's workload is left"),
        pytest.param(KindResult(left={"login": 1}, done={"login": 2}), False, NOTHING, (1, 2), id="one is left"),
        pytest.param(KindResult(done={"login": 2}), True, NOTHING, (0, 2), id="a pod has old files"),
        pytest.param(KindResult(complete=False), False, NOTHING, None, id="not all workloads are known"),
    ],
)
async def test_the_annotation_is_removed_once_nothing_is_left(rig, found, stale, result, counted):
    """And the status is written before: a crash in between loses neither."""
    assert await rig.finish(found, stale=stale) == result

    removed = result is PROGRESS
    assert still_pending(rig.api, "login") == (set() if removed else {"login"})
    assert rig.finisher.is_done(rig.pending.secret) is removed
    assert rig.counted == ([(("app", "login"), *counted, {"login"})] if counted else [])


@pytest.mark.parametrize(
    ("refusal", "result", "removed"),
    [
        pytest.param(Forbidden("no"), PROGRESS, True, id="forbidden: a retry would not help"),
        pytest.param(Invalid("no"), PROGRESS, True, id="pruned or refused: the same"),
        pytest.param(
            Unavailable("away", retry_after=3.0), PassResult(failed=True, retry_after=3.0), False, id="tried again"
        ),
    ],
)
async def test_a_status_that_cannot_be_written(rig, caplog, refusal, result, removed):
    """The annotation must not stay for ever because of it, nor go before it can be written."""
    rig.refusal = refusal

    assert await rig.finish() == result
    assert still_pending(rig.api, "login") == (set() if removed else {"login"})
    assert caplog.records[0].about == {"namespace": "app", "name": "login"} | ({} if removed else {"kind": "Secret"})


async def test_an_annotation_that_cannot_be_read_is_removed_without_a_count(rig):
    """It names no revision and no key."""
    rig.api.edit(SECRETS, "app", "login", {"metadata": {"annotations": {RESTART_OWED: "nonsense"}}})
    rig.pending = seen_again(rig.api, rig.pending)

    assert await rig.finish() == PROGRESS
    assert (rig.counted, still_pending(rig.api, "login")) == ([], set())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"annotations": {RESTART_OWED: "another"}}}, id="another change came"),
        pytest.param({"metadata": {"annotations": {RESTART_OWED: None}}}, id="removed by hand"),
        pytest.param({"metadata": {"uid": "another"}}, id="recreated"),
    ],
)
async def test_only_the_very_annotation_that_is_done_is_removed(rig, change):
    """Anything else is for another pass, which the watch brings about."""
    rig.api.edit(SECRETS, "app", "login", change)
    before = rig.annotations()

    await rig.finish()

    assert rig.annotations() == before
    assert not rig.finisher.is_done(rig.pending.secret)


@pytest.mark.parametrize("status", [403, 422, 500])
async def test_a_refused_removal_is_tried_again_whatever_the_reason(rig, caplog, status):
    """A policy answers 422, as a failed test of the patch does; only the annotation shows which of the two it was."""
    rig.api.fail("patch", SECRETS, status=status, reason="Invalid" if status == 422 else "", message="denied by policy")

    assert (await rig.finish()).failed
    assert "cannot be finished" in caplog.text
    assert not rig.finisher.is_done(rig.pending.secret)

    assert await rig.finish() == PROGRESS
    assert still_pending(rig.api, "login") == set()


async def test_a_secret_that_goes_while_its_annotation_is_removed_needs_nothing(rig):
    """The answer to the patch and the look after it need not agree."""
    rig.api.fail("patch", SECRETS, status=422, reason="Invalid")
    rig.api.fail("get", SECRETS, status=404, reason="NotFound")

    assert not (await rig.finish()).failed


async def test_any_other_edit_does_not_matter(rig):
    """A label that is set meanwhile costs no further pass."""
    rig.api.edit(SECRETS, "app", "login", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})

    await rig.finish()

    assert still_pending(rig.api, "login") == set()
    assert rig.annotations()["c"] == "d"


async def test_a_secret_that_is_gone_fails_no_pass(rig):
    """There is nothing to remove."""
    rig.api.remove(SECRETS, "app", "login")

    assert not (await rig.finish()).failed
    assert not (await rig.finish(KindResult(left={"login": 1}))).failed


async def test_declined_restarts_are_recorded_beside_an_annotation_that_stays(rig):
    """Once; and removed together with it, also if our picture is older than the record."""
    rig.declined.remember([DeclinedRestart("Deployment", WEB, rig.pending)])
    left = KindResult(left={"login": 1})

    await rig.finish(left)
    assert rig.annotations()[RESTART_DECLINED] == "web-uid=2"
    older, rig.pending = rig.pending, seen_again(rig.api, rig.pending)
    await rig.finish(left)
    assert len(rig.api.writes) == 1

    rig.pending = older
    await rig.finish()
    assert rig.annotations().keys() & {RESTART_OWED, RESTART_DECLINED} == set()


async def test_what_is_done_is_forgotten_with_the_secret(rig):
    """Else a long-lived operator remembers every Secret that ever changed."""
    await rig.finish()
    rig.finisher.forget_all_but({rig.pending.secret.uid})
    assert rig.finisher.is_done(rig.pending.secret)

    rig.finisher.forget_all_but(set())
    assert not rig.finisher.is_done(rig.pending.secret)
