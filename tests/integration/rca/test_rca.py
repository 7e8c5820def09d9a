"""The rca service's handler with the real google-genai client, against a server that answers as it is told."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from services.rca.adapters.gemini import Gemini
from services.rca.handlers import NO_KEY, Explaining
from shared.contracts.codec import decode
from shared.contracts.inbox import EvidenceRef
from shared.contracts.reports import Analyzer, RcaRequest, Report
from shared.contracts.topics import EVIDENCE, RCA_REPORTS, RCA_REQUESTS
from shared.infra.memory import MemoryBroker
from tests.fakes.clock import FakeClock
from tests.fakes.gemini import FakeGemini, gemini, text
from tests.unit.services.rca.core.test_rca import NOW, answer, evidence, finding, request

pytestmark = pytest.mark.integration
KEY = "AIza-not-a-real-key"


async def explained(fake: FakeGemini | None, *, asked: RcaRequest | None = None) -> Report:
    broker = MemoryBroker(FakeClock(NOW))
    publisher = broker.publisher("test")
    captured = evidence("starting", "fatal: stale lock", "password=hunter2hunter2")
    placed = await publisher.publish(captured, topic=EVIDENCE)
    ref = EvidenceRef(id=captured.id, partition=placed.partition, offset=placed.offset)
    wanted = (asked or request(finding())).model_copy(update={"evidence": ref})
    placed = await publisher.publish(wanted, topic=RCA_REQUESTS)
    model = Gemini(SecretStr(KEY), model="gemini-x", base_url=fake.url, timeout=timedelta(seconds=2)) if fake else None
    handler = Explaining(publisher, broker.archive(), model, clock=FakeClock(NOW))
    await handler.handle(decode(broker.log(RCA_REQUESTS.name, placed.partition)[placed.offset]))
    if model is not None:
        await model.close()
    written = [one for number in range(RCA_REPORTS.partitions) for one in broker.log(RCA_REPORTS.name, number)]
    report = decode(written[0]).message
    assert isinstance(report, Report)
    return report


async def test_a_structured_answer_becomes_the_report_and_no_secret_reaches_the_model() -> None:
    async with gemini(text(answer(root_cause="a stale lock"))) as fake:
        report = await explained(fake)
    assert (report.analyzer, report.model, report.fallback) == (Analyzer.GEMINI, "gemini-x", "")
    assert report.root_cause == "a stale lock"
    assert report.redactions == 1
    sent = str(fake.asked)
    assert "hunter2hunter2" not in sent
    assert "stale lock" in sent
    assert fake.asked[0]["key"] == KEY
    assert "responseSchema" in sent
    assert KEY not in report.model_dump_json()


async def test_an_empty_answer_is_asked_for_once_more() -> None:
    async with gemini(text(""), text(answer())) as fake:
        report = await explained(fake)
    assert report.analyzer is Analyzer.GEMINI
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((500, {"error": {"code": 500, "status": "INTERNAL", "message": "x"}}), "500"),
        ((429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}), "429"),
        ((403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "x"}}), "403"),
        (text(""), "empty"),
        (text("not json"), "does not fit"),
        (text(answer(claims=[])), "cites evidence"),
        ((200, {"modelVersion": "x"}), "empty"),
        ((200, {"promptFeedback": {"blockReason": "SAFETY"}}), "empty"),
    ],
)
async def test_a_model_that_fails_is_replaced_by_the_rules_which_say_so(reply: tuple[int, Any], told: str) -> None:
    async with gemini(reply) as fake:
        report = await explained(fake)
    assert report.analyzer is Analyzer.RULES
    assert told in report.fallback
    assert "exit code 3" in report.root_cause
    assert KEY not in report.model_dump_json()


async def test_a_model_that_is_not_there_is_replaced_by_the_rules() -> None:
    report = await explained(FakeGemini([], url="http://127.0.0.1:9"))
    assert report.analyzer is Analyzer.RULES
    assert "does not answer" in report.fallback


async def test_without_a_key_the_rules_write_and_the_report_says_so() -> None:
    report = await explained(None)
    assert (report.analyzer, report.fallback) == (Analyzer.RULES, NO_KEY)
