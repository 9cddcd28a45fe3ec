"""One real API server for all tests that ask for it and all pytest-xdist workers, each test with a namespace of its own; Helm."""

import asyncio
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
import yaml
from hypothesis import settings

from keyturn.cluster.access import Access
from keyturn.cluster.discovery import crd_served
from keyturn.cluster.resources import CRDS, KEYTURN_SECRETS, NAMESPACES, ONEPASSWORD_ITEMS
from localcluster import LocalCluster, NotRunning, existing_kubeconfig
from localcluster.binaries import ensure_binaries, ensure_helm
from localcluster.kubectl import Kubectl
from support.admin_cluster import AdminCluster
from support.helm import Helm
from support.judge import Judge
from support.patience import PATIENCE_S

# How long one example takes is a matter of the machine, of what else runs there, and of whether coverage is measured.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

_CRDS = Path(__file__).resolve().parents[1] / "crds"


@dataclass(frozen=True)
class ApiServer:
    """The API server of this test run, and kubectl, as its administrator."""

    kubeconfig: Path
    kubectl: Kubectl


class _Share:
    """This process's part in a cluster that several processes use.

    Whoever needs the cluster first starts it, and it ends with that process, however that ends. So at its own end the
    starter waits for the others: every user holds a shared lock, which the kernel drops even for a killed one.
    """

    def __init__(self, folder: Path) -> None:
        self._state = folder / "api-server"
        self._starting = folder / "api-server.starting"
        self._using = (folder / "api-server.using").open("w")
        fcntl.flock(self._using, fcntl.LOCK_SH)
        with _locked(self._starting.open("w")):
            self.started, self.cluster = self._attach_or_start()

    def _attach_or_start(self) -> tuple[bool, LocalCluster]:
        try:
            return False, LocalCluster.attach(Path(self._state.read_text()))
        except (NotRunning, FileNotFoundError):
            cluster = LocalCluster.start()
            self._state.write_text(str(cluster.directory))
            return True, cluster

    def leave(self) -> None:
        if self.started:
            fcntl.flock(self._using, fcntl.LOCK_EX)
            self._state.unlink()
            self.cluster.stop()
        self._using.close()


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


_SHARE = pytest.StashKey[_Share]()


@pytest.fixture(scope="session")
def api_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ApiServer:
    """A running API server, or the one that TEST_KUBECONFIG names."""
    base = tmp_path_factory.getbasetemp()
    existing = existing_kubeconfig()
    if existing is not None:
        program = ensure_binaries() / "kubectl"
        return ApiServer(existing, Kubectl(program, kubeconfig=existing, cache=base / "kubectl-cache"))
    share = _Share(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
    request.config.stash[_SHARE] = share
    return ApiServer(share.cluster.kubeconfig, share.cluster.kubectl)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Not in the fixture's own teardown: that counts as part of the last test, whose time limit the wait might exceed.
    if share := session.config.stash.get(_SHARE, None):
        share.leave()


@pytest.fixture
async def cluster(api_server):
    """The gateway, as administrator."""
    async with AdminCluster.at(await Access.load(kubeconfig=str(api_server.kubeconfig))) as gateway:
        yield gateway


@pytest.fixture
async def namespace(cluster):
    """A namespace for this test only."""
    name = f"test-{secrets.token_hex(6)}"
    await cluster.create(NAMESPACES, None, name, {}, field_manager="tests")
    yield name
    await cluster.delete(NAMESPACES, None, name)


@pytest.fixture
async def crds(cluster):
    """Our custom resources are served."""
    for file in sorted(_CRDS.glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text()):
            await cluster.apply(CRDS, None, crd["metadata"]["name"], crd, field_manager="tests")
    async with asyncio.timeout(PATIENCE_S):
        for kind in (ONEPASSWORD_ITEMS, KEYTURN_SECRETS):
            while not await crd_served(cluster, kind):  # noqa: ASYNC110 - it is the server we wait for
                await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def helm_program():
    """The executable; `make test` has built it, or this does."""
    return ensure_helm()


@pytest.fixture
def helm(helm_program, tmp_path):
    """Helm without a cluster."""
    return Helm(helm_program, folder=tmp_path)


@pytest.fixture(scope="session")
def judge():
    """Verdicts of the code of other projects."""
    judge = Judge()
    yield judge
    judge.close()
