"""One real API server for all tests that ask for it and all pytest-xdist workers, each test with a namespace of its own; Helm."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from hypothesis import settings

from keyturn.cluster.access import Access
from keyturn.cluster.resources import NAMESPACES
from localcluster import LocalCluster, NotRunning, existing_kubeconfig
from localcluster.binaries import ensure_binaries, ensure_helm
from localcluster.kubectl import Kubectl
from support.admin_cluster import AdminCluster
from support.definitions import define_kinds
from support.helm import Helm
from support.judge import Judge

# How long one example takes is a matter of the machine, of what else runs there, and of whether coverage is measured.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


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
    await define_kinds(cluster)


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
