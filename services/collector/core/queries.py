"""The queries and Prometheus' answers: which instant queries are asked, and what signals they become."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.incidents import Mode
from shared.contracts.labels import workload_of
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.contracts.playbooks import PlaybookInForce
from shared.contracts.signals import SampleSignal
from shared.kernel.clock import EPOCH
from shared.kernel.ids import derive

EVERY = timedelta(seconds=30)
"""How often queries are asked where no file says anything."""
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


@dataclass(frozen=True, slots=True)
class Round:
    """What is asked in one round, and the names of the file's queries that are not, because a rule has their name."""

    queries: tuple[Query, ...] = ()
    hidden: tuple[str, ...] = ()


def round_of(file: Sequence[Query], own: Sequence[Query]) -> Round:
    """Return what is asked of the queries of a file and of rules' own: no name stands for two queries."""
    names = {query.name for query in own}
    return Round(
        (*(query for query in file if query.name not in names), *own),
        tuple(query.name for query in file if query.name in names),
    )


def queries_of(playbook: PlaybookInForce) -> tuple[Query, ...]:
    """Return the queries that rules ask themselves, each by its rule's name; a rule that is off asks none."""
    asking = (rule for rule in playbook.rules if rule.promql and rule.mode is not Mode.OFF)
    return tuple(Query(name=rule.name, expr=rule.promql) for rule in asking)


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
