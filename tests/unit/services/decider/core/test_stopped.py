"""What a stop in the cluster holds has a reason of its own, and is otherwise put off as by the brake."""

from typing import Any

from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from tests.unit.services.decider.core.build import History, approval, at, finding, history, result, stopped

MEMORY: dict[str, Any] = {"reason": "OOMKilled", "last_reason": "OOMKilled", "restarts": 1}


def put_off() -> History:
    story = history()
    story.take(finding(), seconds=1)
    story.take(stopped(story.commands[0], seconds=2), seconds=2)
    return story


def test_a_stop_is_told_by_its_own_name_and_words() -> None:
    story = put_off()
    decision = [one for one in story.outputs if isinstance(one, Decision)][-1]
    assert (story.incident.phase, story.incident.reason) == (Phase.WAITING, Reason.STOPPED)
    assert decision.reason is Reason.STOPPED
    assert decision.detail == "paused: bank is stopped by ann (annotation): disk full"


def test_it_orders_the_same_attempt_again_after_a_minute_under_another_id() -> None:
    story = put_off()
    assert story.workload.wake_at == at(62)
    story.wake()
    first, second = story.commands
    assert (second.step, second.attempt, second.action) == (first.step, first.attempt, first.action)
    assert second.id != first.id


def test_what_a_person_allowed_is_ordered_again_after_a_stop_without_asking_twice() -> None:
    story = history()
    story.take(finding("memory", **MEMORY), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(approval(story.incident, seconds=3), seconds=3)
    story.take(stopped(story.commands[1], seconds=4), seconds=4)
    story.wake()
    assert (story.incident.phase, len(story.commands)) == (Phase.ACTING, 3)
    assert not story.commands[2].dry_run
