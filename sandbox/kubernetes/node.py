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
from contextlib import ExitStack, contextmanager
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
_KUBELET = "/run/kubelet"
"""Short, wherever the cluster's directory is: a socket's path may have 107 characters."""
_NOWHERE = 'server = "http://127.0.0.1:9"\n'
"""Every registry leads to the discard port: what was not imported can't be pulled, and nobody is asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """The node's name, and how long a crashed container waits at most ("" is Kubernetes' own five minutes)."""

    name: str = "real-1"
    longest_back_off: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the few places for a real node on this machine, so that clusters can run side by side."""

    number: int

    @property
    def bridge(self) -> str:
        """Return the network device that the node's pods are connected by."""
        return f"sre-agent{self.number}"

    @property
    def cgroup(self) -> str:
        """Return the name of the control group that holds the node's pods."""
        return f"sre-agent-node{self.number}"

    @property
    def address(self) -> str:
        """Return the node's own address."""
        return f"10.246.{self.number}.1"

    @property
    def subnet(self) -> str:
        """Return the network of the node's pods."""
        return f"10.246.{self.number}.0/24"


_PLACES = tuple(map(Place, range(4)))


class RealNode:
    """One node of a control plane, as a spec for a supervisor."""

    def __init__(
        self, directory: Path, plane: ControlPlane, packages: Path, *, place: Place, options: NodeOptions
    ) -> None:
        self._place = place
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
        check_runtime(self._packages)
        self._files.mkdir(parents=True)
        for name in ("kubelet", "masked", "network", "registries/_default"):
            (self._files / name).mkdir(parents=True)
        self._issue_keys()
        self._write_files(binaries)
        _add_bridge(self._place)
        for root in _cgroup_roots(self._place):
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
        self._plane.keys.issue("kubelet-serving", common_name=user, group=NODES, hosts=(name, self._place.address))
        self._plane.keys.kubeconfig(self._files / "kubelet.kubeconfig", server=self._plane.url, name="kubelet")

    def _write_files(self, binaries: Path) -> None:
        files, packages = self._files, self._packages
        write_images(files / "images.tar", busybox=packages / "bin" / "busybox")
        settings = _CONTAINERD.format(files=files, packages=packages, socket=_SOCKET, pause=BUSYBOX_TAG)
        (files / "containerd.toml").write_text(settings)
        (files / "registries" / "_default" / "hosts.toml").write_text(_NOWHERE)
        (files / "network" / "10-sandbox.conflist").write_text(json.dumps(_network(self._place)))
        (files / "kubelet.json").write_text(json.dumps(self._kubelet_settings(), indent=1))
        (files / "init.json").write_text(json.dumps(self._programs(binaries), indent=1))

    def _programs(self, binaries: Path) -> "JsonObject":
        files, usr = self._files, self._packages / "usr" / "bin"
        return {
            "masked": {**_MASKED},
            "files": str(files / "masked"),
            "bound": {_KUBELET: str(files / "kubelet")},
            "containerd": [str(usr / "containerd"), "--config", str(files / "containerd.toml")],
            "import": [str(usr / "ctr"), "-a", _SOCKET, "-n", "k8s.io", "images", "import", str(files / "images.tar")],
            "kubelet": [
                str(binaries / "kubelet"),
                f"--config={files / 'kubelet.json'}",
                f"--kubeconfig={files / 'kubelet.kubeconfig'}",
                f"--root-dir={_KUBELET}",
                f"--cert-dir={files / 'kubelet-keys'}",
                f"--hostname-override={self._options.name}",
                f"--node-ip={self._place.address}",
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
            "address": self._place.address,
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
            "cgroupRoot": f"/{self._place.cgroup}",
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


def check_runtime(packages: Path) -> None:
    """Refuse where the unpacked runtime does not run.

    Raises:
        InstallError: a library of it is missing; the message names the cure.
    """
    command = [packages / "usr" / "sbin" / "runc", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        raise InstallError(f"runc does not run here: {told.stderr.strip()} (Debian: apt install libseccomp2)")


@contextmanager
def node_place() -> Generator[Place]:
    """Hold a place for a real node; what a crashed one left there is swept before, and its own traces after.

    Raises:
        StackError: all places of this machine are taken.
    """
    with ExitStack() as held:
        place = next((one for one in _PLACES if held.enter_context(_held(one))), None)
        if place is None:
            raise StackError(f"{len(_PLACES)} clusters on this machine have a real node; stop one: make cluster-down")
        sweep(place)
        held.callback(sweep, place)
        yield place


def sweep_all() -> None:
    """Remove what crashed nodes left, in every place that no running one holds. Blocking."""
    for place in _PLACES:
        with _held(place) as is_ours:
            if is_ours:
                sweep(place)


@contextmanager
def _held(place: Place) -> Generator[bool]:
    """Hold a place's lock, which the kernel drops when its holder dies; tell whether it could be had."""
    with (cache_dir() / f"node{place.number}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def sweep(place: Place) -> None:
    """Remove what outlives a node's processes: its bridge and its pods' control groups. Blocking.

    Raises:
        StackError: processes are still in its control groups.
    """
    subprocess.run(["ip", "link", "delete", place.bridge], check=False, capture_output=True)
    deadline = time.monotonic() + _SWEPT_WITHIN_S
    while left := [root for root in _cgroup_roots(place) if root.exists()]:
        for root in left:
            _remove_tree(root)
        if time.monotonic() > deadline:
            raise StackError(f"control groups of a node are still in use: {', '.join(map(str, left))}")
        time.sleep(_LOOK_S)


def _remove_tree(root: Path) -> None:
    for directory, _, _ in os.walk(root, topdown=False):
        with contextlib.suppress(OSError):  # its last process is just ending: the next turn removes it
            Path(directory).rmdir()


def _cgroup_roots(place: Place) -> Iterator[Path]:
    """Yield the node's control group in the one hierarchy (v2), or in each controller's (v1).

    Where both are mounted, runc makes a group in the v2 hierarchy, too, although it has no controllers.
    """
    if (_CGROUPS / "cgroup.controllers").exists():
        yield _CGROUPS / place.cgroup
        return
    hierarchies = sorted(found for found in _CGROUPS.iterdir() if (found / "cgroup.procs").exists())
    yield from (hierarchy / place.cgroup for hierarchy in hierarchies)


def _add_bridge(place: Place) -> None:
    words = (
        ("link", "add", place.bridge, "type", "bridge"),
        ("addr", "add", f"{place.address}/24", "dev", place.bridge),
        ("link", "set", place.bridge, "up"),
    )
    for command in words:
        subprocess.run(["ip", *command], check=True, capture_output=True)


def _network(place: Place) -> "JsonObject":
    addresses: JsonObject = {"type": "host-local", "dataDir": "/run/addresses", "ranges": [[{"subnet": place.subnet}]]}
    bridge: JsonObject = {
        "type": "bridge",
        "bridge": place.bridge,
        "isGateway": True,
        "ipMasq": False,
        "ipam": addresses,
    }
    return {"cniVersion": "0.4.0", "name": "sandbox", "plugins": [bridge]}
