"""Flux's own controllers wait for our objects, fail by them, prune them and apply them again, as docs/gitops.md promises."""

from pathlib import Path

import pytest
import yaml
from operator_fixtures import VAULT, Stage, annotations_of, condition_of

from keyturn.cluster.discovery import crd_served
from keyturn.cluster.resources import CRDS, DEPLOYMENTS, KEYTURN_SECRETS, Resource
from keyturn.core import names
from localcluster.binaries import ensure_flux
from support.flux import Json, Repository, controllers
from support.operator import eventually
from support.pages import shown_manifest
from support.patience import LONG_S

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization", quotable=True)
REPOSITORIES = Resource("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository", quotable=True)


def item(name: str = "database", path: str | None = None) -> Json:
    """A OnePasswordItem as it stands in a repository."""
    return {
        "apiVersion": "onepassword.com/v1",
        "kind": "OnePasswordItem",
        "metadata": {"name": name, "labels": {"team": "payments"}},
        "spec": {"itemPath": path or f"vaults/{VAULT}/items/{name}"},
    }


def shaped() -> Json:
    """A KeyturnSecret that takes the place of that OnePasswordItem."""
    return {**item(), "apiVersion": KEYTURN_SECRETS.api_version, "kind": KEYTURN_SECRETS.kind}


def application() -> Json:
    """The Deployment of the examples, which uses the Secret `database`; no pod ever starts here, so none is asked for."""
    web = yaml.safe_load((ROOT / "examples" / "web.yaml").read_text())
    web["spec"]["replicas"] = 0
    return web


class Fleet:
    """A repository, and the Kustomization that Flux makes of it in the stage's namespace."""

    def __init__(self, stage: Stage, repository: Repository) -> None:
        self._stage = stage
        self._repository = repository

    async def follow(self, url: str) -> None:
        """Give Flux the repository and the Kustomization."""
        at = (self._stage.namespace, "fleet")
        source = {"spec": {"url": url, "interval": "1s", "ref": {"branch": "main"}}}
        await self._stage.cluster.create(REPOSITORIES, *at, source, field_manager="flux")
        # The path says where in a repository; this one holds nothing else.
        spec = {
            **shown_manifest(ROOT / "docs" / "gitops.md", "Kustomization")["spec"],
            "path": "./",
            "targetNamespace": self._stage.namespace,
        }
        await self._stage.cluster.create(KUSTOMIZATIONS, *at, {"spec": spec}, field_manager="flux")

    async def wait_at_most(self, longest: str) -> None:
        """Have Flux wait so long for the health of one revision, and then take the next."""
        change = {"spec": {"timeout": longest, "retryInterval": "1s"}}
        await self._stage.cluster.merge_patch(
            KUSTOMIZATIONS, self._stage.namespace, "fleet", change, field_manager="flux"
        )

    async def push(self, *manifests: Json) -> str:
        """Make these the content of the repository; returns the revision as Flux names it."""
        return f"main@sha1:{self._repository.commit(manifests)}"

    async def _now(self) -> Json:
        """The Kustomization as it is."""
        return await self._stage.cluster.get(KUSTOMIZATIONS, self._stage.namespace, "fleet")

    async def condition(self, kind: str) -> Json:
        """A condition of the Kustomization now; an empty one if there is none."""
        return condition_of(await self._now(), kind)

    async def ready(self, revision: str) -> None:
        """Wait until Flux says that everything of a revision is there and healthy."""

        async def check() -> None:
            found = await self._now()
            assert condition_of(found, "Ready").get("status") == "True", condition_of(found, "Ready")
            assert found["status"].get("lastAppliedRevision") == revision

        await eventually(check, within=LONG_S)

    async def says(self, kind: str, reason: str) -> Json:
        """Wait until a condition of the Kustomization has a reason; returns it."""

        async def check() -> Json:
            condition = await self.condition(kind)
            assert condition.get("reason") == reason, condition
            return condition

        return await eventually(check, within=LONG_S)

    async def again(self) -> None:
        """Have Flux apply the same revision once more, and wait until it has."""
        token = (await self._now())["metadata"]["resourceVersion"]
        asked = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}
        await self._stage.cluster.merge_patch(
            KUSTOMIZATIONS, self._stage.namespace, "fleet", asked, field_manager="flux"
        )

        async def check() -> None:
            found = await self._now()
            assert found["status"].get("lastHandledReconcileAt") == token
            assert condition_of(found, "Ready").get("status") == "True", condition_of(found, "Ready")

        await eventually(check, within=LONG_S)


@pytest.fixture
async def fleet(stage, api_server, tmp_path):
    """Flux at work in the test's namespace on a repository that is still empty."""
    binaries = ensure_flux()
    for file in sorted((binaries / "crds").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())
        await stage.cluster.apply(CRDS, None, crd["metadata"]["name"], crd, field_manager="flux")

    async def served() -> None:
        for resource in (KUSTOMIZATIONS, REPOSITORIES):
            assert await crd_served(stage.cluster, resource), f"{resource.label} is not served"

    await eventually(served, within=LONG_S)
    for folder in ("repository", "flux"):
        (tmp_path / folder).mkdir()
    repository = Repository(tmp_path / "repository")
    fleet = Fleet(stage, repository)
    await fleet.push()
    with (
        repository.served() as url,
        controllers(binaries, kubeconfig=api_server.kubeconfig, namespace=stage.namespace, folder=tmp_path / "flux"),
    ):
        await fleet.follow(url)
        yield fleet
        for resource in (KUSTOMIZATIONS, REPOSITORIES):
            # Flux's finalizers must not hold the namespace, whose Flux ends now.
            patch = {"metadata": {"finalizers": None}}
            await stage.cluster.merge_patch(resource, stage.namespace, "fleet", patch, field_manager="flux")


async def test_flux_waits_until_the_secret_is_there(stage, fleet):
    """What depends on a Kustomization must not start before the values are there, and must not wait a moment longer."""
    stage.put_item("database")
    stage.connect.outage(True)
    stage.operator(ready=False)
    revision = await fleet.push(item(), application())

    await stage.says("database", "VaultUnavailable")
    await fleet.says("Reconciling", "Progressing")
    assert (await fleet.condition("Ready")).get("status") != "True"
    stage.connect.outage(False)
    await fleet.ready(revision)

    assert await stage.data("database") == {"password": b"first"}


async def test_flux_waits_for_an_item_that_comes_ten_seconds_late(stage, fleet):
    """Who makes an item and merges its object in the same minute must not find a failed Kustomization."""
    stage.operator(POLLING_INTERVAL="600")
    stage.put_item("other")
    revision = await fleet.push(item(), application())
    await stage.says("database", "ItemNotFound", ready="Unknown")
    told = []

    async def failed():
        told.append((await fleet.condition("Ready")).get("reason"))
        assert told[-1] == "HealthCheckFailed"

    with pytest.raises(AssertionError):
        await eventually(failed, within=10.0)
    stage.put_item("database")
    await fleet.ready(revision)

    assert "HealthCheckFailed" not in told
    assert await stage.data("database") == {"password": b"first"}


async def test_flux_moves_from_a_onepassworditem_to_a_keyturnsecret_in_two_commits(stage, fleet):
    """The first commit adds the new object and the second removes the old one: the Secret and the pods stay."""
    stage.put_item("database")
    stage.operator(AUTO_RESTART="true")
    await fleet.ready(await fleet.push(item(), application()))
    before = await stage.secret("database")
    web = await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web")

    await fleet.wait_at_most("20s")
    await fleet.push(item(), shaped(), application())
    await stage.says("database", "Overruled")
    await stage.ready("database", kind=KEYTURN_SECRETS)
    await fleet.ready(await fleet.push(shaped(), application()))

    async def moved() -> None:
        owners = (await stage.secret("database"))["metadata"]["ownerReferences"]
        assert [owner["kind"] for owner in owners] == ["KeyturnSecret"]

    await eventually(moved, within=LONG_S)
    after = await stage.secret("database")
    assert (after["metadata"]["uid"], after["data"]) == (before["metadata"]["uid"], before["data"])
    now = await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web")
    assert now["metadata"]["generation"] == web["metadata"]["generation"]


async def test_flux_fails_at_once_by_what_needs_a_human_and_recovers_when_it_is_mended(stage, fleet):
    """A wrong path is told in the pull request's minute with its reason, not after the time-out of five minutes without."""
    stage.put_item("database")
    stage.operator()
    await fleet.push(item(path=f"vaults/{VAULT}/items/lost"))

    said = await fleet.says("Ready", "HealthCheckFailed")
    assert "OnePasswordItem" in said["message"]
    assert "database" in said["message"]

    await fleet.ready(await fleet.push(item()))
    assert await stage.data("database") == {"password": b"first"}


async def test_flux_applies_again_without_undoing_a_restart_and_prunes_with_the_object_its_secret(stage, fleet):
    """Flux applies all day: what Keyturn writes is no drift to it, and what left the repository leaves the cluster."""
    stage.put_item("database")
    operator = stage.operator()
    await fleet.ready(await fleet.push(item(), application()))
    labels = (await stage.secret("database"))["metadata"]["labels"]
    assert labels.get("team") == "payments"
    assert not any("fluxcd" in label for label in labels), labels
    assert any("fluxcd" in label for label in (await stage.asked("database"))["metadata"]["labels"])
    stage.rotate("database", "second")
    await stage.ready("database", itemVersion="2")
    await stage.paid("database")
    web = await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web")
    assert names.LAST_RESTARTED in annotations_of(web["spec"]["template"])
    writes = operator.settled_writes()

    await fleet.again()
    await operator.polls(2)

    applied = await stage.cluster.get(DEPLOYMENTS, stage.namespace, "web")
    assert applied["metadata"]["generation"] == web["metadata"]["generation"]
    assert applied["spec"]["template"] == web["spec"]["template"]
    assert operator.api_writes() == writes

    await fleet.ready(await fleet.push(application()))
    await stage.has_no_secret("database")
