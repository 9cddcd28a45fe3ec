"""What is measured, each on a rig of its own."""

import base64
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_audit import Request, TooSlow
from bench_rig import NAMESPACE, VAULT, Rig, Running, secret_name

from demo import signs
from demo.watching import Watch

IDLE_INTERVAL, IDLE_POLLS = 5, 7
ROTATION_INTERVAL, ROTATIONS = 1, 100
FOREIGN, FOREIGN_SIZE = 5000, 10_000
UNRELATED = 5000
_PATIENCE = 120.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Steady:
    """From a cold start to an idle operator.

    Attributes:
        cold_seconds: from the operator's start until the last Secret was there.
        cold_requests: of Connect, until every status was written, without the two of each poll after the first.
        cold_writes: of the API server meanwhile.
        idle_requests: of Connect, per poll.
        idle_writes: of the API server, in all idle polls.
        idle_cpu_percent: of one core.
        resident: bytes, idle, of an operator that is started where all is well.
        resident_foreign: the same beside many foreign Secrets: the larger of while they came, and after another start.
        resident_unrelated: the same beside as many Deployments that ask for nothing, too; after another start.
        unrelated_cpu_percent: of one core, idle beside them.
        restart_writes: of the API server, in all of these starts.
        others_percent: of the whole machine, what others used of it while the operator was idle.
    """

    cold_seconds: float
    cold_requests: int
    cold_writes: int
    idle_requests: float
    idle_writes: int
    idle_cpu_percent: float
    resident: int
    resident_foreign: int
    resident_unrelated: int
    unrelated_cpu_percent: float
    restart_writes: int
    others_percent: float


@dataclass(frozen=True, slots=True)
class Flowing:
    """New objects and rotations at a running operator.

    Attributes:
        apply_seconds: from the start of `kubectl apply` until the last Secret was there.
        kubectl_seconds: until kubectl itself was done.
        apply_writes: of the API server.
        to_secret: seconds from an edit in 1Password to the Secret, one for each rotation.
        to_deployment: to the Deployment that uses it.
        from_listing: from the listing that showed the edit to the Secret.
        others_percent: of the whole machine, what others used of it during the rotations.
    """

    apply_seconds: float
    kubectl_seconds: float
    apply_writes: int
    to_secret: Sequence[float]
    to_deployment: Sequence[float]
    from_listing: Sequence[float]
    others_percent: float


def measure_steady(items: int, *, folder: Path) -> Steady:
    """Start an operator where every OnePasswordItem but no Secret is there, and let it come to rest."""
    with Rig.standing(items=items, folder=folder) as rig:
        rig.create_items()
        rig.connect.clear_requests()
        with rig.operator(interval=IDLE_INTERVAL) as running:
            cold = rig.audit.until_created("secrets", items, within=_PATIENCE, check=running.check)
            cold_seconds = _last_secret_at(cold) - running.started_at
            settle(rig, running)
            cold_requests = without_later_polls(rig.connect.request_counts())
            cold += rig.audit.new()
            with rig.quiet(running) as load:
                idle_requests, cpu_percent = idle(rig, running)
            resting = rig.audit.new()
        rig.audit.new()
        with rig.operator(interval=IDLE_INTERVAL) as running:
            rig.polls(2)
            resident = running.resident_bytes()
            rig.create_foreign_secrets(FOREIGN, size=FOREIGN_SIZE)
            rig.polls(1)
            resident_foreign = running.resident_bytes()
        with rig.operator(interval=IDLE_INTERVAL) as running:
            rig.polls(2)
            resident_foreign = max(resident_foreign, running.resident_bytes())
            rig.create_unrelated_deployments(UNRELATED)
        with rig.operator(interval=IDLE_INTERVAL) as running:
            rig.polls(2)
            _, unrelated_cpu_percent = idle(rig, running)
            resident_unrelated = running.resident_bytes()
        return Steady(
            cold_seconds=cold_seconds,
            cold_requests=cold_requests,
            cold_writes=writes(cold),
            idle_requests=idle_requests,
            idle_writes=writes(resting),
            idle_cpu_percent=cpu_percent,
            resident=resident,
            resident_foreign=resident_foreign,
            resident_unrelated=resident_unrelated,
            unrelated_cpu_percent=unrelated_cpu_percent,
            restart_writes=writes(rig.audit.new()),
            others_percent=load.percent,
        )


def measure_flowing(items: int, *, folder: Path) -> Flowing:
    """Apply OnePasswordItems to a running operator, then rotate one of the items again and again."""
    with Rig.standing(items=items, folder=folder) as rig:
        manifest = rig.manifest()
        with rig.operator(interval=ROTATION_INTERVAL) as running:
            running.until_ready()
            rig.audit.new()
            began_at = time.time()
            rig.cluster.kubectl("apply", "-f", str(manifest), timeout=_PATIENCE)
            kubectl_seconds = time.time() - began_at
            applied = rig.audit.until_created("secrets", items, within=_PATIENCE, check=running.check)
            settle(rig, running)
            applied += rig.audit.new()
            rig.create_deployment()
            with rig.quiet(running) as load:
                rotations = list(_rotations(rig, running))
        return Flowing(
            apply_seconds=_last_secret_at(applied) - began_at,
            kubectl_seconds=kubectl_seconds,
            apply_writes=writes(applied),
            to_secret=[each[0] for each in rotations],
            to_deployment=[each[1] for each in rotations],
            from_listing=[each[2] for each in rotations],
            others_percent=load.percent,
        )


def idle(rig: Rig, running: Running) -> tuple[float, float]:
    """Connect requests per poll of an operator that has nothing to do, and its CPU in percent of one core."""
    cpu, began = running.cpu_seconds(), time.monotonic()
    requests = rig.polls(IDLE_POLLS) / IDLE_POLLS
    return requests, 100 * (running.cpu_seconds() - cpu) / (time.monotonic() - began)


def quantile(values: Sequence[float], percent: int) -> float:
    """A percentile, interpolated between the two nearest values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _rotations(rig: Rig, running: Running) -> Iterator[tuple[float, float, float]]:
    """Rotate the first item again and again, each time at another moment between two polls."""
    core, apps = f"/api/v1/namespaces/{NAMESPACE}", f"/apis/apps/v1/namespaces/{NAMESPACE}"
    with (
        Watch(rig.cluster, f"{core}/secrets", check=running.check) as secrets,
        Watch(rig.cluster, f"{apps}/deployments", check=running.check) as deployments,
    ):
        deployments.until(signs.named("main"), what="the Deployment")
        for number in range(ROTATIONS):
            time.sleep(random.uniform(0, ROTATION_INTERVAL))
            value = f"rotated-{number}"
            since, began = rig.connect.last_request(), time.monotonic()
            rig.connect.rotate(VAULT, secret_name(0), value=value)
            encoded = base64.b64encode(value.encode()).decode()
            written_at = secrets.until(signs.holds(encoded), what="the rotated Secret")
            # A Secret is made at revision 1.
            patched_at = deployments.until(signs.carries_revision(number + 2), what="the restarted Deployment")
            listings = rig.connect.requests(route="GET /v1/vaults/{vault}/items", since=since)
            told_at = max(each.started_ms / 1000 for each in listings if each.started_ms / 1000 < written_at)
            secrets.until(_first_owes_nothing, what="the end of what the Secret owes")
            yield written_at - began, patched_at - began, written_at - told_at


def _first_owes_nothing(kind: str, manifest: signs.Manifest) -> bool:
    return manifest["metadata"]["name"] == secret_name(0) and signs.owes_nothing(kind, manifest)


def settle(rig: Rig, running: Running) -> None:
    """Wait until every status is written, and until the polls have nothing to look at again."""
    deadline = time.monotonic() + _PATIENCE
    while (missing := rig.not_ready()) > 0:
        running.check()
        if time.monotonic() > deadline:
            raise TooSlow(f"{missing} OnePasswordItems did not become ready")
        time.sleep(_POLL_S)
    rig.polls(2)


def _last_secret_at(seen: Sequence[Request]) -> float:
    return max(each.at for each in seen if each.verb == "create" and each.resource == "secrets")


def writes(seen: Sequence[Request]) -> int:
    """How many of the requests write."""
    return sum(each.writes for each in seen)


def without_later_polls(counts: Mapping[str, int]) -> int:
    """All requests of Connect, without the two of each poll after the first."""
    return sum(counts.values()) - 2 * (counts["GET /heartbeat"] - 1)
