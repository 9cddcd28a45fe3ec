"""One real node for all tests here; each test makes a namespace of its own, and runs inside the node's network."""

import secrets
from collections.abc import Iterator

import pytest

from localcluster.binaries import ensure_helm
from localnode import LocalNode
from localnode.building import IMAGES, ensure_image
from support.helm import Helm
from support.node_trial import Trial
from support.real_node import need_real_node
from support.traces import traces_of

_TIMINGS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TIMINGS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[_TIMINGS]:
        terminalreporter.section("measured on the real node")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def measured(request):
    """Takes one line about something measured, which is printed at the end."""
    return request.config.stash[_TIMINGS].append


@pytest.fixture(scope="session")
def node() -> Iterator[LocalNode]:
    """A running node, of which nothing is left afterwards."""
    need_real_node()
    with LocalNode.start() as running:
        yield running
    assert traces_of(running.directory, running.cgroup) == []


@pytest.fixture(scope="session")
def images(node) -> None:
    """Keyturn's images, built from this tree, are known to the node."""
    for image in IMAGES:
        node.load(ensure_image(image))


@pytest.fixture(scope="session")
def trial(node, images, tmp_path_factory) -> Trial:
    """The chart, for tests that install it."""
    folder = tmp_path_factory.mktemp("helm")
    return Trial(node, Helm(ensure_helm(), folder=folder, kubeconfig=node.cluster.kubeconfig))


@pytest.fixture(autouse=True)
def inside(node) -> Iterator[None]:
    """The test sees the node's network: API server, pods and Services by their addresses."""
    with node.inside():
        yield


@pytest.fixture
def kubectl(node):
    """kubectl, as administrator."""
    return node.cluster.kubectl


@pytest.fixture
def namespace(kubectl) -> Iterator[str]:
    """A namespace for this test only."""
    name = f"test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
