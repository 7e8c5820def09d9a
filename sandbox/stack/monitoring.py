"""A real Prometheus and a real Alertmanager on loopback: they scrape the cluster and our services, and tell the API."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import yaml

from sandbox.stack.ports import free_ports
from sandbox.stack.probes import answers
from sandbox.stack.process import Probe, ServiceSpec
from shared.contracts.model import JsonObject, JsonValue
from shared.infra.kube import KubeClient
from shared.kernel.errors import UnavailableError

_HOST = "127.0.0.1"
_WITH_OWN_FILES = 'mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec "$@"'
"""Debian's Alertmanager looks for templates in /usr/share: in its own mounts alone, the package's files are there."""
_SCRAPE_EVERY, _JUDGE_EVERY, _DISCOVER_EVERY_S = "1s", "1s", 1


class Monitoring:
    """Both programs as specs for a supervisor; their ports are known before they start.

    `packages` is the root of the unpacked packages. `rules` is a Prometheus rules file. Needs root, for mounts.
    """

    def __init__(self, directory: Path, packages: Path, *, rules: Path) -> None:
        self._directory = directory.resolve()
        self._packages = packages
        self._rules = rules.resolve()
        self._prometheus_port, self._alertmanager_port = free_ports(2)

    @property
    def prometheus_url(self) -> str:
        """Return Prometheus' address."""
        return f"http://{_HOST}:{self._prometheus_port}"

    def specs(
        self, *, kubeconfig: Path, services: Mapping[str, str], webhook: str, token_file: Path
    ) -> list[ServiceSpec]:
        """Write both configurations and return what is to be run.

        `kubeconfig` leads to the cluster whose API server is scraped; `services` are addresses of our services' health
        servers by name; alerts go to the address `webhook` with the token of a file.
        """
        self._directory.mkdir(parents=True)
        self._targets.write_text("[]")
        scrapes: list[JsonValue] = [_services(services), _api_server(kubeconfig), _pods(self._targets)]
        self._write("prometheus.yml", self._prometheus(scrapes))
        self._write("alertmanager.yml", _alertmanager(webhook, token_file))
        return [
            self._spec(
                "alertmanager",
                "prometheus-alertmanager",
                f"--config.file={self._directory / 'alertmanager.yml'}",
                f"--storage.path={self._directory / 'alerts'}",
                f"--web.listen-address={_HOST}:{self._alertmanager_port}",
                "--cluster.listen-address=",  # alone
                ready=answers(f"http://{_HOST}:{self._alertmanager_port}/-/ready"),
            ),
            self._spec(
                "prometheus",
                "prometheus",
                f"--config.file={self._directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._directory / 'samples'}",
                f"--web.listen-address={_HOST}:{self._prometheus_port}",
                ready=answers(f"{self.prometheus_url}/-/ready"),
            ),
        ]

    async def discover(self, client: KubeClient) -> None:
        """Keep telling Prometheus which pods are to be scraped, for ever; Debian's knows no Kubernetes by itself."""
        while True:
            with suppress(UnavailableError):
                pods = (await client.list("/api/v1/pods")).items
                targets = [target for target in map(_target, pods) if target is not None]
                fresh = self._targets.with_suffix(".new")
                fresh.write_text(json.dumps(targets))
                fresh.replace(self._targets)
            await asyncio.sleep(_DISCOVER_EVERY_S)

    @property
    def _targets(self) -> Path:
        return self._directory / "targets.json"

    def _prometheus(self, scrapes: Sequence[JsonValue]) -> JsonObject:
        receivers: JsonObject = {"static_configs": [{"targets": [f"{_HOST}:{self._alertmanager_port}"]}]}
        return {
            "global": {
                "scrape_interval": _SCRAPE_EVERY,
                "scrape_timeout": _SCRAPE_EVERY,
                "evaluation_interval": _JUDGE_EVERY,
            },
            "rule_files": [str(self._rules)],
            "alerting": {"alertmanagers": [receivers]},
            "scrape_configs": [*scrapes],
        }

    def _write(self, name: str, settings: JsonObject) -> None:
        (self._directory / name).write_text(json.dumps(settings, indent=1))  # JSON is YAML

    def _spec(self, name: str, program: str, *arguments: str, ready: Probe) -> ServiceSpec:
        alone = ["unshare", "--mount", "sh", "-c", _WITH_OWN_FILES, str(self._packages)]
        return ServiceSpec(
            name=name,
            argv=[*alone, str(self._packages / "usr" / "bin" / program), *arguments],
            log_path=self._directory / f"{name}.log",
            cwd=self._directory,
            ready=ready,
        )


def _services(addresses: Mapping[str, str]) -> JsonObject:
    targets: list[JsonValue] = [
        {"targets": [address.removeprefix("http://")], "labels": {"service": name}}
        for name, address in addresses.items()
    ]
    return {"job_name": "sre-agent", "static_configs": targets}


def _pods(targets: Path) -> JsonObject:
    return {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}


def _api_server(kubeconfig: Path) -> JsonObject:
    """Return the scrape of the API server's own metrics, under the identity of a kubeconfig."""
    document = cast("dict[str, list[dict[str, dict[str, str]]]]", yaml.safe_load(kubeconfig.read_text()))
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    return {
        "job_name": "kubernetes",
        "scheme": "https",
        "static_configs": [{"targets": [cluster["server"].removeprefix("https://")]}],
        "tls_config": {
            "ca_file": cluster["certificate-authority"],
            "cert_file": user["client-certificate"],
            "key_file": user["client-key"],
        },
    }


def _target(pod: JsonObject) -> JsonObject | None:
    """Return a pod as a target, if it asks for it by the usual annotations; its label `app` names a Deployment."""
    metadata, status = (cast("JsonObject", pod.get(part) or {}) for part in ("metadata", "status"))
    annotations, labels = (cast("JsonObject", metadata.get(part) or {}) for part in ("annotations", "labels"))
    if annotations.get("prometheus.io/scrape") != "true" or not status.get("podIP"):
        return None
    named: JsonObject = {
        "namespace": metadata.get("namespace"),
        "pod": metadata.get("name"),
        "deployment": labels.get("app"),
    }
    return {"targets": [f"{status['podIP']}:{annotations.get('prometheus.io/port')}"], "labels": named}


def _alertmanager(webhook: str, token_file: Path) -> JsonObject:
    sent: JsonObject = {
        "url": webhook,
        "send_resolved": True,
        "http_config": {"authorization": {"credentials_file": str(token_file)}},
    }
    route: JsonObject = {"receiver": "sre-agent", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    return {"route": route, "receivers": [{"name": "sre-agent", "webhook_configs": [sent]}]}
