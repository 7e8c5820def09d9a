"""Which queries are asked: those of a file, and those of the rules in force, by names that stand for one alone."""

import pytest

from services.collector.core.queries import Query
from services.collector.handlers import Sampling
from shared.contracts.codec import decode
from shared.contracts.incidents import Mode, Severity
from shared.contracts.model import JsonObject, Message
from shared.contracts.playbooks import LoadOutcome, PlaybookInForce, PlaybookLoad, RuleBrief
from shared.contracts.signals import SampleSignal
from shared.contracts.topics import PLAYBOOKS, SIGNALS_PROMETHEUS
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import UnavailableError
from tests.fakes.clock import FakeClock

FILE = (Query(name="load", expr="node_load1"), Query(name="errors", expr="errors_total"))


class Prometheus:
    """Answers each query with one sample of the front end; refuses those that say so."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, query: Query) -> JsonObject:
        self.asked.append(query.expr)
        if "refused" in query.expr:
            raise UnavailableError(f"Prometheus: query {query.name}: parse error")
        metric: JsonObject = {"namespace": "bank", "deployment": "frontend"}
        return {"status": "success", "data": {"result": [{"metric": metric, "value": [1893456000, "7"]}]}}


class Stage:
    """Sampling over a broker in memory."""

    def __init__(self, file: tuple[Query, ...] = FILE) -> None:
        self.broker, self.prometheus = MemoryBroker(FakeClock()), Prometheus()
        self.sampling = Sampling(self.broker.publisher("test"), self.prometheus, file, cluster="test")

    async def follow(self, message: Message) -> None:
        await self.broker.publisher("decider").publish(message, topic=PLAYBOOKS)
        *_, newest = [record async for record in self.broker.archive().read(PLAYBOOKS)]
        await self.sampling.follow(decode(newest))

    async def told(self) -> list[str]:
        messages = [decode(record).message async for record in self.broker.archive().read(SIGNALS_PROMETHEUS)]
        return [message.query for message in messages if isinstance(message, SampleSignal)]


def in_force(*rules: RuleBrief) -> PlaybookInForce:
    return PlaybookInForce(id="p", at=FakeClock().now(), hash="h", name="test", mode=Mode.LIVE, rules=rules, text="…")


def rule(name: str, promql: str = "", *, mode: Mode = Mode.LIVE) -> RuleBrief:
    return RuleBrief(name=name, signal="sample", severity=Severity.WARNING, mode=mode, promql=promql)


async def test_the_queries_of_rules_are_asked_besides_those_of_the_file_and_bear_their_rules_names() -> None:
    stage = Stage()
    await stage.follow(in_force(rule("hot", "sum by (node) (heat) > 5"), rule("plain")))
    await stage.sampling.sample()
    assert stage.prometheus.asked == ["node_load1", "errors_total", "sum by (node) (heat) > 5"]
    assert sorted(await stage.told()) == ["errors", "hot", "load"]


async def test_another_playbook_replaces_what_is_asked() -> None:
    stage = Stage(())
    await stage.follow(in_force(rule("old", "old_total")))
    await stage.follow(in_force(rule("new", "new_total")))
    await stage.sampling.sample()
    assert stage.prometheus.asked == ["new_total"]


async def test_a_rule_that_is_off_asks_nothing() -> None:
    stage = Stage(())
    await stage.follow(in_force(rule("one", "one_total", mode=Mode.OFF), rule("two", "two_total", mode=Mode.SHADOW)))
    await stage.sampling.sample()
    assert stage.prometheus.asked == ["two_total"]


async def test_what_became_of_a_file_changes_nothing() -> None:
    stage = Stage(())
    await stage.follow(in_force(rule("one", "one_total")))
    load = PlaybookLoad(id="l", at=FakeClock().now(), outcome=LoadOutcome.REJECTED)
    await stage.follow(load)
    await stage.sampling.sample()
    assert stage.prometheus.asked == ["one_total"]


async def test_a_query_of_the_file_whose_name_a_rule_has_is_not_asked_and_named() -> None:
    stage = Stage()
    await stage.follow(in_force(rule("errors", "sum by (node) (mine)")))
    with pytest.raises(UnavailableError, match="query errors of the file is not asked"):
        await stage.sampling.sample()
    assert stage.prometheus.asked == ["node_load1", "sum by (node) (mine)"]
    assert sorted(await stage.told()) == ["errors", "load"]


async def test_a_query_that_is_refused_keeps_no_other_back() -> None:
    stage = Stage(())
    await stage.follow(in_force(rule("one", "refused"), rule("two", "two_total")))
    with pytest.raises(UnavailableError, match="query one: parse error"):
        await stage.sampling.sample()
    assert await stage.told() == ["two"]
