"""A real control plane on loopback: etcd, kube-apiserver with RBAC and an audit log, controllers, scheduler, KWOK."""

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.kubernetes.certificates import ADMINS, Keys
from sandbox.stack.ports import free_ports
from sandbox.stack.probes import answers, asked
from sandbox.stack.process import Probe, ServiceSpec

_HOST = "127.0.0.1"
_SERVICES, _PODS, _SERVICE_IP = "10.96.0.0/16", "10.244.0.0/16", "10.96.0.1"
_PARTS: tuple[str, ...] = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
FAKE_NODE = {"kwok.x-k8s.io/node": "fake"}
"""The annotation of nodes that KWOK keeps alive, without a machine behind them."""

_OURS = ["system:serviceaccounts:sre-agent"]
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [  # what our services change, whole; what they read; what people change
        {"level": "Request", "verbs": ["create", "update", "patch", "delete"], "userGroups": _OURS},
        {"level": "Metadata", "userGroups": _OURS},
        {"level": "None", "users": ["system:*"]},
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]},
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneOptions:
    """How a control plane differs from the usual: kinds that the API server does not cache, how soon a node is missed.

    `uncached` are resources ("configmaps") whose lists and watches etcd answers itself, so that its compaction is felt.
    `etcd_compaction` is how often the API server compacts ("0" never): often, or nothing that is kept would expire.
    """

    uncached: tuple[str, ...] = ()
    etcd_compaction: str = "15s"
    node_grace: str = "20s"


class ControlPlane:
    """The programs of a control plane in a directory, as specs for a supervisor; ports and keys stay over restarts."""

    def __init__(self, directory: Path, binaries: Path, options: ControlPlaneOptions | None = None) -> None:
        self._directory = directory.resolve()
        self._binaries = binaries
        self._options = options or ControlPlaneOptions()
        self._ports = dict(zip(_PARTS, free_ports(len(_PARTS)), strict=True))
        self.keys = Keys(self._directory / "keys")
        self._issue_keys()

    @property
    def url(self) -> str:
        """Return the API server's address."""
        return f"https://{_HOST}:{self._ports['kube-apiserver']}"

    @property
    def etcd_url(self) -> str:
        """Return etcd's address."""
        return f"http://{_HOST}:{self._ports['etcd']}"

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self._directory / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Return the API server's audit log: a JSON line a request."""
        return self._directory / "audit.jsonl"

    def specs(self) -> list[ServiceSpec]:
        """Return what is to be run; each waits for what it needs."""
        return [self._etcd(), self._api_server(), self._controllers(), self._scheduler(), self._kwok()]

    def is_node_ready(self, name: str) -> Probe:
        """Return a probe that tells whether a node says it is ready."""
        context = self._as_admin()

        async def is_ready() -> bool:
            node = await asked(f"{self.url}/api/v1/nodes/{name}", context)
            conditions = node["status"]["conditions"] if node else ()
            return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

        return is_ready

    def _issue_keys(self) -> None:
        issue = self.keys.issue
        hosts = (_HOST, _SERVICE_IP, "localhost", "kubernetes.default.svc")
        issue("apiserver", common_name="kube-apiserver", hosts=hosts)
        issue("kubelet-client", common_name="kube-apiserver-kubelet-client", group=ADMINS)
        issue("admin", common_name="admin", group=ADMINS)
        issue("kube-controller-manager", common_name="system:kube-controller-manager")
        issue("kube-scheduler", common_name="system:kube-scheduler")
        issue("kwok", common_name="kwok", group=ADMINS, hosts=(_HOST, "localhost"))
        for name in ("admin", "kube-controller-manager", "kube-scheduler", "kwok"):
            self.keys.kubeconfig(self._kubeconfig(name), server=self.url, name=name)

    def _etcd(self) -> ServiceSpec:
        peer = f"http://{_HOST}:{self._ports['etcd-peer']}"
        return self._spec(
            "etcd",
            f"--data-dir={self._directory / 'etcd'}",
            "--name=sandbox",
            "--unsafe-no-fsync",  # a machine that dies takes the whole sandbox along
            "--log-level=warn",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=sandbox={peer}",
            "--quota-backend-bytes=4294967296",
            ready=answers(f"{self.etcd_url}/health"),
        )

    def _api_server(self) -> ServiceSpec:
        policy = self._directory / "audit-policy.json"
        policy.write_text(json.dumps(_AUDIT_POLICY, indent=1))
        keys = self.keys
        return self._spec(
            "kube-apiserver",
            f"--etcd-servers={self.etcd_url}",
            f"--bind-address={_HOST}",
            f"--secure-port={self._ports['kube-apiserver']}",
            f"--advertise-address={_HOST}",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            f"--tls-cert-file={keys.certificate('apiserver')}",
            f"--tls-private-key-file={keys.key('apiserver')}",
            f"--client-ca-file={keys.authority}",
            f"--service-account-key-file={keys.certificate('accounts')}",
            f"--service-account-signing-key-file={keys.key('accounts')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={_SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={keys.certificate('kubelet-client')}",
            f"--kubelet-client-key={keys.key('kubelet-client')}",
            f"--kubelet-certificate-authority={keys.authority}",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
            f"--etcd-compaction-interval={self._options.etcd_compaction}",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",  # what is answered is in the log
            "--profiling=false",
            "--shutdown-delay-duration=0s",
            *(f"--watch-cache-sizes={resource}#0" for resource in self._options.uncached),
            ready=answers(f"{self.url}/readyz", self._as_admin()),
            depends=("etcd",),
        )

    def _controllers(self) -> ServiceSpec:
        own = self._kubeconfig("kube-controller-manager")
        return self._spec(
            "kube-controller-manager",
            f"--kubeconfig={own}",
            f"--authentication-kubeconfig={own}",
            f"--authorization-kubeconfig={own}",
            *self._serving("kube-controller-manager"),
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--root-ca-file={self.keys.authority}",
            f"--service-account-private-key-file={self.keys.key('accounts')}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--concurrent-replicaset-syncs=10",
            f"--node-monitor-grace-period={self._options.node_grace}",
            "--node-monitor-period=2s",
            "--profiling=false",
            # without the default service account no pod is admitted
            ready=answers(f"{self.url}/api/v1/namespaces/default/serviceaccounts/default", self._as_admin()),
            depends=("kube-apiserver",),
        )

    def _scheduler(self) -> ServiceSpec:
        own, path = self._kubeconfig("kube-scheduler"), self._directory / "scheduler.json"
        configuration = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(own), "qps": 1000, "burst": 2000},
        }
        path.write_text(json.dumps(configuration, indent=1))
        return self._spec(
            "kube-scheduler",
            f"--config={path}",
            f"--authentication-kubeconfig={own}",
            f"--authorization-kubeconfig={own}",
            *self._serving("kube-scheduler"),
            ready=answers(f"https://{_HOST}:{self._ports['kube-scheduler']}/healthz", _unverified()),
            depends=("kube-apiserver",),
        )

    def _kwok(self) -> ServiceSpec:
        port = self._ports["kwok"]
        annotation = next(f"{name}={value}" for name, value in FAKE_NODE.items())
        return self._spec(
            "kwok",
            f"--kubeconfig={self._kubeconfig('kwok')}",
            f"--config={self._binaries / 'kwok-stages.yaml'}",
            f"--manage-nodes-with-annotation-selector={annotation}",
            f"--cidr={_PODS}",
            f"--node-ip={_HOST}",
            f"--node-port={port}",
            f"--server-address={_HOST}:{port}",
            "--node-lease-duration-seconds=40",
            f"--tls-cert-file={self.keys.certificate('kwok')}",
            f"--tls-private-key-file={self.keys.key('kwok')}",
            ready=answers(f"https://{_HOST}:{port}/healthz", _unverified()),
            depends=("kube-apiserver",),
        )

    def _serving(self, name: str) -> Sequence[str]:
        return (
            f"--bind-address={_HOST}",
            f"--secure-port={self._ports[name]}",
            f"--cert-dir={self._directory / name}",
        )

    def _spec(self, name: str, *arguments: str, ready: Probe, depends: tuple[str, ...] = ()) -> ServiceSpec:
        return ServiceSpec(
            name=name,
            argv=[str(self._binaries / name), *arguments],
            log_path=self._directory / "logs" / f"{name}.log",
            env={"HOME": str(self._directory)},  # else KWOK reads a configuration of the user's
            cwd=self._directory,
            ready=ready,
            depends=depends,
            urls={"kubernetes": self.url, "kubeconfig": str(self.kubeconfig)} if name == "kube-apiserver" else {},
        )

    def _kubeconfig(self, name: str) -> Path:
        return self._directory / f"{name}.kubeconfig"

    def _as_admin(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.keys.authority))
        context.load_cert_chain(self.keys.certificate("admin"), self.keys.key("admin"))
        return context


def _unverified() -> ssl.SSLContext:
    """Return a context for programs that sign their own certificate; they are only asked whether they are well."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
