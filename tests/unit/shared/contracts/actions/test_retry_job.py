"""retry-job: a Job that failed for good is run again as a new one, under a name that derives from the command."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.contracts.actions import RetryJobRung
from shared.contracts.actions.base import Done
from shared.contracts.actions.retry_job import RetryJob
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Create
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import event, pod
from tests.unit.shared.contracts.actions.conversation import WEB, Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.nodes import MARKS
from tests.unit.shared.contracts.actions.objects import PROTECTION

JOBS = "/apis/batch/v1/namespaces/bank/jobs"
REPORT = f"{JOBS}/report"
CRON = "/apis/batch/v1/namespaces/bank/cronjobs/nightly"
OF_JOB = WorkloadRef(kind="Job", namespace="bank", name="report")
OF_CRON = WorkloadRef(kind="CronJob", namespace="bank", name="nightly")
ACTION = RetryJob(job="report", uid="j")
OWN = {"controller-uid": "j", "batch.kubernetes.io/controller-uid": "j", "job-name": "report"}
RETRIES = "sre-agent.dev/retries"


def job(name: str = "report", *, ended: str = "Failed", **metadata: Any) -> Any:
    """Return a Job as the API server holds it."""
    usual = {"name": name, "uid": "j" if name == "report" else name, "labels": {"team": "bank", **OWN}}
    return {
        "metadata": usual | metadata,
        "spec": {
            "backoffLimit": 2,
            "suspend": True,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "j"}},
            "template": {
                "metadata": {"labels": {"app": "report", **OWN}, "annotations": {"kept": "yes"}},
                "spec": {"restartPolicy": "Never", "serviceAccountName": "reports"},
            },
        },
        "status": {"conditions": [{"type": ended, "status": "True"}] if ended else []},
    }


def owned(**metadata: Any) -> Any:
    return job(ownerReferences=[{"kind": "CronJob", "name": "nightly", "controller": True}], **metadata)


def cron(**spec: Any) -> Any:
    return {"metadata": {"name": "nightly"}, "spec": spec}


def created(server: Server) -> Any:
    (asked,) = server.written
    assert isinstance(asked, Create)
    return asked.body


def test_a_new_job_has_the_template_of_the_failed_one_and_nothing_that_was_its_own() -> None:
    server = Server({REPORT: job()})
    done = outcome(server, ACTION, order(workload=OF_JOB))
    body = created(server)
    assert done == Done((f"job report: run again as job {body['metadata']['name']}",))
    assert body["metadata"] == {
        "name": body["metadata"]["name"],
        "namespace": "bank",
        "labels": {"team": "bank"},
        "annotations": {**MARKS, RETRIES: "j"},
    }
    template = job()["spec"]["template"] | {"metadata": {"labels": {"app": "report"}, "annotations": {"kept": "yes"}}}
    assert body["spec"] == {"backoffLimit": 2, "suspend": False, "template": template}


def test_the_same_command_asks_for_the_same_name_and_another_for_another() -> None:
    names = {created_name("cmd-1"), created_name("cmd-1"), created_name("cmd-2")}
    assert len(names) == 2
    long = "r" * 60 + ".-x"
    server = Server({f"{JOBS}/{long}": job(long)})
    of = WorkloadRef(kind="Job", namespace="bank", name=long)
    outcome(server, RetryJob(job=long), order(workload=of))
    assert len(created(server)["metadata"]["name"]) <= 63


def created_name(command: str) -> str:
    server = Server({REPORT: job()})
    outcome(server, ACTION, order(command, workload=OF_JOB))
    return created(server)["metadata"]["name"]


def test_it_has_happened_where_that_job_is_there_under_the_commands_mark() -> None:
    server = Server({REPORT: job()})
    asked = order(workload=OF_JOB)
    assert not has_happened(server, ACTION, asked)
    outcome(server, ACTION, asked)
    assert has_happened(Server(server.objects), ACTION, asked)
    assert not has_happened(Server(server.objects), ACTION, order("cmd-2", workload=OF_JOB))


def test_a_job_of_a_cron_job_is_run_again_where_two_may_run_at_once() -> None:
    for spec in ({}, {"concurrencyPolicy": "Allow", "suspend": False}):
        server = Server({REPORT: owned(), CRON: cron(**spec)})
        assert isinstance(outcome(server, ACTION, order(workload=OF_CRON)), Done)
        assert "ownerReferences" not in created(server)["metadata"]


def retry(*, ended: str) -> Mapping[str, Any]:
    """Return a Job that runs the failed one again."""
    return {f"{JOBS}/again": job("again", ended=ended, annotations={RETRIES: "j"})}


@pytest.mark.parametrize(
    ("objects", "workload", "refusal"),
    [
        ({}, OF_JOB, Refusal.TARGET_GONE),
        ({REPORT: job(uid="another")}, OF_JOB, Refusal.TARGET_REPLACED),
        ({REPORT: job(ended="")}, OF_JOB, Refusal.NOT_FAILED),
        ({REPORT: job(ended="Complete")}, OF_JOB, Refusal.NOT_FAILED),
        ({REPORT: job(annotations={RETRIES: "other"})}, OF_JOB, Refusal.ALREADY_RETRIED),
        ({REPORT: job(), **retry(ended="")}, OF_JOB, Refusal.ALREADY_RETRIED),
        ({REPORT: job(), **retry(ended="Complete")}, OF_JOB, Refusal.ALREADY_RETRIED),
        ({REPORT: labelled(job(), **PROTECTION)}, OF_JOB, Refusal.PROTECTED_OBJECT),
        ({REPORT: labelled(job(), tier="database")}, OF_JOB, Refusal.PROTECTED_OBJECT),
        ({REPORT: job()}, WorkloadRef(kind="Job", namespace="bank", name="other"), Refusal.NOT_OF_WORKLOAD),
        ({REPORT: job()}, OF_CRON, Refusal.NO_CONTROLLER),
        ({REPORT: job()}, WEB, Refusal.KIND_NOT_SUPPORTED),
        ({REPORT: owned(), CRON: cron(concurrencyPolicy="Forbid")}, OF_CRON, Refusal.CRON_JOB_FORBIDS),
        ({REPORT: owned(), CRON: cron(concurrencyPolicy="Replace")}, OF_CRON, Refusal.CRON_JOB_FORBIDS),
        ({REPORT: owned(), CRON: cron(suspend=True)}, OF_CRON, Refusal.CRON_JOB_FORBIDS),
        ({REPORT: owned(), CRON: labelled(cron(), **PROTECTION)}, OF_CRON, Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    objects: Mapping[str, Any], workload: WorkloadRef, refusal: Refusal
) -> None:
    server = Server(objects)
    assert (outcome(server, ACTION, order(workload=workload, tier="database")), server.written) == (refusal, [])


def test_a_job_whose_retry_failed_may_be_run_once_more() -> None:
    server = Server({REPORT: job(), **retry(ended="Failed")})
    assert isinstance(outcome(server, ACTION, order(workload=OF_JOB)), Done)


def test_a_step_takes_the_job_that_the_event_is_about() -> None:
    rung = RetryJobRung(action="retry-job")
    about = event(kind="Job", uid="j")
    assert rung.aimed(about) == RetryJob(job=about.object.name, uid="j")
    assert rung.aimed(pod(workload=OF_JOB)) == RetryJob(job="report")
    assert rung.aimed(pod()) is Reason.TARGET_UNSUITABLE
    assert ACTION.target(OF_CRON) == OF_JOB
