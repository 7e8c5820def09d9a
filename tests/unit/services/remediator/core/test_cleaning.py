"""Evidence without secrets: in logs, messages and objects, whatever part of them says that it is one."""

import json
from typing import Any

import pytest
from hypothesis import given

from services.remediator.core.cleaning import Cleaning
from shared.contracts.evidence import ContainerLog, EventLine
from tests.json_documents import JSON


@pytest.mark.parametrize(
    ("given_object", "kept"),
    [
        ({"args": ["--password", "hunter2", "-v"]}, {"args": ["--password", "[REDACTED:secret]", "-v"]}),
        ({"args": ["--password=hunter2"]}, {"args": ["--password=[REDACTED:secret]"]}),
        ({"args": ["--port", "80", "--verbose"]}, {"args": ["--port", "80", "--verbose"]}),
        ({"args": ["--token", "--verbose"]}, {"args": ["--token", "--verbose"]}),
        ({"name": "X-Api-Key", "value": "hunter2"}, {"name": "X-Api-Key", "value": "[REDACTED:secret]"}),
        ({"name": "X-Color", "value": "blue"}, {"name": "X-Color", "value": "blue"}),
        ({"state": {"message": "token: hunter2"}}, {"state": {"message": "token: [REDACTED:secret]"}}),
        ({"replicas": 2, "paused": False, "note": None}, {"replicas": 2, "paused": False, "note": None}),
    ],
)
def test_an_objects_secrets_are_taken_out(given_object: Any, kept: Any) -> None:
    cleaning = Cleaning()
    assert cleaning.object(given_object) == kept
    assert cleaning.count == json.dumps(kept).count("[REDACTED")


def test_a_private_key_in_a_log_is_taken_out_over_its_lines() -> None:
    lines = ("before", "-----BEGIN RSA PRIVATE KEY-----", "MIIabc", "-----END RSA PRIVATE KEY-----", "after")
    cleaned = Cleaning().log(ContainerLog(pod="p", container="c", previous=False, lines=lines))
    assert cleaned.lines == ("before", "[REDACTED:private-key]", "after")


def test_an_events_message_is_cleaned() -> None:
    event = EventLine(object="web", type="Warning", reason="Failed", message="for jane.doe@bank.example")
    assert Cleaning().event(event).message == "for [REDACTED:email]"


def test_a_long_text_of_an_object_is_bounded() -> None:
    assert Cleaning().object({"message": "x" * 9_000}) == {"message": "x" * 2_000}


@given(JSON)
def test_no_object_makes_it_stumble_and_a_second_pass_changes_nothing_more(told: Any) -> None:
    once = Cleaning().object({"told": told})
    again = Cleaning()
    assert again.object(once) == once
