"""A case says what the real run does: the same signals by way of matcher, broker and inbox give the same decisions."""

from pathlib import Path

import pytest

from services.decider.adapters.cases_file import read_cases_file
from services.decider.adapters.replaying import replay_inbox
from services.decider.core.cases import CaseWords
from services.decider.core.casting import signal_of, workload_of
from services.decider.core.trial import START, try_cases
from services.decider.handlers import InForce, Matching
from shared.contracts.codec import decode
from shared.contracts.inbox import PlaybookActivated
from shared.contracts.topics import INBOX, SIGNALS_KUBERNETES
from shared.infra.memory import MemoryBroker
from tests.fakes.clock import FakeClock

FILE = read_cases_file(Path(__file__).resolve().parents[4] / "healing-playbook.test.yaml")
TRIALS = {trial.case.name: trial for trial in try_cases(FILE.cases, FILE.playbook)}
OF_SIGNALS = [case for case in FILE.cases.words.cases if all(given.signal for given in case.given)]


async def live(case: CaseWords) -> list[tuple[str, str, str, float]]:
    clock = FakeClock(START)
    broker, in_force = MemoryBroker(clock), InForce()
    publisher, playbook = broker.publisher("test"), FILE.playbook
    await publisher.broadcast(
        PlaybookActivated(id="playbook", at=START, hash=playbook.hash, text=playbook.text), topic=INBOX
    )
    in_force.set(playbook)
    matching = Matching(publisher, in_force)
    for number, given in enumerate(case.given):
        clock.moment = START + given.at
        workload = workload_of(given.workload or case.workload, kind=given.signal or "")
        seen = START + (given.at if given.seen is None else given.seen)
        name = given.id or str(number)
        signal = signal_of(given.facts, kind=given.signal or "", workload=workload, seen=seen, name=name)
        placed = await publisher.publish(signal, topic=SIGNALS_KUBERNETES)
        await matching.handle(decode(broker.log(SIGNALS_KUBERNETES.name, placed.partition)[placed.offset]))
    replay = await replay_inbox(broker.archive())
    return sorted(
        (decision.workload.key, decision.rule, decision.reason.value, (decision.at - START).total_seconds())
        for _, decision in replay.decisions()
    )


@pytest.mark.parametrize("case", OF_SIGNALS, ids=lambda case: case.name)
async def test_a_case_of_signals_decides_as_the_real_run_does(case: CaseWords) -> None:
    latest = case.given[-1].at.total_seconds()
    made = [one.decision for one in TRIALS[case.name].made if one.since.total_seconds() <= latest]
    tried = sorted((one.workload.key, one.rule, one.reason.value, (one.at - START).total_seconds()) for one in made)
    assert tried == await live(case)
