"""run-job: a Job from a CronJob's template, once for a command however often that is delivered."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.actions import RunJobRung
from shared.contracts.actions.base import Done, OvertakenError, RefusedError
from shared.contracts.actions.run_job import RunJob
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Create, Request
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import pod
from tests.unit.shared.contracts.actions.conversation import (
    WEB,
    Server,
    has_happened,
    labelled,
    order,
    outcome,
    refused,
)
from tests.unit.shared.contracts.actions.nodes import MARKS
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, PROTECTION, deployment

JOBS = "/apis/batch/v1/namespaces/bank/jobs"
CRON = "/apis/batch/v1/namespaces/bank/cronjobs/reindex"
SPACE = "/api/v1/namespaces/bank"
ACTION = RunJob(cronjob="reindex", at_most_seconds=600)
STOP = {"sre-agent.dev/pause": "ann"}
OF = "sre-agent.dev/cronjob"
HELD: Any = {"suspend": True, "concurrencyPolicy": "Forbid"}
TEMPLATE = {
    "metadata": {"labels": {"app": "reindex"}, "annotations": {"kept": "yes"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "tools:1"}]},
}


def cron(*, template: Mapping[str, Any] | None = None, job: Any = None, meta: Any = None, **spec: Any) -> Any:
    """Return a suspended CronJob, as the API server holds it; `job` is the metadata of its Jobs."""
    inner = {"activeDeadlineSeconds": 300, "backoffLimit": 2, "template": TEMPLATE} | dict(template or {})
    told = {"metadata": job or {"labels": {"team": "bank"}, "annotations": {"queue": "a"}}, "spec": inner}
    usual: Any = {"name": "reindex", "uid": "c", "resourceVersion": "3"}
    metadata = usual | (meta or {})
    return {"metadata": metadata, "spec": {"schedule": "@yearly", "suspend": True, "jobTemplate": told} | spec}


def world(template: Any = None, **more: Any) -> dict[str, Any]:
    """Return a namespace with a workload and a template, and what else lies there by its path."""
    return {DEPLOYMENT: deployment(), SPACE: {"metadata": {"name": "bank"}}, CRON: template or cron()} | more


def job(name: str = "other", *, ended: str = "", owner: str = "", **metadata: Any) -> dict[str, Any]:
    """Return a Job that runs, or has ended, under its path."""
    owners = [{"kind": "CronJob", "name": "reindex", "uid": owner}] if owner else []
    status = {"conditions": [{"type": ended, "status": "True"}] if ended else []}
    found = {"metadata": {"name": name, "uid": name, "ownerReferences": owners} | metadata, "status": status}
    return {f"{JOBS}/{name}": found}


def created(server: Server) -> Any:
    (asked,) = server.written
    assert isinstance(asked, Create)
    assert asked.path == JOBS
    return asked.body


def test_a_job_has_the_template_of_the_cron_job_and_no_owner() -> None:
    server = Server(world())
    done = outcome(server, ACTION)
    body = created(server)
    name = body["metadata"]["name"]
    assert done == Done((f"cronjob reindex: run as job {name}",))
    assert body["metadata"] == {
        "name": name,
        "namespace": "bank",
        "labels": {"team": "bank"},
        "annotations": {**MARKS, OF: "reindex", "cronjob.kubernetes.io/instantiate": "manual"},
    }
    kept = {"ttlSecondsAfterFinished": 86400}
    assert body["spec"] == {"activeDeadlineSeconds": 300, "backoffLimit": 2, "template": TEMPLATE} | kept


def test_a_template_that_says_when_its_jobs_go_is_left_to_it() -> None:
    server = Server(world(cron(template={"ttlSecondsAfterFinished": 60})))
    outcome(server, ACTION)
    assert created(server)["spec"]["ttlSecondsAfterFinished"] == 60


@given(deliveries=st.lists(st.sampled_from(["cmd-1", "cmd-2"]), max_size=6))
def test_each_command_makes_one_job_however_often_it_is_delivered(deliveries: list[str]) -> None:
    server = Server(world())
    for one in deliveries:
        assert isinstance(outcome(server, ACTION, order(one)), Done)
        assert has_happened(server, ACTION, order(one))
    assert len(server.written) == len(set(deliveries))
    assert sum(path.startswith(JOBS) for path in server.objects) == len(set(deliveries))


def test_a_later_leader_finds_what_the_one_before_has_made() -> None:
    server = Server(world())
    outcome(server, ACTION)
    later = replace(order(), token=4)
    assert has_happened(server, ACTION, later)
    assert isinstance(outcome(server, ACTION, later), Done)
    assert len(server.written) == 1


@given(name=st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True), command=st.text(min_size=1, max_size=99))
def test_its_name_is_one_that_a_job_can_have(name: str, command: str) -> None:
    server = Server(world() | {CRON.replace("reindex", name): cron(meta={"name": name})})
    assert isinstance(outcome(server, RunJob(cronjob=name, at_most_seconds=600), order(command)), Done)
    assert len(created(server)["metadata"]["name"]) <= 63
    assert ".-" not in created(server)["metadata"]["name"]


def test_it_has_not_happened_where_the_job_of_that_name_lacks_the_commands_mark() -> None:
    server = Server(world())
    assert not has_happened(server, ACTION)
    outcome(server, ACTION)
    name = created(server)["metadata"]["name"]
    theirs = Server(world() | job(name))
    assert not has_happened(theirs, ACTION)
    refusal, message = refused(theirs, ACTION)
    assert (refusal, name in message, theirs.written) == (Refusal.NOT_OURS, True, [])


def test_what_was_made_counts_although_its_template_is_gone_by_now() -> None:
    server = Server(world())
    outcome(server, ACTION)
    left = {path: one for path, one in server.objects.items() if path != CRON}
    again = Server(left)
    assert isinstance(outcome(again, ACTION), Done)
    assert again.written == []


def test_a_job_that_comes_between_is_read_anew() -> None:
    def taken(request: Request) -> RefusedError | None:
        return OvertakenError("there already") if isinstance(request, Create) else None

    with pytest.raises(OvertakenError):
        Server(world(), refuses=taken).converse(ACTION.course(order()))


GONE = {"deletionTimestamp": "2030-01-01T00:00:00Z"}
NO_TEMPLATE = {path: one for path, one in world().items() if path != CRON}
GUARDED = {"labels": PROTECTION}


@pytest.mark.parametrize(
    ("objects", "refusal"),
    [
        (NO_TEMPLATE, Refusal.TARGET_GONE),
        (world(cron(meta=GONE)), Refusal.TARGET_GONE),
        (world() | {DEPLOYMENT: labelled(deployment(), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        (world() | {SPACE: {"metadata": {"name": "bank", **GUARDED}}}, Refusal.PROTECTED_OBJECT),
        (world(labelled(cron(), **PROTECTION)), Refusal.PROTECTED_OBJECT),
        (world(labelled(cron(), tier="database")), Refusal.PROTECTED_OBJECT),
        (world(cron(job=GUARDED)), Refusal.PROTECTED_OBJECT),
        (world(cron(template={"template": {"metadata": GUARDED}})), Refusal.PROTECTED_OBJECT),
        (world() | {SPACE: {"metadata": {"name": "bank", "annotations": STOP}}}, Refusal.PAUSED),
        (world(cron(meta={"annotations": STOP})), Refusal.PAUSED),
        (world(cron(template={"activeDeadlineSeconds": None})), Refusal.TEMPLATE_UNBOUNDED),
        (world(cron(template={"activeDeadlineSeconds": 0})), Refusal.TEMPLATE_UNBOUNDED),
        (world(cron(template={"activeDeadlineSeconds": 601})), Refusal.TEMPLATE_UNBOUNDED),
        (world(cron(template={"backoffLimit": 7})), Refusal.TEMPLATE_UNBOUNDED),
        (world(cron(template={"backoffLimitPerIndex": 7})), Refusal.TEMPLATE_UNBOUNDED),
        (world(cron(concurrencyPolicy="Forbid", suspend=False)), Refusal.CRON_JOB_FORBIDS),
        (world(cron(concurrencyPolicy="Replace", suspend=False)), Refusal.CRON_JOB_FORBIDS),
        (world(cron(**HELD)) | job(owner="c"), Refusal.STILL_RUNS),
        (world(cron(**HELD)) | job(annotations={OF: "reindex"}), Refusal.STILL_RUNS),
        (world(cron(suspend=True, concurrencyPolicy="Replace")) | job(owner="c"), Refusal.STILL_RUNS),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    objects: Mapping[str, Any], refusal: Refusal
) -> None:
    server = Server(objects)
    assert (outcome(server, ACTION, order(tier="database")), server.written) == (refusal, [])


@pytest.mark.parametrize(
    "objects",
    [
        world(cron(template={"activeDeadlineSeconds": 600, "backoffLimit": 6})),
        world(cron(template={"backoffLimit": 2**31 - 1, "backoffLimitPerIndex": 1})),
        world(cron(suspend=False)) | job(owner="c"),
        world(cron(**HELD))
        | job(owner="c", ended="Complete")
        | job("two", annotations={OF: "reindex"}, ended="Failed"),
        world(cron(**HELD)) | job(owner="another") | job("two", annotations={OF: "backup"}),
    ],
)
def test_what_is_within_bounds_and_alone_where_it_must_be_is_run(objects: Mapping[str, Any]) -> None:
    assert isinstance(outcome(Server(objects), ACTION), Done)


def test_a_node_has_no_namespace_in_which_a_template_could_lie() -> None:
    node = WorkloadRef(kind="Node", namespace="cluster", name="n")
    assert outcome(Server(world()), ACTION, order(workload=node)) is Refusal.KIND_NOT_SUPPORTED


def test_nothing_undoes_it_and_its_target_is_the_template() -> None:
    assert ACTION.inverse() is None
    assert ACTION.target(WEB) == WorkloadRef(kind="CronJob", namespace="bank", name="reindex")


def test_a_step_names_the_template_and_how_long_it_may_run() -> None:
    rung = RunJobRung.model_validate({"action": "run-job", "cronjob": "reindex", "at_most": "10m"})
    assert rung.aimed(pod()) == ACTION
    assert (rung.at_most, list(rung.senseless())) == (timedelta(minutes=10), [])
    assert not rung.is_undone
    elsewhere = RunJobRung.model_validate({"action": "run-job", "cronjob": "a/../b"})
    assert [where for where, _ in elsewhere.senseless()] == ["cronjob"]
    with pytest.raises(ValidationError):
        RunJobRung.model_validate({"action": "run-job", "cronjob": "reindex", "at_most": "0s"})
