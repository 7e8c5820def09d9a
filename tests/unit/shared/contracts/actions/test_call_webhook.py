"""call-webhook: what is told to whom, about what may be touched at all."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.actions import CallWebhookRung
from shared.contracts.actions.base import Done, RefusedError, UnansweredError
from shared.contracts.actions.call_webhook import CallWebhook
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Call, Request
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import pod
from tests.unit.shared.contracts.actions.conversation import AT, Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, PROTECTION, deployment

ACTION = CallWebhook(webhook="pipeline", reason="the release is broken", deadline_seconds=20)
BODY: Any = {
    "type": "sre-agent.command",
    "timestamp": AT.isoformat(),
    "data": {
        "command": "cmd-1",
        "incident": "",
        "rule": "",
        "target": {"kind": "Deployment", "namespace": "bank", "name": "web"},
        "reason": "the release is broken",
    },
}


def calls(server: Server) -> list[Request]:
    return [one for one in server.asked if isinstance(one, Call)]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_call_says_what_is_wrong_with_what_and_a_dry_run_shows_the_same(dry_run: bool) -> None:
    server = Server({DEPLOYMENT: deployment()})
    done = outcome(server, ACTION, order(dry_run=dry_run))
    assert calls(server) == [Call("pipeline", BODY, timedelta(seconds=20))]
    assert isinstance(done, Done)
    (line,) = done.changes
    assert line.startswith('webhook pipeline: {"type":"sre-agent.command"')
    assert '"reason":"the release is broken"' in line


@given(command=st.text(max_size=50), reason=st.text(max_size=500))
def test_the_same_command_says_the_same_however_often_it_is_delivered(command: str, reason: str) -> None:
    server = Server({DEPLOYMENT: deployment()})
    for _ in range(2):
        outcome(server, CallWebhook(webhook="pipeline", reason=reason), order(command))
    first, second = calls(server)
    assert first == second


@pytest.mark.parametrize(
    ("objects", "workload", "refusal"),
    [
        ({}, None, Refusal.TARGET_GONE),
        ({DEPLOYMENT: labelled(deployment(), **PROTECTION)}, None, Refusal.PROTECTED_OBJECT),
        ({DEPLOYMENT: labelled(deployment(), tier="database")}, None, Refusal.PROTECTED_OBJECT),
        ({}, WorkloadRef(kind="Pod", namespace="bank", name="web"), Refusal.KIND_NOT_SUPPORTED),
    ],
)
def test_nobody_is_called_about_what_is_to_be_left_alone(
    objects: Any, workload: WorkloadRef | None, refusal: Refusal
) -> None:
    server = Server(objects)
    asked = order(tier="database") if workload is None else order(workload=workload)
    assert (outcome(server, ACTION, asked), calls(server)) == (refusal, [])


def test_what_the_receiver_refuses_is_the_courses_end_and_what_it_does_not_answer_is_neither() -> None:
    def refuses(request: Request) -> RefusedError | None:
        return RefusedError(Refusal.WEBHOOK_REFUSES) if isinstance(request, Call) else None

    assert outcome(Server({DEPLOYMENT: deployment()}, refuses=refuses), ACTION) is Refusal.WEBHOOK_REFUSES
    course = ACTION.course(order())
    next(course)
    course.send(deployment())
    with pytest.raises(UnansweredError):
        course.throw(UnansweredError("no answer in time"))


def test_nothing_in_the_cluster_tells_that_it_was_called_and_nothing_undoes_it() -> None:
    server = Server({DEPLOYMENT: deployment()})
    outcome(server, ACTION)
    assert not has_happened(Server(server.objects), ACTION)
    assert (ACTION.TRACELESS, ACTION.inverse()) == (True, None)


def test_a_step_names_the_webhook_and_no_address() -> None:
    words = {"action": "call-webhook", "webhook": "pipeline", "reason": "the release is broken", "deadline": "20s"}
    rung = CallWebhookRung.model_validate(words)
    assert (rung.aimed(pod()), list(rung.senseless())) == (ACTION, [])
    too_long = CallWebhookRung.model_validate(words | {"deadline": "31s"})
    assert [where for where, _ in too_long.senseless()] == ["deadline"]
    for name in ("https://example.com", "a/b", "", "A", "-a"):
        with pytest.raises(ValidationError):
            CallWebhookRung.model_validate(words | {"webhook": name})
