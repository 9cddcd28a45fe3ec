"""The configuration files of containerd, its network plugins, kubelet and kube-proxy."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcluster.certificates import Authority
from localnode.layout import Layout
from localnode.network import ADDRESS, BRIDGE, POD_RANGE
from localnode.packages import CNI_PLUGINS

NAME = "keyturn-node"
DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/tools:1"

_CONTAINERD = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  # A machine without CAP_SYS_RESOURCE may not lower the score of a process, and every pod would fail.
  restrict_oom_score_adj = true
  # Below `state`, so that they are mounts of the box and end with it.
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{folder}/runc"
"""


def write(layout: Layout, *, authority: Authority, proxy_kubeconfig: Path) -> None:
    """Write all configuration files.

    Args:
        layout: the node's directory.
        authority: the cluster's, for the certificate by which the API server knows kubelet.
        proxy_kubeconfig: the user that kube-proxy acts as.
    """
    networks = layout.directory / "networks"
    networks.mkdir()
    layout.configuration("containerd").write_text(
        _CONTAINERD.format(
            folder=layout.containerd,
            socket=layout.socket,
            pause=PAUSE_IMAGE,
            plugins=CNI_PLUGINS,
            networks=networks,
        ),
        encoding="utf-8",
    )
    _write(networks / "10-pods.conflist", _network(layout))
    _write(layout.configuration("kubelet"), _kubelet(layout, authority))
    _write(layout.configuration("kube-proxy"), _proxy(proxy_kubeconfig))


def _network(layout: Layout) -> Mapping[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        # A pod may call a Service that leads back to itself.
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_RANGE, "gateway": ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(layout.directory / "addresses"),
        },
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "loopback"}]}


def _kubelet(layout: Layout, authority: Authority) -> Mapping[str, Any]:
    serving = authority.server("kubelet", hosts=[ADDRESS])
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority.files.certificate)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": ["pods"],
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "podLogsDir": str(layout.directory / "pod-logs"),
        "volumePluginDir": str(layout.directory / "plugins"),
        # Images have no registry to come back from, and a full disk of the machine is not the pods' fault.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "1Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
    }


def _proxy(kubeconfig: Path) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": ADDRESS,
        "healthzBindAddress": "",
        "hostnameOverride": NAME,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "iptables",
        # Pods answer each other over the bridge, past the kernel's table of connections, unless the node stands between.
        "iptables": {"masqueradeAll": True, "minSyncPeriod": "0s", "localhostNodePorts": False},
        # Limits of the whole machine, which are not ours to set.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    # JSON is YAML, and needs no library.
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
