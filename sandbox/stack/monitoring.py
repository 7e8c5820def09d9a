"""A real Prometheus and a real Alertmanager on loopback: they scrape the cluster and our services, and tell the API."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.stack.ports import free_ports
from sandbox.stack.probes import answers
from sandbox.stack.process import Probe, ServiceSpec
from shared.contracts.model import JsonObject, JsonValue

_HOST = "127.0.0.1"
_SCRAPE_EVERY, _JUDGE_EVERY = "1s", "1s"


class Monitoring:
    """Both programs as specs for a supervisor; their ports are known before they start.

    `packages` is the root of the unpacked packages. `rules` is a Prometheus rules file.
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

        `kubeconfig` leads to the cluster whose annotated pods are scraped; `services` are addresses of our services'
        health servers by name; alerts go to the address `webhook` with the token of a file.
        """
        self._directory.mkdir(parents=True)
        scrapes: list[JsonValue] = [_services(services), _pods(kubeconfig)]
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

    def _prometheus(self, scrapes: Sequence[JsonValue]) -> JsonObject:
        receivers: JsonObject = {"static_configs": [{"targets": [f"{_HOST}:{self._alertmanager_port}"]}]}
        return {
            "global": {"scrape_interval": _SCRAPE_EVERY, "evaluation_interval": _JUDGE_EVERY},
            "rule_files": [str(self._rules)],
            "alerting": {"alertmanagers": [receivers]},
            "scrape_configs": [*scrapes],
        }

    def _write(self, name: str, settings: JsonObject) -> None:
        (self._directory / name).write_text(json.dumps(settings, indent=1))  # JSON is YAML

    def _spec(self, name: str, program: str, *arguments: str, ready: Probe) -> ServiceSpec:
        return ServiceSpec(
            name=name,
            argv=[str(self._packages / "usr" / "bin" / program), *arguments],
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


def _pods(kubeconfig: Path) -> JsonObject:
    """Return the scrape of the pods that ask for it by the usual annotations; the label `app` names the Deployment."""
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
    rules: list[JsonValue] = [
        {"source_labels": [f"{annotation}scrape"], "regex": "true", "action": "keep"},
        {
            "source_labels": ["__meta_kubernetes_pod_ip", f"{annotation}port"],
            "separator": ":",
            "target_label": "__address__",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        {"source_labels": ["__meta_kubernetes_pod_label_app"], "target_label": "deployment"},
    ]
    discovery: JsonObject = {"role": "pod", "kubeconfig_file": str(kubeconfig)}
    return {"job_name": "pods", "kubernetes_sd_configs": [discovery], "relabel_configs": rules}


def _alertmanager(webhook: str, token_file: Path) -> JsonObject:
    sent: JsonObject = {
        "url": webhook,
        "send_resolved": True,
        "http_config": {"authorization": {"credentials_file": str(token_file)}},
    }
    route: JsonObject = {"receiver": "sre-agent", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    return {"route": route, "receivers": [{"name": "sre-agent", "webhook_configs": [sent]}]}
