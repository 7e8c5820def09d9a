"""The Event of a command: once, within the API server's bounds, and without secrets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.events import event_of
from shared.contracts.actions import RestartPod
from shared.contracts.inbox import Outcome
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.remediator.build import command, result

WEB: JsonObject = {"apiVersion": "apps/v1", "metadata": {"uid": "u-1", "resourceVersion": "7"}}
NODE = WorkloadRef(kind="Node", name="node-1")


def written(*, message: str = "", outcome: Outcome = Outcome.APPLIED, name: str = "cmd-1") -> JsonObject:
    asked = command(name, action=RestartPod(pod="web-1", uid="u"))
    told = result(asked, outcome=outcome, reason="rejected", message=message, changes=())
    return event_of(asked, told, about=WEB, instance="host-1")


def test_it_says_what_was_done_for_which_rule_and_incident_and_what_became_of_it() -> None:
    event = written(outcome=Outcome.REFUSED, message="a webhook said no")
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "RestartPodRefused", "RestartPod")
    assert event["message"] == (
        "restart-pod refused (rejected: a webhook said no); asked by rule crash-loop; incident inc-1, command cmd-1"
    )


@pytest.mark.parametrize(
    ("outcome", "kind", "reason"),
    [
        (Outcome.APPLIED, "Normal", "RestartPodApplied"),
        (Outcome.FAILED, "Warning", "RestartPodFailed"),
        (Outcome.UNKNOWN, "Warning", "RestartPodUnknown"),
    ],
)
def test_what_was_done_is_normal_and_all_else_a_warning(outcome: Outcome, kind: str, reason: str) -> None:
    event = written(outcome=outcome)
    assert (event["type"], event["reason"]) == (kind, reason)


def test_it_is_about_the_live_object() -> None:
    assert section(written(), "involvedObject") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "bank",
        "name": "web",
        "uid": "u-1",
        "resourceVersion": "7",
    }


def test_a_nodes_event_lives_in_the_default_namespace_under_the_uid_that_describe_asks_for() -> None:
    asked = command(workload=NODE)
    event = event_of(asked, result(asked), about={}, instance="host-1")
    assert text(section(event, "metadata"), "namespace") == "default"
    assert section(event, "involvedObject")["uid"] == "node-1"
    assert "namespace" not in section(event, "involvedObject")


def test_its_name_derives_from_the_command_alone() -> None:
    names = [text(section(one, "metadata"), "name") for one in (written(), written(message="other"), written(name="b"))]
    assert names[0] == names[1] != names[2]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", names[0])


@given(st.text(max_size=3_000))
def test_its_message_keeps_to_the_bound_of_bytes(message: str) -> None:
    assert len(text(written(message=message), "message").encode()) <= 1_024


def test_secrets_in_a_message_are_taken_out() -> None:
    assert "hunter2" not in text(written(message="password=hunter2"), "message")
