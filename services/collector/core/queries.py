"""The queries file and Prometheus' answers: which instant queries are asked, and what signals they become."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.labels import workload_of
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.contracts.signals import SampleSignal
from shared.kernel.clock import EPOCH
from shared.kernel.ids import derive

_VECTOR = 2


class Query(BaseModel):
    """One instant query. The result's labels name the workload: `deployment`, `statefulset`… or `pod`, or `node`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    expr: str = Field(min_length=1)


class Queries(BaseModel):
    """A whole queries file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval_seconds: float = Field(default=30.0, ge=1.0, le=3600.0)
    queries: tuple[Query, ...] = Field(min_length=1)

    @property
    def interval(self) -> timedelta:
        """Return how often all queries are asked."""
        return timedelta(seconds=self.interval_seconds)


def samples_of(query: Query, answer: JsonObject, *, cluster: str) -> Iterator[SampleSignal]:
    """Return the samples of an answer, by https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.

    What is no number, or names no workload, is left out: a cure could not be tried on it.
    """
    result = section(answer, "data").get("result")
    for series in result if isinstance(result, list) else []:
        if isinstance(series, dict):
            sample = _sample(query, series, cluster)
            if sample is not None:
                yield sample


def _sample(query: Query, series: JsonObject, cluster: str) -> SampleSignal | None:
    labels = {name: value for name, value in section(series, "metric").items() if isinstance(value, str)}
    workload, point = workload_of(labels), series.get("value")
    if workload is None or not isinstance(point, list) or len(point) != _VECTOR:
        return None
    at, value = _moment(point[0]), _value(point[1])
    if at is None or value is None:
        return None
    return SampleSignal(
        id=derive("signal", cluster, "sample", query.name, workload.key, at.isoformat(), *sorted(labels.values())),
        at=at,
        cluster=cluster,
        workload=workload,
        query=query.name,
        value=value,
        labels=labels,
    )


def _moment(told: object) -> datetime | None:
    if not isinstance(told, int | float) or isinstance(told, bool):
        return None
    try:
        return EPOCH + timedelta(seconds=told)
    except (OverflowError, ValueError):
        return None


def _value(told: object) -> float | None:
    """Return a sample's value; NaN and the infinities are no facts to act on."""
    try:
        value = float(str(told))
    except ValueError:
        return None
    return value if value - value == 0 else None


def problem_of(answer: JsonObject) -> str:
    """Return why an answer is a refusal; empty if it is none."""
    if text(answer, "status") == "success":
        return ""
    return text(answer, "error") or "the answer is no query result"
