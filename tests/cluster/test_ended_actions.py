"""delete-pod and retry-job with the remediator's own account on a real API server."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import pytest

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import Action, DeletePod, RetryJob
from shared.contracts.actions.base import Done
from shared.contracts.refusals import Refusal
from tests.cluster.accounts import ask
from tests.cluster.bank import PODS, Bank, command, pod_of
from tests.cluster.jobs import has_failed, job, jobs
from tests.cluster.leading import live, preview
from tests.cluster.objects import BANK, PROTECTED, container, waiting_pod, workload
from tests.contracts.cluster.backend import until

pytestmark = pytest.mark.cluster
HELD = "example.com/held"


def deletion(pod: Any, *, force: bool = False) -> DeletePod:
    return DeletePod(pod=pod["metadata"]["name"], uid=pod["metadata"]["uid"], force=force)


def is_there(bank: Bank, pod: Any) -> bool:
    found = ask(bank.admin, "GET", f"{PODS}/{pod['metadata']['name']}")
    return found.status == 200 and found.body["metadata"]["uid"] == pod["metadata"]["uid"]


async def test_a_failed_pod_is_deleted(bank: Bank, actor: Actor) -> None:
    owner, pod = pod_of(bank)
    ordered = command(owner, deletion(pod))
    assert isinstance(await preview(actor, ordered), Done)
    assert is_there(bank, pod)
    assert not await actor.has_happened(ordered)
    assert isinstance(done := await live(actor, ordered), Done), done
    assert not is_there(bank, pod)
    assert await actor.has_happened(ordered)


async def test_a_pod_that_does_not_end_is_deleted_at_once_by_a_step_with_force(bank: Bank, actor: Actor) -> None:
    """A finalizer stands for the kubelet that is gone: the pod leaves when the deletion sets its grace to nothing."""
    owner, pod = pod_of(bank, phase="Running")
    bank.patch(waiting_pod("ended"), {"metadata": {"finalizers": [HELD]}})
    ask(bank.admin, "DELETE", f"{PODS}/ended")
    try:
        ordered = command(owner, deletion(pod, force=True))
        answer = await live(actor, ordered)
        assert isinstance(answer, Refused)
        assert answer.refusal is Refusal.NOT_STUCK
        later = ordered.model_copy(update={"id": f"{ordered.id}-later", "at": ordered.at.replace(year=2100)})
        assert isinstance(done := await live(actor, later), Done), done
        found = bank.read(waiting_pod("ended"))
        assert found["metadata"]["deletionGracePeriodSeconds"] == 0
        assert await actor.has_happened(later)
    finally:
        bank.patch(waiting_pod("ended"), {"metadata": {"finalizers": None}})


def running(bank: Bank) -> tuple[Any, Action]:
    owner, pod = pod_of(bank, phase="Running")
    return owner, deletion(pod, force=True)


def waiting(bank: Bank) -> tuple[Any, Action]:
    owner, pod = pod_of(bank, phase="Pending")
    return owner, deletion(pod)


def done(bank: Bank) -> tuple[Any, Action]:
    owner, pod = pod_of(bank, phase="Succeeded")
    return owner, deletion(pod)


def replaced(bank: Bank) -> tuple[Any, Action]:
    owner, _ = pod_of(bank)
    return owner, DeletePod(pod="ended", uid="another")


def gone(bank: Bank) -> tuple[Any, Action]:
    return bank.lay(workload("web")), DeletePod(pod="ended", uid="any")


def bare(bank: Bank) -> tuple[Any, Action]:
    owner, pod = pod_of(bank, ownerReferences=[])
    return owner, deletion(pod)


def guarded(bank: Bank) -> tuple[Any, Action]:
    owner, pod = pod_of(bank, labels=PROTECTED)
    return owner, deletion(pod)


def of_a_guarded_workload(bank: Bank) -> tuple[Any, Action]:
    owner, pod = pod_of(bank)
    bank.patch(owner, {"metadata": {"labels": PROTECTED}})
    return owner, deletion(pod)


@pytest.mark.parametrize(
    ("arrange", "refusal"),
    [
        (running, Refusal.NOT_FAILED),
        (waiting, Refusal.NOT_FAILED),
        (done, Refusal.NOT_FAILED),
        (replaced, Refusal.TARGET_REPLACED),
        (gone, Refusal.TARGET_GONE),
        (bare, Refusal.NO_CONTROLLER),
        (guarded, Refusal.PROTECTED_OBJECT),
        (of_a_guarded_workload, Refusal.PROTECTED_OBJECT),
    ],
)
async def test_a_pod_that_may_not_go_is_refused_by_its_name_and_stays(
    arrange: Callable[[Bank], tuple[Any, Action]], refusal: Refusal, bank: Bank, actor: Actor
) -> None:
    owner, action = arrange(bank)
    before = ask(bank.admin, "GET", f"{PODS}/ended").body.get("metadata", {})
    for act in (preview, live):
        answer = await act(actor, command(owner, action))
        assert isinstance(answer, Refused), answer
        assert answer.refusal is refusal, answer
    assert ask(bank.admin, "GET", f"{PODS}/ended").body.get("metadata", {}) == before


def failed(bank: Bank, name: str = "report", **metadata: Any) -> Any:
    """Return a Job that has failed."""
    document = bank.lay(job(name, **metadata))
    until(lambda: has_failed(bank.read(document)))
    return document


def retry(bank: Bank, document: Any) -> RetryJob:
    return RetryJob(job=document["metadata"]["name"], uid=bank.read(document)["metadata"]["uid"])


async def test_a_failed_job_is_run_again_as_a_new_one(clean: Bank, actor: Actor) -> None:
    document = failed(clean)
    ordered = command(document, retry(clean, document))
    assert isinstance(done := await preview(actor, ordered), Done), done
    assert jobs(clean) == ["report"]
    assert not await actor.has_happened(ordered)
    assert isinstance(done := await live(actor, ordered), Done), done
    assert await actor.has_happened(ordered)
    (name,) = set(jobs(clean)) - {"report"}
    again = clean.read({**document, "metadata": {"name": name, "namespace": BANK}})
    assert "ownerReferences" not in again["metadata"]
    assert again["metadata"]["labels"]["team"] == "bank"
    assert again["spec"]["template"]["spec"]["containers"][0]["image"] == container()["image"]
    until(lambda: len(clean.pods("again")) > 0 or has_failed(clean.read(again)))


async def test_a_job_of_a_cron_job_is_run_again(clean: Bank, actor: Actor) -> None:
    cron, owned = of_cron(clean)
    assert isinstance(done := await live(actor, command(cron, retry(clean, owned))), Done), done


def of_cron(bank: Bank, **spec: Any) -> tuple[Any, Any]:
    """Return a CronJob whose time does not come, and a failed Job of it."""
    template = job("any")["spec"]
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": BANK},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": template}, **spec},
    }
    uid = bank.read(bank.lay(cron))["metadata"]["uid"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": uid, "controller": True}
    return cron, failed(bank, "nightly-1", ownerReferences=[owner])


def still_running(bank: Bank) -> tuple[Any, Action]:
    document = job("report")
    del document["spec"]["activeDeadlineSeconds"]
    return bank.lay(document), retry(bank, document)


def another_job(bank: Bank) -> tuple[Any, Action]:
    return failed(bank), RetryJob(job="report", uid="another")


def no_job(bank: Bank) -> tuple[Any, Action]:
    return failed(bank), RetryJob(job="none")


def protected_job(bank: Bank) -> tuple[Any, Action]:
    document = failed(bank, labels=PROTECTED)
    return document, retry(bank, document)


def retried_job(bank: Bank) -> tuple[Any, Action]:
    document = failed(bank, annotations={"sre-agent.dev/retries": "uid"})
    return document, retry(bank, document)


def suspended(bank: Bank) -> tuple[Any, Action]:
    cron, owned = of_cron(bank, suspend=True)
    return cron, retry(bank, owned)


def one_at_a_time(bank: Bank) -> tuple[Any, Action]:
    cron, owned = of_cron(bank, concurrencyPolicy="Forbid")
    return cron, retry(bank, owned)


@pytest.mark.parametrize(
    ("arrange", "refusal"),
    [
        (still_running, Refusal.NOT_FAILED),
        (another_job, Refusal.TARGET_REPLACED),
        (no_job, Refusal.TARGET_GONE),
        (protected_job, Refusal.PROTECTED_OBJECT),
        (retried_job, Refusal.ALREADY_RETRIED),
        (suspended, Refusal.CRON_JOB_FORBIDS),
        (one_at_a_time, Refusal.CRON_JOB_FORBIDS),
    ],
)
async def test_a_job_that_may_not_run_again_is_refused_by_its_name(
    arrange: Callable[[Bank], tuple[Any, Action]], refusal: Refusal, clean: Bank, actor: Actor
) -> None:
    document, action = arrange(clean)
    before = jobs(clean)
    for act in (preview, live):
        answer = await act(actor, command(document, action))
        assert isinstance(answer, Refused), answer
        assert answer.refusal is refusal, answer
    assert jobs(clean) == before


async def test_a_job_of_another_account_is_the_api_servers_to_refuse(clean: Bank, actor: Actor) -> None:
    document = job("report")
    document["spec"]["template"]["spec"]["serviceAccountName"] = "reports"
    clean.lay(document)
    until(lambda: has_failed(clean.read(document)))
    answer = await live(actor, command(document, retry(clean, document)))
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.FORBIDDEN
    assert "default service account" in answer.message
