"""The components of a cluster: their certificates, kubeconfigs and command lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.certificates import Authority
from localcluster.kubeconfig import write_kubeconfig
from localcluster.layout import Layout

HOST = "127.0.0.1"
# Of the Service `kubernetes`, the first of the range.
SERVICE_ADDRESS = "10.0.0.1"
SERVICE_RANGE = "10.0.0.0/24"
_SERVICE_HOSTS = tuple(f"kubernetes{rest}" for rest in ("", ".default", ".default.svc", ".default.svc.cluster.local"))
_ISSUER = "https://kubernetes.default.svc.cluster.local"

Command = list[str | Path]


@dataclass(frozen=True)
class Options:
    """What a caller may choose about a cluster.

    Attributes:
        audit_policy: an audit policy file; the audit log is then `logs/audit.log` in the cluster's directory.
        apiserver_args: further command-line arguments of kube-apiserver; lists given twice add up.
        controller_manager_args: further command-line arguments of kube-controller-manager.
    """

    audit_policy: Path | None = None
    apiserver_args: Sequence[str] = ()
    controller_manager_args: Sequence[str] = ()


def prepare(
    layout: Layout, *, binaries: Path, etcd_port: int, apiserver_port: int, options: Options
) -> dict[str, Command]:
    """Make certificates and kubeconfigs in a fresh directory; return each component's command, in starting order."""
    server = f"https://{HOST}:{apiserver_port}"
    authority = Authority.create(layout.certificates)
    etcd_authority = Authority.create(layout.etcd_certificates)
    for component, user, groups in (
        ("admin", "kubernetes-admin", ("system:masters",)),
        ("kube-controller-manager", "system:kube-controller-manager", ()),
        ("kube-scheduler", "system:kube-scheduler", ()),
    ):
        write_kubeconfig(
            layout.component_kubeconfig(component),
            server=server,
            authority=authority.files.certificate,
            identity=authority.client(component, user=user, groups=groups),
            user=user,
        )
    signing_key = authority.signing_key("service-accounts")
    commands: dict[str, Command] = {
        "etcd": _etcd(layout, binaries, etcd_port, etcd_authority),
        "kube-apiserver": [
            *_apiserver(binaries, apiserver_port, authority, signing_key),
            *_storage(etcd_port, etcd_authority),
            *_audit(layout, options.audit_policy),
            *options.apiserver_args,
        ],
        "kube-controller-manager": [
            *_controller_manager(layout, binaries, authority, signing_key),
            *options.controller_manager_args,
        ],
    }
    # Without a node there is nothing to schedule, so control planes of further versions are built without it.
    if (binaries / "kube-scheduler").exists():
        commands["kube-scheduler"] = _scheduler(layout, binaries)
    return commands


def _etcd(layout: Layout, binaries: Path, port: int, authority: Authority) -> Command:
    serving = authority.server("server", hosts=[HOST])
    address = f"https://{HOST}:{port}"
    # A single member never dials its peers, so that port may be any.
    peer_address = f"https://{HOST}:0"
    return [
        binaries / "etcd",
        "--name=local",
        f"--data-dir={layout.directory / 'etcd'}",
        # Nothing here is meant to survive a power failure.
        "--unsafe-no-fsync",
        "--socket-reuse-port",
        f"--listen-client-urls={address}",
        f"--advertise-client-urls={address}",
        "--client-cert-auth",
        f"--trusted-ca-file={authority.files.certificate}",
        f"--cert-file={serving.certificate}",
        f"--key-file={serving.key}",
        f"--listen-peer-urls={peer_address}",
        f"--initial-advertise-peer-urls={peer_address}",
        f"--initial-cluster=local={peer_address}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={authority.files.certificate}",
        f"--peer-cert-file={serving.certificate}",
        f"--peer-key-file={serving.key}",
        "--log-level=warn",
    ]


def _apiserver(binaries: Path, port: int, authority: Authority, signing_key: Path) -> Command:
    serving = authority.server("kube-apiserver", hosts=[HOST, "localhost", SERVICE_ADDRESS, *_SERVICE_HOSTS])
    kubelet_client = authority.client("kubelet-client", user="kube-apiserver-kubelet-client", groups=["system:masters"])
    return [
        binaries / "kube-apiserver",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        f"--secure-port={port}",
        # The supervisor holds the port between two lives of this process.
        "--permit-port-sharing",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={authority.files.certificate}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        # An endpoint may not be a loopback address, so the Service `kubernetes` stays without.
        "--endpoint-reconciler-type=none",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={signing_key}",
        f"--service-account-signing-key-file={signing_key}",
        f"--kubelet-client-certificate={kubelet_client.certificate}",
        f"--kubelet-client-key={kubelet_client.key}",
        f"--kubelet-certificate-authority={authority.files.certificate}",
        # On SIGTERM, end the watches of its clients too, rather than wait a minute for them.
        "--shutdown-watch-termination-grace-period=1s",
        "--profiling=false",
    ]


def _storage(port: int, authority: Authority) -> Command:
    client = authority.client("client", user="kube-apiserver")
    return [
        f"--etcd-servers=https://{HOST}:{port}",
        f"--etcd-cafile={authority.files.certificate}",
        f"--etcd-certfile={client.certificate}",
        f"--etcd-keyfile={client.key}",
    ]


def _audit(layout: Layout, policy: Path | None) -> Command:
    if policy is None:
        return []
    return [f"--audit-policy-file={policy.resolve()}", f"--audit-log-path={layout.log('audit')}"]


def _controller_manager(layout: Layout, binaries: Path, authority: Authority, signing_key: Path) -> Command:
    return [
        binaries / "kube-controller-manager",
        f"--kubeconfig={layout.component_kubeconfig('kube-controller-manager')}",
        # It gets no requests, so it serves nothing.
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={signing_key}",
        f"--root-ca-file={authority.files.certificate}",
        f"--cluster-signing-cert-file={authority.files.certificate}",
        f"--cluster-signing-key-file={authority.files.key}",
        # It starts some thirty controllers, each with an account to make: the default of 20 requests/s costs 6 seconds.
        "--kube-api-qps=500",
        "--kube-api-burst=500",
        "--profiling=false",
    ]


def _scheduler(layout: Layout, binaries: Path) -> Command:
    return [
        binaries / "kube-scheduler",
        f"--kubeconfig={layout.component_kubeconfig('kube-scheduler')}",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
    ]
