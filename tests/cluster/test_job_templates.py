"""run-job with the remediator's own account on a real API server, and what the policies hold of such a Job."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable, Generator
from typing import Any

import pytest
from kubernetes import client

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import RunJob
from shared.contracts.actions.base import Done
from shared.contracts.refusals import Refusal
from tests.cluster.accounts import apply, ask
from tests.cluster.bank import Bank, command
from tests.cluster.forbidden import FORBIDDEN_JOBS, TEMPLATES, Forbidden, denied_by
from tests.cluster.jobs import JOBS, has_failed, jobs, made_of, template
from tests.cluster.leading import live, preview
from tests.cluster.objects import PROTECTED, path_of, register, workload
from tests.contracts.cluster.backend import until

pytestmark = pytest.mark.cluster
ACTION = RunJob(cronjob="reindex", at_most_seconds=60)
STOP = {"sre-agent.dev/pause": "ann"}
Clients = dict[str, client.ApiClient]


def web_and(bank: Bank, cron: Any) -> Any:
    """Return a workload beside a template."""
    bank.lay(cron)
    return bank.lay(workload("web"))


async def test_a_job_is_run_from_the_template_once_however_often_the_command_comes(clean: Bank, actor: Actor) -> None:
    cron = template()
    ordered = command(web_and(clean, cron), ACTION)
    assert isinstance(done := await preview(actor, ordered), Done), done
    assert jobs(clean) == []
    assert not await actor.has_happened(ordered)
    for _ in range(2):
        assert isinstance(done := await live(actor, ordered), Done), done
    assert await actor.has_happened(ordered)
    (name,) = jobs(clean)
    made = ask(clean.admin, "GET", f"{JOBS}/{name}").body
    assert "ownerReferences" not in made["metadata"]
    assert made["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert (made["metadata"]["labels"]["team"], made["spec"]["activeDeadlineSeconds"]) == ("bank", 60)
    kept = clean.read(cron)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert made["spec"]["template"]["spec"] == kept
    until(lambda: len(clean.pods("again")) > 0)


async def test_its_deadline_ends_it(clean: Bank, actor: Actor) -> None:
    ordered = command(web_and(clean, template(job={"activeDeadlineSeconds": 1})), ACTION)
    assert isinstance(done := await live(actor, ordered), Done), done
    until(lambda: has_failed(ask(clean.admin, "GET", f"{JOBS}/{jobs(clean)[0]}").body))


async def test_two_commands_run_two_jobs_where_the_template_lets_them(clean: Bank, actor: Actor) -> None:
    document = web_and(clean, template())
    for _ in range(2):
        assert isinstance(done := await live(actor, command(document, ACTION)), Done), done
    assert len(jobs(clean)) == 2


async def test_two_commands_run_one_job_where_the_template_lets_no_two_run(clean: Bank, actor: Actor) -> None:
    document = web_and(clean, template(concurrencyPolicy="Forbid"))
    assert isinstance(done := await live(actor, command(document, ACTION)), Done), done
    answer = await live(actor, command(document, ACTION))
    assert (isinstance(answer, Refused), len(jobs(clean))) == (True, 1), answer
    assert answer.refusal is Refusal.STILL_RUNS


def no_template(bank: Bank) -> Any:
    return bank.lay(workload("web"))


def protected_workload(bank: Bank) -> Any:
    document = web_and(bank, template())
    bank.patch(document, {"metadata": {"labels": PROTECTED}})
    return document


def protected_template(bank: Bank) -> Any:
    cron = template()
    cron["metadata"]["labels"] = PROTECTED
    return web_and(bank, cron)


def protected_jobs(bank: Bank) -> Any:
    cron = template()
    cron["spec"]["jobTemplate"]["metadata"]["labels"] = PROTECTED
    return web_and(bank, cron)


def protected_pods(bank: Bank) -> Any:
    cron = template()
    cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"] |= PROTECTED
    return web_and(bank, cron)


def stopped(bank: Bank) -> Any:
    cron = template()
    cron["metadata"]["annotations"] = STOP
    return web_and(bank, cron)


def without_a_deadline(bank: Bank) -> Any:
    return web_and(bank, template(job={"activeDeadlineSeconds": None}))


def too_long(bank: Bank) -> Any:
    return web_and(bank, template(job={"activeDeadlineSeconds": 61}))


def too_often(bank: Bank) -> Any:
    return web_and(bank, template(job={"backoffLimit": 7}))


def with_a_schedule(bank: Bank) -> Any:
    return web_and(bank, template(suspend=False, concurrencyPolicy="Forbid"))


def run_by_hand(bank: Bank) -> Any:
    """Run one as `kubectl create job --from` does: with the CronJob as owner, and without our marks."""
    cron = template(concurrencyPolicy="Replace")
    document = web_and(bank, cron)
    made = made_of(cron)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "reindex", "uid": bank.read(cron)["metadata"]["uid"]}
    made["metadata"] |= {"ownerReferences": [owner], "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}}
    bank.lay(made)
    return document


@pytest.mark.parametrize(
    ("arrange", "refusal"),
    [
        (no_template, Refusal.TARGET_GONE),
        (protected_workload, Refusal.PROTECTED_OBJECT),
        (protected_template, Refusal.PROTECTED_OBJECT),
        (protected_jobs, Refusal.PROTECTED_OBJECT),
        (protected_pods, Refusal.PROTECTED_OBJECT),
        (stopped, Refusal.PAUSED),
        (without_a_deadline, Refusal.TEMPLATE_UNBOUNDED),
        (too_long, Refusal.TEMPLATE_UNBOUNDED),
        (too_often, Refusal.TEMPLATE_UNBOUNDED),
        (with_a_schedule, Refusal.CRON_JOB_FORBIDS),
        (run_by_hand, Refusal.STILL_RUNS),
    ],
)
async def test_a_template_that_may_not_be_run_is_refused_by_its_name(
    arrange: Callable[[Bank], Any], refusal: Refusal, clean: Bank, actor: Actor
) -> None:
    document = arrange(clean)
    before = jobs(clean)
    for act in (preview, live):
        answer = await act(actor, command(document, ACTION))
        assert isinstance(answer, Refused), answer
        assert answer.refusal is refusal, answer
    assert jobs(clean) == before


async def test_a_template_of_another_account_is_the_api_servers_to_refuse(clean: Bank, actor: Actor) -> None:
    answer = await live(actor, command(web_and(clean, template(pod={"serviceAccountName": "tools"})), ACTION))
    assert isinstance(answer, Refused)
    assert (answer.refusal, "default service account" in answer.message) == (Refusal.FORBIDDEN, True)


@pytest.fixture(scope="module")
def templates(admin: client.ApiClient, clients: Clients, rights_on_jobs: None) -> Generator[None]:
    """Lay the templates out, and return when the API server holds Jobs against the last of them."""
    apply(admin, register())
    for one in TEMPLATES:
        apply(admin, one)
    last = made_of(TEMPLATES[-1])
    until(lambda: ask(clients["remediator"], "POST", f"{JOBS}?dryRun=All", body=last).status == 403)
    yield
    for one in TEMPLATES:
        ask(admin, "DELETE", path_of(one))


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize("edit", FORBIDDEN_JOBS, ids=lambda one: one.words)
def test_a_job_that_must_not_be_is_denied_by_who_is_said_to(edit: Forbidden, clients: Clients) -> None:
    answer = ask(clients["remediator"], edit.method, edit.path, body=edit.body)
    assert (answer.status, denied_by(answer.message)) == (403, edit.by)


@pytest.mark.usefixtures("templates")
def test_what_the_template_says_may_be_run_and_what_names_none_that_is_there_is_held_like_any_job(
    clients: Clients,
) -> None:
    """A parameter that is missing denies nobody: that the CronJob is there, the policy cannot ask for."""
    for body in (made_of(TEMPLATES[0]), made_of(TEMPLATES[0], ttlSecondsAfterFinished=60), made_of(template("none"))):
        answer = ask(clients["remediator"], "POST", f"{JOBS}?dryRun=All", body=body)
        assert answer.status == 201, answer
    reaching = made_of(template("none", pod={"hostNetwork": True}))
    answer = ask(clients["remediator"], "POST", f"{JOBS}?dryRun=All", body=reaching)
    assert (answer.status, denied_by(answer.message)) == (403, "jobs")


def test_nobody_else_is_held_where_there_are_templates_and_where_there_are_none(
    bank: Bank, admin: client.ApiClient
) -> None:
    other = made_of(bank.lay(template()), activeDeadlineSeconds=6000, parallelism=5)
    assert ask(admin, "POST", f"{JOBS}?dryRun=All", body=other).status == 201
    other["metadata"]["namespace"] = "default"
    assert ask(admin, "POST", "/apis/batch/v1/namespaces/default/jobs?dryRun=All", body=other).status == 201
