"""A real node: containerd, runc and a kubelet in namespaces of their own, so that their end takes every trace along.

Processes and mounts live in namespaces that die with their first process, however it dies. The kernel settings that a
kubelet changes are masked there. What is left on the machine, one bridge and the pods' control groups, `sweep` removes.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.kubernetes.certificates import NODES
from sandbox.kubernetes.control_plane import ControlPlane
from sandbox.kubernetes.image import BUSYBOX_TAG, write_images
from sandbox.stack.cache import cache_dir
from sandbox.stack.errors import InstallError, StackError
from sandbox.stack.ports import free_port
from sandbox.stack.process import ServiceSpec

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

NODE_LABEL = "node"
NODE_LABEL_VALUE = "real"
_INIT = Path(__file__).with_name("node_init.py")
_BRIDGE, _ADDRESS, _SUBNET, _FIRST_POD = "sre-agent0", "10.246.0.1", "10.246.0.0/24", "10.246.0.10"
_CGROUP = "sre-agent-node"
_CGROUPS = Path("/sys/fs/cgroup")
_SWEPT_WITHIN_S, _LOOK_S = 10, 0.1
_MASKED = {
    "/proc/sys/vm/overcommit_memory": "1",
    "/proc/sys/kernel/panic": "10",
    "/proc/sys/kernel/panic_on_oops": "1",
    "/proc/sys/kernel/keys/root_maxkeys": "1000000",
    "/proc/sys/kernel/keys/root_maxbytes": "25000000",
    "/proc/sys/net/ipv4/ip_forward": "1",
}
"""Kernel settings as a kubelet and a bridge want them (kubernetes pkg/util/sysctl)."""

_CONTAINERD = """\
version = 2
root = "{files}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{files}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{packages}/usr/lib/cni"
    conf_dir = "{files}/network"
"""
_SOCKET = "/run/containerd.sock"
_NOWHERE = 'server = "http://127.0.0.1:9"\n'
"""Every registry leads to the discard port: what was not imported can't be pulled, and nobody is asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """The node's name, and how long a crashed container waits at most ("" is Kubernetes' own five minutes)."""

    name: str = "real-1"
    longest_back_off: str = ""


class RealNode:
    """One node of a control plane, as a spec for a supervisor."""

    def __init__(self, directory: Path, plane: ControlPlane, packages: Path, *, options: NodeOptions) -> None:
        self._files = directory.resolve()
        self._plane = plane
        self._packages = packages
        self._options = options
        self._port = free_port()

    def spec(self, binaries: Path) -> ServiceSpec:
        """Lay out the node's files and return what is to be run.

        Raises:
            InstallError: this user or this machine can't run containers.
        """
        check_prerequisites()
        self._files.mkdir(parents=True)
        for name in ("masked", "network", "registries/_default"):
            (self._files / name).mkdir(parents=True)
        self._issue_keys()
        self._write_files(binaries)
        _add_bridge()
        for root in _cgroup_roots():
            root.mkdir(exist_ok=True)
        unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
        path = os.pathsep.join(str(self._packages / place) for place in ("usr/bin", "usr/sbin"))
        return ServiceSpec(
            name="node",
            argv=[*unshare, sys.executable, "-I", "-S", str(_INIT), str(self._files / "init.json")],
            log_path=self._files.parent / "logs" / "node.log",
            env={"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
            cwd=self._files,
            ready=self._plane.is_node_ready(self._options.name),
            depends=("kube-controller-manager", "kube-scheduler"),
        )

    def _issue_keys(self) -> None:
        name, user = self._options.name, f"system:node:{self._options.name}"
        self._plane.keys.issue("kubelet", common_name=user, group=NODES, hosts=(name,))
        self._plane.keys.issue("kubelet-serving", common_name=user, group=NODES, hosts=(name, _ADDRESS))
        self._plane.keys.kubeconfig(self._files / "kubelet.kubeconfig", server=self._plane.url, name="kubelet")

    def _write_files(self, binaries: Path) -> None:
        files, packages = self._files, self._packages
        write_images(files / "images.tar", busybox=packages / "bin" / "busybox")
        settings = _CONTAINERD.format(files=files, packages=packages, socket=_SOCKET, pause=BUSYBOX_TAG)
        (files / "containerd.toml").write_text(settings)
        (files / "registries" / "_default" / "hosts.toml").write_text(_NOWHERE)
        (files / "network" / "10-sandbox.conflist").write_text(json.dumps(_network()))
        (files / "kubelet.json").write_text(json.dumps(self._kubelet_settings(), indent=1))
        (files / "init.json").write_text(json.dumps(self._programs(binaries), indent=1))

    def _programs(self, binaries: Path) -> "JsonObject":
        files, usr = self._files, self._packages / "usr" / "bin"
        return {
            "masked": {**_MASKED},
            "files": str(files / "masked"),
            "containerd": [str(usr / "containerd"), "--config", str(files / "containerd.toml")],
            "import": [str(usr / "ctr"), "-a", _SOCKET, "-n", "k8s.io", "images", "import", str(files / "images.tar")],
            "kubelet": [
                str(binaries / "kubelet"),
                f"--config={files / 'kubelet.json'}",
                f"--kubeconfig={files / 'kubelet.kubeconfig'}",
                f"--root-dir={files / 'kubelet'}",
                f"--cert-dir={files / 'kubelet-keys'}",
                f"--hostname-override={self._options.name}",
                f"--node-ip={_ADDRESS}",
                f"--node-labels={NODE_LABEL}={NODE_LABEL_VALUE}",
                "--maximum-dead-containers-per-container=3",  # else the log of the one before is gone too soon
            ],
        }

    def _kubelet_settings(self) -> "JsonObject":
        keys, files = self._plane.keys, self._files
        back_off: JsonObject = {
            "featureGates": {"KubeletCrashLoopBackOffMax": True},
            "crashLoopBackOff": {"maxContainerRestartPeriod": self._options.longest_back_off},
        }
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": _ADDRESS,
            "port": self._port,
            "readOnlyPort": 0,
            "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(keys.authority)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(keys.certificate("kubelet-serving")),
            "tlsPrivateKeyFile": str(keys.key("kubelet-serving")),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{_CGROUP}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "containerRuntimeEndpoint": f"unix://{_SOCKET}",
            "clusterDomain": "cluster.local",
            "clusterDNS": ["10.96.0.10"],  # nobody answers there: names are looked up by nothing that runs here
            "oomScoreAdj": 0,
            "maxOpenFiles": 20_000,
            "podLogsDir": str(files / "pod-logs"),
            "volumePluginDir": str(files / "volume-plugins"),
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageMaximumGCAge": "0s",
            "nodeStatusUpdateFrequency": "4s",
            "nodeLeaseDurationSeconds": 12,
            **(back_off if self._options.longest_back_off else {}),
        }


def check_prerequisites() -> None:
    """Refuse where containers can't be run.

    Raises:
        InstallError: the user is not root, or a tool is missing; the message names the cure.
    """
    if os.geteuid() != 0:
        raise InstallError("a node that runs real pods needs root; run it as root, or leave the real node out")
    absent = [tool for tool in ("unshare", "mount", "ip") if shutil.which(tool) is None]
    if absent:
        raise InstallError(f"{', '.join(absent)} not found (Debian: apt install util-linux mount iproute2)")


@contextmanager
def only_node() -> Generator[None]:
    """Hold the machine's one place for a real node; sweep what a crashed one left before and after.

    Raises:
        StackError: another cluster here has a real node.
    """
    with (cache_dir() / "node.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise StackError("another cluster on this machine has a real node; stop it: make cluster-down") from taken
        sweep()
        try:
            yield
        finally:
            sweep()


def sweep() -> None:
    """Remove what outlives a node's processes: its bridge and its pods' control groups. Blocking.

    Raises:
        StackError: processes are still in its control groups.
    """
    subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)
    deadline = time.monotonic() + _SWEPT_WITHIN_S
    while left := [root for root in _cgroup_roots() if root.exists()]:
        for root in left:
            _remove_tree(root)
        if time.monotonic() > deadline:
            raise StackError(f"control groups of a node are still in use: {', '.join(map(str, left))}")
        time.sleep(_LOOK_S)


def _remove_tree(root: Path) -> None:
    for directory, _, _ in os.walk(root, topdown=False):
        with contextlib.suppress(OSError):  # its last process is just ending: the next turn removes it
            Path(directory).rmdir()


def _cgroup_roots() -> Iterator[Path]:
    """Yield the node's place in the one hierarchy (v2), or in each controller's (v1)."""
    if (_CGROUPS / "cgroup.controllers").exists():
        yield _CGROUPS / _CGROUP
        return
    yield from (controller / _CGROUP for controller in sorted(_CGROUPS.iterdir()) if (controller / "tasks").exists())


def _add_bridge() -> None:
    for words in (("link", "add", _BRIDGE, "type", "bridge"), ("addr", "add", f"{_ADDRESS}/24", "dev", _BRIDGE)):
        subprocess.run(["ip", *words], check=True, capture_output=True)
    subprocess.run(["ip", "link", "set", _BRIDGE, "up"], check=True, capture_output=True)


def _network() -> "JsonObject":
    addresses: JsonObject = {
        "type": "host-local",
        "dataDir": "/run/addresses",
        "ranges": [[{"subnet": _SUBNET, "rangeStart": _FIRST_POD}]],
    }
    bridge: JsonObject = {"type": "bridge", "bridge": _BRIDGE, "isGateway": True, "ipMasq": False, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "sandbox", "plugins": [bridge]}
