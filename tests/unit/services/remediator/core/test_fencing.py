"""What a leader's write must say of itself, and what the register of tokens says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.fencing import Reading, flaw_of, raised, reading_of, with_token
from shared.contracts.actions import RestartPod, Rollback, SetMemory
from shared.contracts.actions.base import ActionBase
from shared.contracts.actions.marks import COMMAND_ANNOTATION, TOKEN_ANNOTATION, marks_of
from shared.contracts.model import JsonObject
from shared.contracts.requests import Patch
from tests.unit.shared.contracts.actions.conversation import Server, outcome
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, POD, REPLICA_SETS, deployment, pod, replica_set

MARKS = marks_of("cmd-1", 7)


def merge(**metadata: Any) -> JsonObject:
    return {"metadata": {"resourceVersion": "5", "annotations": MARKS} | metadata}


@pytest.mark.parametrize(
    ("patch", "flaw"),
    [
        (merge(), None),
        (merge(resourceVersion="", uid="u"), None),
        (merge(resourceVersion=""), "neither the version nor the uid"),
        (merge(annotations=marks_of("cmd-1", 6)), "the token 7"),
        (merge(annotations={TOKEN_ANNOTATION: "7"}), "its command"),
        (merge(annotations={COMMAND_ANNOTATION: "cmd-1"}), "the token 7"),
        ({"metadata": None}, "the token 7"),
        ({"spec": {}}, "the token 7"),
        ([], "the token 7"),
        ("text", "the token 7"),
    ],
)
def test_a_patch_is_sent_with_its_marks_and_what_it_was_made_for_alone(patch: Any, flaw: str | None) -> None:
    assert flaw_of(patch, token=7) == flaw or (flaw is not None and flaw in (flaw_of(patch, token=7) or ""))


@pytest.mark.parametrize(
    "action",
    [
        RestartPod(pod="web-1", uid="p"),
        SetMemory(container="c0", from_bytes=128 << 20, to_bytes=256 << 20),
        Rollback(),
    ],
)
def test_the_changes_that_are_made_have_no_flaw(action: ActionBase) -> None:
    sets = {f"{REPLICA_SETS}/web-v{number}": replica_set(number, image=f"v{number}") for number in (1, 2)}
    server = Server({DEPLOYMENT: deployment(), POD: pod(), **sets})
    outcome(server, action)
    patches = [one for one in server.written if isinstance(one, Patch)]
    assert patches
    assert {flaw_of(one.body, token=3) for one in patches} == {None}
    assert None not in {flaw_of(one.body, token=8) for one in patches}


@pytest.mark.parametrize("told", ["", "seven", "-1", "1.0", "٣", "1" * 16, 7, None, ["7"]])
def test_what_is_no_token_is_not_taken_for_a_low_one(told: Any) -> None:
    register: Any = {"metadata": {"resourceVersion": "5", "annotations": {TOKEN_ANNOTATION: told}}}
    assert reading_of(register) == str(told)


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_what_a_register_was_raised_to_is_what_it_says(token: int) -> None:
    metadata: Any = raised(Reading(0, "5"), token=token, owner="one")["metadata"]
    assert reading_of({"metadata": metadata}) == Reading(token, "5")


def test_one_without_a_token_is_below_all() -> None:
    assert reading_of({"metadata": {"resourceVersion": "5"}}) == Reading(0, "5")


def test_what_is_created_keeps_its_own_annotations_beside_the_token() -> None:
    body: JsonObject = {"kind": "Eviction", "metadata": {"name": "web-1", "annotations": {"a": "b"}}}
    metadata = with_token(body, 7)["metadata"]
    assert metadata == {"name": "web-1", "annotations": {"a": "b", TOKEN_ANNOTATION: "7"}}
    assert with_token({}, 7) == {"metadata": {"annotations": {TOKEN_ANNOTATION: "7"}}}
