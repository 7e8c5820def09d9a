"""The campaign: the whole pipeline heals every fault of a list on a real cluster, beside a twin that nobody heals.

Every workload stands twice: in `bank`, which the pipeline looks after, and in `plain`, which the playbook protects, so
that it shows what Kubernetes does by itself in the same time. All are broken at the same moment.
"""

# the client's models are typed in part only
# pyright: basic

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes import client

from sandbox.demo.story import Story, story_of
from sandbox.kubernetes.accounts import HEALED_NAMESPACE, SPEAKERS
from sandbox.kubernetes.debian import MONITORING_PACKAGES, install_packages
from sandbox.stack.brake import UNBRAKED
from sandbox.stack.local import LocalStack, StackOptions
from sandbox.stack.monitoring import Monitoring
from sandbox.stack.progress import to_stderr
from sandbox.stack.supervisor import Supervisor
from shared.contracts.workloads import CLUSTER_SCOPE
from shared.infra.kube import KubeClient
from tests.cluster.faults import FAULTS, Fault, pods_of
from tests.cluster.real import Real

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PLAIN_NAMESPACE = "plain"
NODE, NODE_FAULT = "real-1", "node-silent"
_WELL_WITHIN, _HEALED_WITHIN = timedelta(minutes=5), timedelta(minutes=7)
"""Far beyond what it takes (docs/figures.md): a machine may be busy, and what fails fails late rather than wrongly."""
_LOOK_S = 0.5
_FINAL = frozenset({"healed", "escalated", "closed"})


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of one fault: its incidents, oldest first, as the API tells them; the last one's story and report."""

    fault: str
    incidents: Sequence[dict[str, Any]]
    story: Story
    report: dict[str, Any]
    evidence: Sequence[dict[str, Any]]
    plain: str

    @property
    def actions(self) -> list[str]:
        """Return what was really carried out, in order."""
        return [step["action"]["kind"] for step in self.steps if step["outcome"] == "applied"]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Return all steps of all incidents, in order."""
        return [step for incident in self.incidents for step in incident["steps"]]

    @property
    def end(self) -> str:
        """Return how the last incident ended."""
        return str(self.incidents[-1]["phase"]) if self.incidents else "no incident"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """All that the tests judge; nothing of it runs any more but the cluster."""

    real: Real
    ended: Mapping[str, Ended]
    node: Ended
    replay: tuple[int, str]
    metrics: frozenset[str]


def run_campaign(real: Real, directory: Path) -> Campaign:
    """Break everything, wait until every incident has ended, and return what became of it."""
    return asyncio.run(_run(real, directory))


async def _run(real: Real, directory: Path) -> Campaign:
    async with (
        _pipeline(real, directory) as stack,
        httpx.AsyncClient(
            base_url=stack.api_url, headers={"Authorization": f"Bearer {stack.token}"}, timeout=10
        ) as api,
    ):
        await asyncio.to_thread(_deploy_all, real)
        await _until_none(lambda: _ailing(real), "all workloads are well", _WELL_WITHIN)
        await asyncio.to_thread(_break_all, real)
        await _approve_until_ended(api, {fault.name: _key(fault) for fault in FAULTS})
        plain = await asyncio.to_thread(_plain_states, real)
        ended = {fault.name: await _ended(api, fault.name, _key(fault), plain=plain[fault.name]) for fault in FAULTS}
        node = await _silence_the_node(api, real)
        replay = await _replay(stack.bootstrap)
        return Campaign(real=real, ended=ended, node=node, replay=replay, metrics=await _scraped(api, directory))


@asynccontextmanager
async def _pipeline(real: Real, directory: Path) -> AsyncGenerator[LocalStack]:
    """Run the five services, each under its own account, with Prometheus and Alertmanager beside them."""
    packages = await asyncio.to_thread(install_packages, MONITORING_PACKAGES, to_stderr)
    monitoring = Monitoring(directory / "monitoring", packages, rules=HERE / "alerts.yaml")
    options = StackOptions(
        directory=directory,
        playbook=_playbook(directory),
        kubeconfig=real.kubeconfig,
        accounts={name: real.account(name) for name in SPEAKERS},
        settings={
            **UNBRAKED,  # all faults come at once, and on one node
            "SRE_PROMETHEUS_URL": monitoring.prometheus_url,
            "SRE_QUERIES_FILE": str(HERE / "queries.yaml"),
        },
    )
    supervisor = Supervisor(directory / "monitoring.json", report=to_stderr)
    stack = LocalStack(options, report=to_stderr)
    try:
        # before the services: the collector asks Prometheus from its start on
        stack.token_file.write_text(stack.token)
        specs = monitoring.specs(
            kubeconfig=real.kubeconfig,
            services=stack.health_urls,
            webhook=f"{stack.api_url}/v1/alerts",
            token_file=stack.token_file,
        )
        await supervisor.start(specs)
        (directory / "prometheus").write_text(monitoring.prometheus_url)
        async with stack, KubeClient(real.kubeconfig) as cluster:
            discovering = asyncio.create_task(monitoring.discover(cluster))
            try:
                yield stack
            finally:
                discovering.cancel()
    finally:
        await supervisor.stop()


def _playbook(directory: Path) -> Path:
    """Write the shipped playbook with two rules more, the twin protected, and proofs that fail within a minute."""
    shipped = yaml.safe_load((ROOT / "healing-playbook.yaml").read_text())
    spec = shipped["spec"]
    spec["protected"]["namespaces"].append(PLAIN_NAMESPACE)
    spec["rules"] += yaml.safe_load((HERE / "playbook.yaml").read_text())
    for rung in (rung for rule in spec["rules"] for rung in rule["ladder"] if "verify" in rung):
        rung["verify"] = {"healthy_for": "5s", "within": "1m"}
    path = directory / "playbook.yaml"
    path.write_text(yaml.safe_dump(shipped, sort_keys=False))
    return path


def _key(fault: Fault) -> str:
    return f"{HEALED_NAMESPACE}/{fault.kind}/{fault.name}"


def _deploy_all(real: Real) -> None:
    for namespace in (HEALED_NAMESPACE, PLAIN_NAMESPACE):
        _ignoring_conflict(lambda n=namespace: real.core.create_namespace({"metadata": {"name": n}}))
        for fault in FAULTS:
            if fault.needs_config_map:
                real.core.create_namespaced_config_map(namespace, {"metadata": {"name": fault.config_map}})
            if fault.kind == "StatefulSet":
                real.apps.create_namespaced_stateful_set(namespace, fault.manifest)
            else:
                real.apps.create_namespaced_deployment(namespace, fault.manifest)


def _ignoring_conflict(create: Callable[[], object]) -> None:
    try:
        create()
    except client.ApiException as refused:
        if refused.status != 409:
            raise


def _break_all(real: Real) -> None:
    for fault in FAULTS:
        for namespace in (HEALED_NAMESPACE, PLAIN_NAMESPACE):
            fault.make(real, namespace, fault.name)


def _ailing(real: Real, namespaces: Sequence[str] = (HEALED_NAMESPACE, PLAIN_NAMESPACE)) -> list[str]:
    return [
        f"{namespace}/{fault.name}"
        for namespace in namespaces
        for fault in FAULTS
        if not is_well(real, namespace, fault)
    ]


def is_well(real: Real, namespace: str, fault: Fault) -> bool:
    """Tell whether a workload is as it should be: its newest template rolled out, all ready, nothing beside it."""
    if fault.kind == "StatefulSet":
        found = real.apps.read_namespaced_stateful_set(fault.name, namespace)
    else:
        found = real.apps.read_namespaced_deployment(fault.name, namespace)
    status = found.status
    counts = {status.replicas, status.ready_replicas, status.updated_replicas, status.available_replicas}
    return status.observed_generation == found.metadata.generation and counts == {1}


def _plain_states(real: Real) -> dict[str, str]:
    return {fault.name: _plain_state(real, fault) for fault in FAULTS}


def _plain_state(real: Real, fault: Fault) -> str:
    """Return how the twin is that nobody healed, by its worst container."""
    pods = pods_of(real, PLAIN_NAMESPACE, fault.name)
    ailing = [pod for pod in pods if not _is_ready(pod)]
    if is_well(real, PLAIN_NAMESPACE, fault) and not ailing:
        return "well, but as broken as before" if fault.name in {"errors", "queue"} else "well again"
    reasons = sorted({reason for pod in ailing for reason in _reasons(pod)})
    return ", ".join(reasons) or "not well"


def _is_ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or [])


def _reasons(pod: Any) -> list[str]:
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    waiting = [one.state.waiting.reason for one in statuses if one.state.waiting]
    unscheduled = [one.reason for one in pod.status.conditions or [] if one.type == "PodScheduled" and one.reason]
    return [pod.status.reason] if pod.status.reason else [*unscheduled, *waiting] or ["not ready"]


async def _approve_until_ended(api: httpx.AsyncClient, keys: Mapping[str, str]) -> None:
    """Say yes to what waits for a person, until every workload has had an incident and none is open any more."""
    asked: set[tuple[str, int]] = set()

    async def all_ended() -> bool:
        incidents = await _incidents(api)
        for one in incidents:
            step = (one["id"], one["step"])
            if one["phase"] == "awaiting-approval" and step not in asked:
                answer = await api.post(f"/v1/incidents/{one['id']}/approve", json={"version": one["version"]})
                asked.update({step} if answer.is_success else ())
        by_key = {_workload_key(one): one for one in sorted(incidents, key=lambda one: one["opened_at"])}
        return all(key in by_key and by_key[key]["phase"] in _FINAL for key in keys.values())

    deadline = time.monotonic() + _HEALED_WITHIN.total_seconds()
    while not await all_ended() and time.monotonic() < deadline:  # noqa: ASYNC110 - it comes about elsewhere
        await asyncio.sleep(_LOOK_S)


async def _incidents(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await api.get("/v1/incidents", params={"limit": 500})).raise_for_status().json()


def _workload_key(incident: Mapping[str, Any]) -> str:
    ref = incident["workload"]
    return f"{ref['namespace']}/{ref['kind']}/{ref['name']}"


async def _ended(api: httpx.AsyncClient, fault: str, key: str, *, plain: str) -> Ended:
    incidents = sorted(
        (one for one in await _incidents(api) if _workload_key(one) == key), key=lambda one: one["opened_at"]
    )
    if not incidents:
        nothing = Story(fault=fault, phase="no incident")
        return Ended(fault=fault, incidents=[], story=nothing, report={}, evidence=[], plain=plain)
    first = incidents[0]["id"]
    answer = await api.get(f"/v1/reports/{first}")
    report = answer.json() if answer.is_success else {}
    timeline = (await api.get(f"/v1/incidents/{first}/timeline")).raise_for_status().json()
    evidence = [line for line in timeline if line["happening"] == "evidence"]
    story = story_of(fault, incidents[-1], report or None)
    return Ended(fault=fault, incidents=incidents, story=story, report=report, evidence=evidence, plain=plain)


async def _silence_the_node(api: httpx.AsyncClient, real: Real) -> Ended:
    """Stop the node's kubelet until somebody is told of it, then let it go on; return what became of it."""
    kubelet = _pid_of(f"--hostname-override={NODE}")
    key = f"{CLUSTER_SCOPE}/Node/{NODE}"
    os.kill(kubelet, signal.SIGSTOP)
    try:
        await _approve_until_ended(api, {NODE_FAULT: key})
    finally:
        os.kill(kubelet, signal.SIGCONT)
    await _until_none(lambda: _unready(real), "the node is ready again", _WELL_WITHIN)
    await _until_none(lambda: _unhealed(real), "all is well again", _WELL_WITHIN)
    return await _ended(api, NODE_FAULT, key, plain="waits 5 minutes, then moves pods")


def _unready(real: Real) -> list[str]:
    return [] if _is_ready(real.core.read_node(NODE)) else [NODE]


def _unhealed(real: Real) -> list[str]:
    beyond_help = {f"{HEALED_NAMESPACE}/{fault.name}" for fault in FAULTS if fault.end != "healed"}
    return [name for name in _ailing(real, [HEALED_NAMESPACE]) if name not in beyond_help]


def _pid_of(argument: str) -> int:
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in words and words[0].endswith(b"kubelet"):
                return int(place.name)
    raise AssertionError(f"no kubelet runs with {argument}")


async def _replay(bootstrap: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.runtime.cli", "replay", "--check", "-o", "json", "--bootstrap", bootstrap),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    return process.returncode or 0, told.decode()


async def _scraped(api: httpx.AsyncClient, directory: Path) -> frozenset[str]:
    """Return what Prometheus reaches, as its own API tells it: our services by name, all else by its job."""
    url = (directory / "prometheus").read_text()
    answer = await api.get(f"{url}/api/v1/query", params={"query": "up == 1"}, headers={"Authorization": ""})
    metrics = [series["metric"] for series in answer.json()["data"]["result"]]
    return frozenset(metric.get("service") or metric["job"] for metric in metrics)


async def _until_none(left: Callable[[], Sequence[str]], what: str, within: timedelta) -> None:
    deadline = time.monotonic() + within.total_seconds()
    while names := await asyncio.to_thread(left):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within.total_seconds():.0f} s: {what}; left: {', '.join(names)}")
        await asyncio.sleep(_LOOK_S)


def table_of(campaign: Campaign) -> str:
    """Return the times of all faults, in seconds from the signal, beside what plain Kubernetes did meanwhile."""
    rows: list[tuple[str, ...]] = [
        ("fault", "end", "actions", "detect", "decide", "act", "healed", "plain Kubernetes, in the same time")
    ]
    for ended in (*campaign.ended.values(), campaign.node):
        story = ended.story
        times = [_shown(one) for one in (story.detected, story.decided, story.acted, story.healed)]
        rows.append((ended.fault, ended.end, ", ".join(ended.actions) or "none", *times, ended.plain))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], re.sub(r"\S| (?=\S)", "-", lines[0]), *lines[1:]])


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"
