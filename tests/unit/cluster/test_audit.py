"""The reading of an audit log: what was used, what was refused, and lines that are not whole yet."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.rights import Right
from tests.cluster.audit import Access, AuditLog, access_of, forbidden, used, username

REMEDIATOR = username("remediator")


def event(*, verb: str = "get", resource: str = "pods", code: int = 200, allowed: bool = True, **more: Any) -> Any:
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "requestURI": f"/api/v1/namespaces/bank/{resource}?limit=1",
        "user": {"username": REMEDIATOR},
        "objectRef": {"resource": resource, "namespace": "bank", "apiVersion": "v1"},
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/decision": "allow" if allowed else "forbid"},
        **more,
    }


def log_of(path: Path, *events: Any) -> AuditLog:
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    return AuditLog(path)


def test_an_event_is_an_access_with_its_subresource_and_code() -> None:
    about = {"resource": "pods", "subresource": "eviction", "namespace": "bank", "apiVersion": "v1"}
    told = access_of(event(verb="create", objectRef=about, code=201))
    assert told == Access(REMEDIATOR, "create", "", "pods/eviction", "bank", 201, authorized=True)
    assert told.right == Right("", "pods/eviction", "create")


def test_a_group_is_that_of_the_resource() -> None:
    about = {"resource": "deployments", "apiGroup": "apps", "namespace": "bank"}
    assert access_of(event(objectRef=about)).right == Right("apps", "deployments", "get")


def test_what_is_no_resource_is_told_by_its_path_and_is_no_right() -> None:
    plain = event(requestURI="/version?timeout=1s")
    del plain["objectRef"]
    assert access_of(plain).resource == "/version"
    assert used([access_of(plain)], "remediator") == set()


def test_what_the_roles_let_through_is_used_also_where_a_policy_or_the_object_refused(tmp_path: Path) -> None:
    log = log_of(
        tmp_path / "log",
        event(code=200),
        event(verb="patch", code=403),
        event(verb="delete", code=403, allowed=False),
        event(resource="events", code=404),
        event(verb="list", user={"username": "admin"}),
    )
    accesses = log.accesses()
    assert used(accesses, "remediator") == {
        Right("", "pods", "get"),
        Right("", "pods", "patch"),
        Right("", "events", "get"),
    }
    assert {(one.verb, one.authorized) for one in forbidden(accesses, "remediator")} == {
        ("patch", True),
        ("delete", False),
    }


def test_only_whole_lines_of_finished_requests_since_a_position_are_read(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", event(verb="list"))
    since = log.end()
    with log.path.open("a") as writing:
        writing.write(json.dumps(event(verb="watch", stage="ResponseStarted")) + "\n")
        writing.write(json.dumps(event(verb="get")) + "\n")
        writing.write(json.dumps(event(verb="patch"))[:-5])
    assert {one.verb for one in log.accesses(since=since)} == {"get"}


def test_a_log_is_settled_when_it_tells_the_marker(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log")

    def ask(path: str) -> None:
        with log.path.open("a") as writing:
            writing.write(json.dumps(event(requestURI=path)) + "\n")

    log.settle(ask)
    assert len(log.accesses()) == 1


def test_a_log_that_does_not_tell_the_marker_is_named(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log")
    with pytest.raises(TimeoutError, match="does not tell"):
        log.settle(lambda _: None, within=timedelta())
