"""The judge of leaders: a clean round is clean, and each planted fault is found and named."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.inbox import Outcome, Result
from tests.cluster.audit import username
from tests.cluster.verdicts import Judgement, Kind, judged, writes_of
from tests.unit.services.remediator.build import command, result

COMMAND, TOKEN = "sre-agent.dev/command", "sre-agent.dev/token"


def entry(resource: str, *, token: int, body: Any = None, code: int = 200, name: str = "web", **more: Any) -> Any:
    kind, _, subresource = resource.partition("/")
    marks = {TOKEN: str(token)}
    return {
        "stage": "ResponseComplete",
        "stageTimestamp": "2030-01-01T00:00:00.000000Z",
        "verb": "patch",
        "requestURI": f"/apis/{resource}/{name}?fieldManager=us",
        "user": {"username": username("remediator")},
        "objectRef": {"resource": kind, "subresource": subresource, "namespace": "bank", "name": name},
        "requestObject": body if body is not None else {"metadata": {"annotations": marks}},
        "responseStatus": {"code": code},
        **more,
    }


def register(token: int, **more: Any) -> Any:
    return entry("leases", token=token, name="sre-agent-remediator", **more)


def change(of: str, *, token: int, **more: Any) -> Any:
    body = {"metadata": {"annotations": {TOKEN: str(token), COMMAND: of}}}
    return entry("deployments", token=token, body=body, **more)


def mark(of: str, *, token: int, pod: str = "web-1", **more: Any) -> Any:
    body = {"metadata": {"annotations": {TOKEN: str(token), COMMAND: of}}}
    return entry("pods", token=token, body=body, name=pod, **more)


def eviction(*, token: int, pod: str = "web-1", code: int = 201) -> Any:
    return entry("pods/eviction", token=token, verb="create", name=pod, code=code)


def told(name: str, outcome: Outcome = Outcome.APPLIED, **more: Any) -> Result:
    return result(command(name), outcome=outcome, **more)


def verdict(*entries: Any, results: Sequence[Result], ordered: Sequence[str] = ("a", "b")) -> Judgement:
    return judged(ordered, writes_of(entries), results)


BOTH = (told("a"), told("b"))


def test_two_leaders_of_which_each_carries_out_what_is_its_own_are_clean() -> None:
    entries = [register(1), change("a", token=1), register(2), mark("b", token=2), eviction(token=2)]
    assert verdict(*entries, results=BOTH) == Judgement([], [], [])


def test_a_write_of_a_leader_that_was_followed_is_stale_where_it_was_let_through() -> None:
    found = verdict(register(1), register(2), change("b", token=2), change("a", token=1), results=BOTH)
    assert len(found.stale) == 1
    assert found.violations == found.stale
    assert found.violations[0].startswith("stale: ")
    assert "token 1" in found.violations[0]


def test_an_eviction_of_a_leader_that_was_followed_is_stale_although_it_says_no_command() -> None:
    entries = [mark("b", token=1), change("a", token=2), eviction(token=1)]
    assert "for b" in verdict(*entries, results=BOTH).stale[0]


def test_a_write_of_a_leader_that_was_followed_is_no_effect_where_it_was_refused() -> None:
    entries = [change("b", token=2), change("a", token=1, code=403), change("a", token=2)]
    found = verdict(*entries, results=BOTH)
    assert (found.stale, found.violations, len(found.denied)) == ([], [], 1)


def test_until_the_next_leader_has_written_a_write_of_the_one_before_is_not_stale() -> None:
    entries = [register(1), register(2), change("a", token=1), change("b", token=2)]
    assert verdict(*entries, results=BOTH).violations == []


def test_a_write_that_was_refused_makes_nobody_stale() -> None:
    assert verdict(change("b", token=2, code=409), change("a", token=1), change("b", token=2), results=BOTH).stale == []


@pytest.mark.parametrize("second", [1, 2], ids=["by the same leader", "by the next"])
def test_a_command_that_was_carried_out_twice_is_found(second: int) -> None:
    found = verdict(change("a", token=1), change("a", token=second), change("b", token=2), results=BOTH)
    assert any("a was carried out 2 times" in one for one in found.violations)


def test_a_pod_that_was_evicted_twice_for_a_command_is_found() -> None:
    entries = [mark("b", token=1), eviction(token=1), mark("b", token=2), eviction(token=2), change("a", token=2)]
    assert any("b was carried out 2 times" in one for one in verdict(*entries, results=BOTH).violations)


def test_a_pod_is_marked_anew_by_the_next_leader_and_by_the_same_one_it_is_not() -> None:
    anew = [change("a", token=1), mark("b", token=1), mark("b", token=2), eviction(token=2)]
    assert verdict(*anew, results=BOTH).violations == []
    again = [change("a", token=1), mark("b", token=1), mark("b", token=1), eviction(token=1)]
    assert any("written 2 times" in one for one in verdict(*again, results=BOTH).violations)


def test_a_command_that_was_lost_is_found() -> None:
    found = verdict(change("a", token=1), results=[told("a")])
    assert found.violations == ["b has 0 results: []"]


def test_a_command_that_is_told_as_applied_and_was_not_carried_out_is_found() -> None:
    found = verdict(change("a", token=1), change("b", token=1, code=403), results=BOTH)
    assert found.violations == ["b was carried out 0 times, and told as applied"]


def test_a_command_that_is_told_as_refused_and_was_carried_out_is_found() -> None:
    results = [told("a"), told("b", Outcome.REFUSED, reason="expired")]
    found = verdict(change("a", token=1), change("b", token=1), results=results)
    assert found.violations == ["b was carried out 1 times, and told as refused"]


def test_one_result_told_again_word_by_word_is_one_and_another_is_a_second() -> None:
    entries = [change("a", token=1), change("b", token=1)]
    assert verdict(*entries, results=[*BOTH, told("b")]).violations == []
    assert verdict(*entries, results=[*BOTH, told("b", token=2)]).violations[0].startswith("b has 2 results")


def test_a_register_that_does_not_rise_is_found() -> None:
    entries = [register(2), register(2), change("a", token=2), change("b", token=2)]
    assert verdict(*entries, results=BOTH).violations[0].startswith("the register did not rise above 2")
    refused = [register(2), register(2, code=409), change("a", token=2), change("b", token=2)]
    assert verdict(*refused, results=BOTH).violations == []


def test_a_write_that_nobody_ordered_is_found() -> None:
    found = verdict(change("a", token=1), change("b", token=1), change("c", token=1), results=BOTH)
    assert found.violations[0].startswith("nobody ordered it")


def test_what_is_read_previewed_told_as_an_event_or_written_by_others_is_no_write() -> None:
    entries = [
        change("a", token=1, verb="get"),
        change("a", token=1, requestURI="/apis/deployments/web?dryRun=All"),
        entry("events", token=0, verb="create"),
        change("a", token=1, user={"username": "admin"}),
        change("a", token=1, stage="Panic"),
    ]
    assert writes_of(entries) == []


def test_the_marks_of_a_json_patch_are_read() -> None:
    body: list[dict[str, Any]] = [
        {"op": "replace", "path": "/spec/template", "value": {}},
        {"op": "add", "path": "/metadata/annotations/sre-agent.dev~1token", "value": "7"},
        {"op": "add", "path": "/metadata/annotations/sre-agent.dev~1command", "value": "a"},
    ]
    [write] = writes_of([entry("deployments", token=0, body=body)])
    assert (write.kind, write.token, write.command) == (Kind.CHANGE, 7, "a")


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans())))
def test_a_write_is_stale_exactly_where_a_higher_token_was_let_through_before(tokens: list[tuple[int, bool]]) -> None:
    entries = [change("a", token=token, code=200 if let else 403) for token, let in tokens]
    found = verdict(*entries, results=BOTH)
    accepted = [token for token, let in tokens if let]
    stale = [token for place, token in enumerate(accepted) if any(one > token for one in accepted[:place])]
    assert len(found.stale) == len(stale)
