"""The search for the API server in kubeconfigs and service accounts on disk."""

import base64
import json
from datetime import timedelta

import pytest
import trustme
import yaml

from keyturn.cluster.access import Access
from keyturn.cluster.errors import Misconfigured
from support.credentials import credentials_of

TOKEN = "canary-token-4711"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA().cert_pem.bytes()


@pytest.fixture
def mount(tmp_path, authority):
    """A service account in the form in which the kubelet mounts it."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(TOKEN)
    (folder / "ca.crt").write_bytes(authority)
    (folder / "namespace").write_text("ops\n")
    return folder


IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def kubeconfig(tmp_path, authority):
    def write(name="config", *, user=None, cluster=None, context=None):
        path = tmp_path / name
        cluster = {
            "server": "https://kube.example:6443",
            "certificate-authority-data": base64.b64encode(authority).decode(),
            **(cluster or {}),
        }
        path.write_text(
            yaml.safe_dump(
                {
                    "current-context": "here",
                    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **(context or {})}}],
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
                }
            )
        )
        return path

    return write


async def test_a_pod_uses_its_service_account(mount):
    """The environment has the server, the mount has namespace and token."""
    access = await Access.load(environ=IN_POD, service_account=mount)
    credentials = await credentials_of(access)

    assert access.in_cluster
    assert access.namespace == "ops"
    assert credentials.server == "https://10.0.0.1:443"
    assert credentials.ca_path == str(mount / "ca.crt")
    assert (credentials.scheme, credentials.token) == ("Bearer", TOKEN)


async def test_an_ipv6_service_address_is_bracketed(mount):
    """Clusters may have IPv6 only."""
    access = await Access.load(environ={**IN_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}, service_account=mount)

    assert (await credentials_of(access)).server == "https://[fd00::1]:443"


def a_minute_passes(access):
    """Make the client read the token file again, which it does once a minute of the machine's clock."""
    hook = access.configuration.refresh_api_key_hook
    loader = next(cell.cell_contents for cell in hook.__closure__ if hasattr(cell.cell_contents, "token_expires_at"))
    loader.token_expires_at -= timedelta(minutes=1)


async def test_a_rotated_token_is_read_again(mount):
    """The kubelet replaces the file; a minute later the client uses the new token."""
    access = await Access.load(environ=IN_POD, service_account=mount)
    (mount / "token").write_text("rotated")
    a_minute_passes(access)

    assert (await credentials_of(access)).token == "rotated"


async def test_a_kubeconfig_is_used_with_its_namespace(kubeconfig):
    """Its context has the default namespace, and its token."""
    access = await Access.load(kubeconfig=kubeconfig(context={"namespace": "team"}), environ={})
    credentials = await credentials_of(access)

    assert not access.in_cluster
    assert access.namespace == "team"
    assert credentials.server == "https://kube.example:6443"
    assert credentials.token == TOKEN


async def test_explicit_then_environment_then_pod_then_home(kubeconfig, mount, tmp_path):
    """Every controller searches in this order."""
    explicit = kubeconfig("explicit", cluster={"server": "https://explicit"})
    variable = kubeconfig("variable", cluster={"server": "https://variable"})
    (tmp_path / ".kube").mkdir()
    kubeconfig(".kube/config", cluster={"server": "https://home"})
    home = {"HOME": str(tmp_path)}
    everything = {**IN_POD, **home, "KUBECONFIG": str(variable)}

    async def server(**options):
        access = await Access.load(service_account=options.pop("service_account", mount), **options)
        return (await credentials_of(access)).server

    assert await server(kubeconfig=explicit, environ=everything) == "https://explicit"
    assert await server(environ=everything) == "https://variable"
    assert await server(environ={**IN_POD, **home}) == "https://10.0.0.1:443"
    assert await server(environ=home) == "https://home"
    assert await server(environ={**IN_POD, **home}, service_account=tmp_path / "none") == "https://home"


async def test_client_certificates_and_switches_are_passed_on(kubeconfig, tmp_path):
    """All of them are of the kubeconfig."""
    (tmp_path / "crt").write_text("c")
    (tmp_path / "key").write_text("k")
    path = kubeconfig(
        user={"client-certificate": "crt", "client-key": "key"},
        cluster={"insecure-skip-tls-verify": True, "proxy-url": "http://user:pass@proxy:3128"},
    )
    access = await Access.load(kubeconfig=path, environ={}, trust_env=True)
    credentials = await credentials_of(access)

    assert credentials.certificate_path == str(tmp_path / "crt")
    assert credentials.private_key_path == str(tmp_path / "key")
    assert credentials.insecure
    assert access.trust_env
    assert credentials.proxy == "http://user:pass@proxy:3128"
    assert (credentials.scheme, credentials.token) == ("", "")


async def test_an_exec_plugin_runs_again_before_its_token_expires(kubeconfig, tmp_path):
    """EKS and GKE log in like this."""
    calls = tmp_path / "calls"
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin", "expirationTimestamp": "2001-01-01T00:00:00Z"},
    }
    (tmp_path / "answer").write_text(json.dumps(answer))
    script = f"echo >> {calls}; cat {tmp_path / 'answer'}"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]}
    access = await Access.load(kubeconfig=kubeconfig(user={"exec": plugin}), environ={})
    credentials = await credentials_of(access)

    assert credentials.token == "from-plugin"
    assert len(calls.read_text()) == 2


@pytest.mark.parametrize(
    "content",
    [f"token: {TOKEN}: [", f"- {TOKEN}", "", "current-context: nowhere\ncontexts: []\nclusters: []", "\x00", "5"],
    ids=["no yaml", "a list", "empty", "no context", "binary", "number"],
)
async def test_an_unusable_kubeconfig_is_one_line_without_its_content(tmp_path, content):
    """YAML errors quote the file, and the file holds tokens."""
    path = tmp_path / "config"
    path.write_text(content)

    with pytest.raises(Misconfigured) as failed:
        await Access.load(kubeconfig=path, environ={})
    assert str(path) in str(failed.value)
    assert "\n" not in str(failed.value)
    assert TOKEN not in str(failed.value)
    assert failed.value.__context__ is None
