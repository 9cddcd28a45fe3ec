"""Files of a changed Secret turn in a running pod at once, as the real kubelet writes them."""

import time

import pytest
from node_trial import VALUES, VAULT, container, item, workload

from keyturn.core import names
from support.operator import eventually

pytestmark = [pytest.mark.node, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def installed(node, trial):
    """The release, with the right to touch pods."""
    with node.inside():
        trial.install({**VALUES, "operator": {**VALUES["operator"], "refreshMounts": True}})
        yield
        trial.clear()


async def test_a_mounted_file_turns_within_seconds_and_without_a_restart(trial, installed, namespace, measured):
    """Left alone, the kubelet would have looked a minute later, to which the application's own reading comes on top."""
    with trial.connect() as connect:
        connect.create(
            VAULT, {"title": "file", "category": "SECURE_NOTE", "fields": [{"label": "password", "value": "first"}]}
        )
        trial.apply(namespace, item("file", **{names.REFRESH_MOUNTS: "true"}))
        main = container(volumeMounts=[{"name": "files", "mountPath": "/files", "readOnly": True}])
        volumes = [{"name": "files", "secret": {"secretName": "file"}}]
        trial.apply(namespace, workload("Deployment", "app", {"containers": [main], "volumes": volumes}))
        trial.rolled_out(namespace, "deployment/app")
        [pod] = trial.pods(namespace, app="app")
        name = pod["metadata"]["name"]
        assert trial.read(namespace, name, "/files/password") == b"first"

        began = time.monotonic()
        connect.rotate(VAULT, "file", value="second")

        async def turned() -> None:
            assert trial.read(namespace, name, "/files/password") == b"second"

        # Without the touch it is a minute at the least.
        await eventually(turned, within=20)
    measured(f"edit in 1Password, to a mounted file of a running pod: {time.monotonic() - began:.1f} s")
    [after] = trial.pods(namespace, app="app")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
