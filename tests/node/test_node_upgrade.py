"""A release lives on: upgraded with its CRD, uninstalled without touching what users have, and leaves nothing that hangs."""

import shutil

import pytest
import yaml

from support.helm import CHART
from support.node_trial import RELEASE, SYSTEM, VALUES, container, from_secret, item, workload

pytestmark = pytest.mark.node

CRD = "onepassworditems.onepassword.com"


@pytest.fixture
def previous_chart(tmp_path):
    """The chart as an earlier version, whose CRD has no columns and no short name."""
    chart = tmp_path / "previous"
    shutil.copytree(CHART, chart)
    description = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**description, "version": "0.0.1"}))
    path = chart / "files" / "crds" / "onepassworditems.yaml"
    crd = yaml.safe_load(path.read_text())
    [version] = crd["spec"]["versions"]
    del version["additionalPrinterColumns"]
    del crd["spec"]["names"]["shortNames"]
    path.write_text(yaml.safe_dump(crd))
    return chart


@pytest.fixture
def cleared(trial):
    """Whatever the test leaves of the release and its CRD goes at its end."""
    yield
    trial.clear()


def test_upgrade_brings_the_new_crd_and_uninstall_leaves_what_users_have(
    trial, cleared, namespace, previous_chart, measured
):
    """The whole life of a release, with an application beside it that must not notice."""
    trial.install(chart=previous_chart)
    pod = {"containers": [container(env=[from_secret("PASSWORD", "database", "password")])]}
    restarts = {"operator.1password.io/auto-restart": "true"}
    trial.apply(namespace, item("database"), workload("Deployment", "app", pod, **restarts))
    trial.rolled_out(namespace, "deployment/app")
    [before] = trial.pods(namespace, app="app")
    secret = trial.get("secret", "database", namespace)
    assert "additionalPrinterColumns" not in trial.get("crd", CRD, "default")["spec"]["versions"][0]

    measured(f"helm upgrade --wait, with a changed CRD: {trial.install(command='upgrade'):.1f} s")
    crd = trial.get("crd", CRD, "default")
    assert crd["spec"]["versions"][0]["additionalPrinterColumns"]
    trial.wait(namespace, "--for=condition=Ready", "opi/database")

    trial.uninstall()
    after = trial.get("secret", "database", namespace)
    assert after["metadata"]["uid"] == secret["metadata"]["uid"]
    assert after["data"] == secret["data"]
    assert trial.get("crd", CRD, "default")["metadata"]["uid"] == crd["metadata"]["uid"]
    [still] = trial.pods(namespace, app="app")
    assert still["metadata"]["uid"] == before["metadata"]["uid"]
    ours = ("-l", f"app.kubernetes.io/instance={RELEASE}")
    trial.wait(SYSTEM, "--for=delete", "pod", *ours)
    namespaced = "all,configmap,secret,serviceaccount,role,rolebinding"
    assert trial.kubectl("get", namespaced, "-n", SYSTEM, *ours, "-o", "name") == ""
    assert trial.kubectl("get", "clusterrole,clusterrolebinding", *ours, "-o", "name") == ""

    # Without an operator, nothing waits for one. Kubernetes' garbage collector is slow if the kind was defined again
    # a moment ago, as here after earlier tests: it asks ever more rarely about owners that it does not watch yet.
    trial.kubectl("delete", "-n", namespace, "opi/database")
    trial.wait(namespace, "--for=delete", "secret/database")
    trial.kubectl("delete", "namespace", SYSTEM)


def test_a_release_can_be_installed_again_after_an_uninstall(trial, cleared, namespace):
    """The CRD that an uninstall keeps belongs to the same release when it comes back, with everything asked for meanwhile."""
    trial.install()
    trial.uninstall()
    trial.apply(namespace, item("database"))
    trial.install(VALUES)
    trial.wait(namespace, "--for=condition=Ready", "opi/database")
