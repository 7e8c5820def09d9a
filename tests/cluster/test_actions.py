"""The remediator's actions with its own account on a real API server: carried out, previewed, or refused by name."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import Action, PauseRollout, RestartPod, ResumeRollout, Rollback
from shared.contracts.actions.base import Done
from shared.contracts.model import JsonObject
from shared.contracts.objects import condition
from shared.contracts.refusals import Refusal
from shared.infra.kube import KubeClient
from tests.cluster.accounts import apply
from tests.cluster.bank import BROKEN_IMAGE, MEBIBYTE, MORE_MEMORY, SOUND_IMAGE, Bank, command, restart_of
from tests.cluster.leading import TOKEN_NOW, led, live, preview
from tests.cluster.objects import BANK, KINDS, PROTECTED, TOKEN, running, waiting_pod
from tests.contracts.cluster.backend import until

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("kind", [*KINDS, "Job"])
async def test_a_pod_is_evicted_and_its_controller_replaces_it(kind: str, bank: Bank, actor: Actor) -> None:
    document = bank.run(kind, "restarted")
    before = bank.pods("restarted")[0]
    ordered = command(document, restart_of(before))
    done = await live(actor, ordered)
    assert isinstance(done, Done)
    until(
        lambda: (
            bank.is_running("restarted") and bank.pods("restarted")[0]["metadata"]["uid"] != before["metadata"]["uid"]
        )
    )
    assert await actor.has_happened(ordered)


async def test_a_pod_with_data_in_an_emptydir_is_restarted_where_a_person_wants_it_alone(
    bank: Bank, actor: Actor
) -> None:
    document = running("books", kind="StatefulSet")
    document["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    bank.lay(document)
    until(lambda: bank.is_running("books"))
    before = bank.pods("books")[0]
    ordered = command(document, restart_of(before))
    refused = await live(actor, ordered)
    assert isinstance(refused, Refused), refused
    assert refused.refusal is Refusal.DATA_ON_EMPTYDIR
    foretold = await preview(actor, ordered)
    assert isinstance(foretold, Done)
    assert foretold.changes[-1].endswith("live only with a person's approval")
    assert [one["metadata"]["uid"] for one in bank.pods("books")] == [before["metadata"]["uid"]]
    approved = await live(actor, ordered.model_copy(update={"approved_by": "ann"}))
    assert isinstance(approved, Done)
    assert foretold.changes[:-1] == approved.changes


async def test_a_pod_of_a_cron_job_is_known_by_the_job_between(bank: Bank, actor: Actor) -> None:
    cron = bank.run_cron_job("nightly")
    pod = bank.pods("nightly-1")[0]
    assert isinstance(await live(actor, command(cron, restart_of(pod))), Done)
    until(lambda: all(one["metadata"]["uid"] != pod["metadata"]["uid"] for one in bank.pods("nightly-1")))


async def test_a_previewed_restart_neither_marks_nor_moves_the_pod(bank: Bank, actor: Actor) -> None:
    document = bank.run("Deployment", "restarted")
    before = bank.pods("restarted")[0]
    assert isinstance(await preview(actor, command(document, restart_of(before))), Done)
    after = bank.pods("restarted")[0]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "annotations" not in after["metadata"]


@pytest.mark.parametrize("kind", KINDS)
async def test_memory_is_set_under_the_mark_of_the_command(kind: str, bank: Bank, actor: Actor) -> None:
    document = bank.run(kind, "grown")
    ordered = command(document, MORE_MEMORY)
    done = await live(actor, ordered)
    assert isinstance(done, Done)
    assert done.changes == ("container server: limits.memory: 64Mi → 128Mi",)
    assert (bank.limit(document), bank.marks(document)) == ("128Mi", (ordered.id, "7"))
    assert await actor.has_happened(ordered)
    until(lambda: bank.is_running("grown") and limit_of(bank.pods("grown")[0]) == "128Mi")


@pytest.mark.parametrize("kind", KINDS)
async def test_memory_is_set_back_by_the_inverse_under_a_mark_of_its_own(kind: str, bank: Bank, actor: Actor) -> None:
    document = bank.run(kind, "shrunk")
    assert isinstance(await live(actor, command(document, MORE_MEMORY)), Done)
    back = {"from_bytes": MORE_MEMORY.to_bytes, "to_bytes": MORE_MEMORY.from_bytes}
    undo = command(document, MORE_MEMORY.model_copy(update=back))
    done = await live(actor, undo)
    assert isinstance(done, Done)
    assert done.changes == ("container server: limits.memory: 128Mi → 64Mi",)
    assert (bank.limit(document), bank.marks(document)) == ("64Mi", (undo.id, "7"))


def limit_of(pod: Any) -> str:
    return pod["spec"]["containers"][0]["resources"]["limits"]["memory"]


@pytest.mark.parametrize("kind", KINDS)
async def test_previewed_memory_is_not_set(kind: str, bank: Bank, actor: Actor) -> None:
    document = bank.run(kind, "grown")
    ordered = command(document, MORE_MEMORY)
    done = await preview(actor, ordered)
    assert isinstance(done, Done)
    assert done.changes == ("container server: limits.memory: 64Mi → 128Mi",)
    assert (bank.limit(document), bank.marks(document)) == ("64Mi", (None, None))
    assert not await actor.has_happened(ordered)


async def test_a_rollback_brings_back_the_template_before(bank: Bank, actor: Actor) -> None:
    document = bank.release(bank.run("Deployment", "rolled"))
    ordered = command(document, Rollback())
    assert isinstance(await live(actor, ordered), Done)
    assert (bank.image(document), bank.marks(document)) == (SOUND_IMAGE, (ordered.id, "7"))
    until(lambda: bank.is_running("rolled"))


async def test_a_previewed_rollback_leaves_the_template(bank: Bank, actor: Actor) -> None:
    document = bank.release(bank.run("Deployment", "rolled"))
    done = await preview(actor, command(document, Rollback()))
    assert isinstance(done, Done)
    assert f"container server: image: {BROKEN_IMAGE} → {SOUND_IMAGE}" in done.changes
    assert (bank.image(document), bank.marks(document)) == (BROKEN_IMAGE, (None, None))


@pytest.mark.parametrize("is_anew", [False, True])
async def test_a_pause_is_taken_back_unless_a_person_made_it_anew(is_anew: bool, bank: Bank, actor: Actor) -> None:
    document = bank.run("Deployment", "paused")
    ordered = command(document, PauseRollout())
    assert isinstance(await live(actor, ordered), Done)
    for paused in (False, True) if is_anew else ():
        bank.patch(document, {"spec": {"paused": paused}})
    undo = command(document, ResumeRollout()).model_copy(update={"reverts": ordered.id})
    answer = await live(actor, undo)
    assert (answer.refusal if isinstance(answer, Refused) else None) == (Refusal.NOT_OURS if is_anew else None)
    assert bank.read(document)["spec"].get("paused", False) is is_anew


def gone_pod(bank: Bank) -> tuple[Any, Action]:
    return running("web"), RestartPod(pod="gone", uid="any")


def gone_workload(bank: Bank) -> tuple[Any, Action]:
    return running("gone"), MORE_MEMORY


def replaced_pod(bank: Bank) -> tuple[Any, Action]:
    pod = bank.lay(waiting_pod("alone"))
    return running("web"), RestartPod(pod=pod["metadata"]["name"], uid="another")


def bare_pod(bank: Bank) -> tuple[Any, Action]:
    return running("web"), restart_of(bank.read(bank.lay(waiting_pod("alone"))))


def pod_of_another(bank: Bank) -> tuple[Any, Action]:
    bank.run("Deployment", "other")
    return running("web"), restart_of(bank.pods("other")[0])


def budgeted(bank: Bank) -> tuple[Any, Action]:
    document = bank.run("Deployment", "web")
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": BANK},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    bank.lay(budget)
    until(lambda: bank.read(budget).get("status", {}).get("expectedPods") == 1)
    return document, restart_of(bank.pods("web")[0])


def memory_of_a_job(bank: Bank) -> tuple[Any, Action]:
    return bank.run("Job", "once"), MORE_MEMORY


def rollback_of_a_stateful_set(bank: Bank) -> tuple[Any, Action]:
    return bank.run("StatefulSet", "web"), Rollback()


def unknown_container(bank: Bank) -> tuple[Any, Action]:
    return bank.run("Deployment", "web"), MORE_MEMORY.model_copy(update={"container": "other"})


def other_limit(bank: Bank) -> tuple[Any, Action]:
    return bank.run("Deployment", "web"), MORE_MEMORY.model_copy(update={"from_bytes": 1})


def other_template(bank: Bank) -> tuple[Any, Action]:
    return bank.run("Deployment", "web"), Rollback(from_template_hash="other")


def only_revision(bank: Bank) -> tuple[Any, Action]:
    return bank.run("Deployment", "web"), Rollback()


def finished_rollout(bank: Bank) -> tuple[Any, Action]:
    document = bank.run("Deployment", "web")
    document["spec"]["template"]["metadata"]["annotations"] = {"release": "2"}
    apply(bank.admin, document)
    until(lambda: is_rolled_out(bank.read(document), revision="2"))
    return document, Rollback(unfinished=True)


def is_rolled_out(deployment: Any, *, revision: str) -> bool:
    at_revision = deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == revision
    is_through = condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"
    return at_revision and is_through and deployment["status"]["replicas"] == deployment["status"]["updatedReplicas"]


def protected_pod(bank: Bank) -> tuple[Any, Action]:
    document = bank.run("Deployment", "web")
    pod = bank.pods("web")[0]
    bank.patch(waiting_pod(pod["metadata"]["name"]), {"metadata": {"labels": PROTECTED}})
    return document, restart_of(pod)


def protected_workload(bank: Bank) -> Any:
    document = bank.run("Deployment", "web")
    bank.patch(document, {"metadata": {"labels": PROTECTED}})
    return document


def pod_of_a_protected_workload(bank: Bank) -> tuple[Any, Action]:
    return protected_workload(bank), restart_of(bank.pods("web")[0])


def memory_of_a_protected_workload(bank: Bank) -> tuple[Any, Action]:
    return protected_workload(bank), MORE_MEMORY


def rollback_of_a_protected_workload(bank: Bank) -> tuple[Any, Action]:
    return bank.release(protected_workload(bank)), Rollback()


def protected_template(bank: Bank) -> tuple[Any, Action]:
    document = running("web")
    document["spec"]["template"]["metadata"]["labels"] |= PROTECTED
    return bank.lay(document), MORE_MEMORY


def unbound_namespace(bank: Bank) -> tuple[Any, Action]:
    return running("web", namespace="default"), MORE_MEMORY


def memory_of_what_an_operator_made(bank: Bank) -> tuple[Any, Action]:
    document = bank.run("StatefulSet", "web")
    owner = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "ledger", "uid": "c", "controller": True}
    bank.patch(document, {"metadata": {"ownerReferences": [owner]}})
    return document, MORE_MEMORY


def later_token(bank: Bank) -> tuple[Any, Action]:
    document = bank.run("Deployment", "web")
    bank.patch(document, {"metadata": {"annotations": {TOKEN: "8"}}})
    return document, MORE_MEMORY


def no_such_quantity(bank: Bank) -> tuple[Any, Action]:
    return bank.run("Deployment", "web"), MORE_MEMORY.model_copy(update={"to_bytes": -MEBIBYTE})


@pytest.mark.parametrize(
    ("arrange", "refusal"),
    [
        (gone_pod, Refusal.TARGET_GONE),
        (gone_workload, Refusal.TARGET_GONE),
        (replaced_pod, Refusal.TARGET_REPLACED),
        (bare_pod, Refusal.NO_CONTROLLER),
        (pod_of_another, Refusal.NOT_OF_WORKLOAD),
        (budgeted, Refusal.DISRUPTION_BUDGET),
        (memory_of_a_job, Refusal.KIND_NOT_SUPPORTED),
        (rollback_of_a_stateful_set, Refusal.KIND_NOT_SUPPORTED),
        (unknown_container, Refusal.CONTAINER_UNKNOWN),
        (other_limit, Refusal.CHANGED_MEANWHILE),
        (other_template, Refusal.CHANGED_MEANWHILE),
        (only_revision, Refusal.NO_EARLIER_REVISION),
        (finished_rollout, Refusal.ROLLED_OUT),
        (protected_pod, Refusal.PROTECTED_OBJECT),
        (pod_of_a_protected_workload, Refusal.PROTECTED_OBJECT),
        (memory_of_a_protected_workload, Refusal.PROTECTED_OBJECT),
        (rollback_of_a_protected_workload, Refusal.PROTECTED_OBJECT),
        (protected_template, Refusal.PROTECTED_OBJECT),
        (unbound_namespace, Refusal.FORBIDDEN),
        (later_token, Refusal.FORBIDDEN),
        (memory_of_what_an_operator_made, Refusal.OWNED_BY_OTHER),
        (no_such_quantity, Refusal.REJECTED),
    ],
)
async def test_a_broken_precondition_is_refused_by_its_name_and_nothing_changes(
    arrange: Callable[[Bank], tuple[Any, Action]], refusal: Refusal, bank: Bank, actor: Actor
) -> None:
    document, action = arrange(bank)
    before = state(bank, document, action)
    for act in (preview, live):
        answer = await act(actor, command(document, action))
        assert isinstance(answer, Refused), answer
        assert answer.refusal is refusal, answer
    assert state(bank, document, action) == before


def state(bank: Bank, document: Any, action: Action) -> tuple[Any, ...]:
    """Return what an action could change: the workload's template and marks, and whether the pod is there and stays.

    The pod's own mark is written before the eviction, so it may be there without one.
    """
    metadata = bank.read(document).get("metadata", {})
    marks = {name: value for name, value in metadata.get("annotations", {}).items() if name.startswith("sre-agent.dev")}
    pods = bank.read(waiting_pod(action.pod))["metadata"] if isinstance(action, RestartPod) else {}
    return metadata.get("generation"), marks, pods.get("uid"), pods.get("deletionTimestamp")


async def test_the_api_servers_own_word_is_handed_on(bank: Bank, actor: Actor) -> None:
    document, action = later_token(bank)
    answer = await live(actor, command(document, action))
    assert isinstance(answer, Refused)
    assert "may not go back" in answer.message


class Meddled(KubeClient):
    """A client between whose reading and writing somebody else writes."""

    meddle: Callable[[], None]

    async def get(self, path: str, **query: str) -> JsonObject:
        found = await super().get(path, **query)
        self.meddle()
        return found


@pytest.mark.parametrize("action", [MORE_MEMORY, Rollback()])
async def test_a_workload_that_changes_whenever_it_was_read_is_left_alone(
    action: Action, bank: Bank, kubeconfigs: dict[str, Path]
) -> None:
    document = bank.release(bank.run("Deployment", "web"))
    numbers = count()
    async with Meddled(kubeconfigs["remediator"]) as opened:
        opened.meddle = lambda: bank.patch(document, {"metadata": {"labels": {"seen": str(next(numbers))}}})
        answer = await live(Actor(led(opened, token=TOKEN_NOW)), command(document, action))
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.CHANGED_MEANWHILE
    assert bank.marks(document) == (None, None)


@pytest.mark.parametrize("action", [MORE_MEMORY, Rollback()])
async def test_a_workload_that_changed_once_is_read_and_judged_again(
    action: Action, bank: Bank, kubeconfigs: dict[str, Path]
) -> None:
    document = bank.release(bank.run("Deployment", "web"))
    ordered = command(document, action)
    async with Meddled(kubeconfigs["remediator"]) as opened:
        opened.meddle = lambda: bank.patch(document, {"metadata": {"labels": {"seen": "once"}}})
        answer = await live(Actor(led(opened, token=TOKEN_NOW)), ordered)
    assert isinstance(answer, Done)
    assert bank.marks(document) == (ordered.id, "7")


async def test_a_pod_that_is_protected_after_it_was_read_is_not_evicted(
    bank: Bank, kubeconfigs: dict[str, Path]
) -> None:
    document = bank.run("Deployment", "web")
    pod = bank.pods("web")[0]
    async with Meddled(kubeconfigs["remediator"]) as opened:
        opened.meddle = lambda: bank.patch(waiting_pod(pod["metadata"]["name"]), {"metadata": {"labels": PROTECTED}})
        answer = await live(Actor(led(opened, token=TOKEN_NOW)), command(document, restart_of(pod)))
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.PROTECTED_OBJECT
    assert [one["metadata"]["uid"] for one in bank.pods("web")] == [pod["metadata"]["uid"]]
