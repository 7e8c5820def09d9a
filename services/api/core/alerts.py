"""Alertmanager's webhook (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config) to signals."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.labels import workload_of
from shared.contracts.model import Moment
from shared.contracts.signals import AlertSignal, AlertStatus
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.kernel.ids import derive

MAX_ALERTS = 500
_MAX_LABELS = 64
_VALUE_CHARS = 1_000


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AlertWords(_Words):
    """One alert of a notification; `fingerprint` names its labels, `endsAt` tells nothing while it fires."""

    status: AlertStatus
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict[str, str])
    starts_at: Moment = Field(alias="startsAt")
    ends_at: Moment | None = Field(default=None, alias="endsAt")
    fingerprint: str = Field(default="", pattern=r"^[0-9A-Za-z_-]*$", max_length=64)


class Notification(_Words):
    """What Alertmanager posts: the alerts of one group that fire, or have resolved since the last time."""

    version: Literal["4"]
    alerts: list[AlertWords] = Field(max_length=MAX_ALERTS)


def signal_of(alert: AlertWords, *, cluster: str) -> AlertSignal:
    """Return an alert's signal: the same for the same firing (or the same end), however often it is told.

    Its moment is when it began to fire, or ended: a repetition, or a retry, is no newer than what it repeats.
    """
    ended_at = alert.ends_at if alert.status is AlertStatus.RESOLVED else None
    fingerprint = alert.fingerprint or _fingerprint(alert.labels)
    cause = (alert.starts_at.isoformat(), alert.status.value, ended_at.isoformat() if ended_at else "")
    return AlertSignal(
        id=derive("signal", cluster, "alert", fingerprint, *cause),
        at=ended_at or alert.starts_at,
        cluster=cluster,
        workload=workload_of(alert.labels) or _alert_itself(alert.labels, fingerprint),
        alertname=_cut(alert.labels.get("alertname", "")),
        status=alert.status,
        severity=_cut(alert.labels.get("severity", "")),
        summary=_cut(alert.annotations.get("summary", "")),
        labels=_bounded(alert.labels),
        fingerprint=fingerprint,
        starts_at=alert.starts_at,
    )


def _alert_itself(labels: Mapping[str, str], fingerprint: str) -> WorkloadRef:
    """Return what an alert stands for that names no workload: itself, in its namespace if it has one."""
    name, namespace = labels.get("alertname", ""), labels.get("namespace", "")
    return (
        WorkloadRef.named("Alert", name, namespace=namespace)
        or WorkloadRef.named("Alert", name, namespace=CLUSTER_SCOPE)
        or WorkloadRef(kind="Alert", name=fingerprint)
    )


def _fingerprint(labels: Mapping[str, str]) -> str:
    """Return a name for labels to which their sender gave none."""
    return derive("labels", *(part for pair in sorted(labels.items()) for part in pair))


def _bounded(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels in one order, so that equal ones have equal bytes, and not more than a rule will ask for."""
    return {_cut(name): _cut(labels[name]) for name in sorted(labels)[:_MAX_LABELS]}


def _cut(text: str) -> str:
    return text[:_VALUE_CHARS]
