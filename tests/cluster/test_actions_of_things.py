"""set-cpu, scale-hpa, expand-volume and restore-service with the remediator's own account on a real API server."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import Action, ExpandVolume, RestoreService, ScaleHpa, SetCpu
from shared.contracts.actions.base import Done
from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal
from tests.cluster.accounts import JSON_PATCH, ask
from tests.cluster.bank import Bank, command
from tests.cluster.leading import live, preview
from tests.cluster.objects import BANK, KINDS, PROTECTED, TOKEN, path_of, running, workload
from tests.cluster.things import FIXED, asked_of, autoscaler, bound, bounds_of, claim, service, user_of, with_status

pytestmark = pytest.mark.cluster
GIBIBYTE = 1 << 30
MORE_CPU = SetCpu(container="server", factor=2, cap_millis=150)
MORE_PODS = ScaleHpa(by=2, at_most=4)
MORE_ROOM = ExpandVolume(claim="books", factor=1.5, cap_bytes=4 * GIBIBYTE)
RESTORE = RestoreService(service="web")
KEDA = {"labels": {"scaledobject.keda.sh/name": "web"}}


def told(answer: Done | Refused) -> tuple[str, ...]:
    assert isinstance(answer, Done), answer
    return answer.changes


def undoing(document: Any, done: Command) -> Command:
    action = done.action.inverse()
    assert action is not None
    return command(document, action).model_copy(update={"reverts": done.id})


def with_cpu(bank: Bank, kind: str, **bounds: str) -> Any:
    document = running("busy", kind=kind)
    resources = {bound: {"cpu": quantity} for bound, quantity in bounds.items()}
    document["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    return bank.lay(document)


def resources_of(bank: Bank, document: Any) -> Any:
    return bank.read(document)["spec"]["template"]["spec"]["containers"][0]["resources"]


@pytest.mark.parametrize("kind", KINDS)
async def test_cpu_is_previewed_set_and_set_back(kind: str, bank: Bank, actor: Actor) -> None:
    document = with_cpu(bank, kind, limits="100m", requests="50m")
    before = resources_of(bank, document)
    ordered = command(document, MORE_CPU)
    lines = ("container server: limits.cpu: 100m → 150m", "container server: requests.cpu: 50m → 100m")
    assert told(await preview(actor, ordered)) == lines
    assert (resources_of(bank, document), bank.marks(document)) == (before, (None, None))
    assert told(await live(actor, ordered)) == lines
    assert resources_of(bank, document) == {"limits": {"cpu": "150m"}, "requests": {"cpu": "100m"}}
    assert bank.marks(document) == (ordered.id, "7")
    assert await actor.has_happened(ordered)
    undo = undoing(document, ordered)
    assert isinstance(await live(actor, undo), Done)
    assert (resources_of(bank, document), bank.marks(document)) == (before, (undo.id, "7"))
    again = await live(actor, undoing(document, ordered))
    assert isinstance(again, Refused)
    assert again.refusal is Refusal.NO_EARLIER_STATE


async def test_a_bound_is_previewed_raised_and_set_back(bank: Bank, actor: Actor) -> None:
    document, scaler = bank.lay(workload("web")), bank.lay(autoscaler("web"))
    ordered = command(document, MORE_PODS)
    lines = ("autoscaler of-web: maxReplicas: 3 → 4",)
    assert told(await preview(actor, ordered)) == lines
    assert (bounds_of(bank, scaler), bank.marks(scaler)) == ((1, 3), (None, None))
    assert not await actor.has_happened(ordered)
    assert told(await live(actor, ordered)) == lines
    assert (bounds_of(bank, scaler), bank.marks(scaler)) == ((1, 4), (ordered.id, "7"))
    assert await actor.has_happened(ordered)
    undo = undoing(document, ordered)
    assert told(await live(actor, undo)) == ("autoscaler of-web: maxReplicas: 4 → 3",)
    assert (bounds_of(bank, scaler), bank.marks(scaler)) == ((1, 3), (undo.id, "7"))


async def test_the_least_is_raised_as_well(bank: Bank, actor: Actor) -> None:
    document, scaler = bank.lay(workload("web")), bank.lay(autoscaler("web"))
    least = MORE_PODS.model_copy(update={"bound": "minReplicas"})
    assert isinstance(await live(actor, command(document, least)), Done)
    assert bounds_of(bank, scaler) == (3, 3)


async def test_a_claim_is_previewed_and_grown(bank: Bank, actor: Actor) -> None:
    document, pod = bound(bank), user_of(bank)
    ordered = command(pod, MORE_ROOM)
    lines = ("claim books: storage: 1Gi → 1536Mi",)
    assert told(await preview(actor, ordered)) == lines
    assert (asked_of(bank, document), bank.marks(document)) == ("1Gi", (None, None))
    assert told(await live(actor, ordered)) == lines
    assert (asked_of(bank, document), bank.marks(document)) == ("1536Mi", (ordered.id, "7"))
    assert await actor.has_happened(ordered)
    again = await live(actor, command(pod, MORE_ROOM))
    assert isinstance(again, Refused)
    assert again.refusal is Refusal.RESIZE_UNDER_WAY


async def test_a_service_is_previewed_restored_and_bent_back(bank: Bank, actor: Actor) -> None:
    document, found = bank.lay(workload("web")), bank.lay(service("web"))
    before = bank.read(found)["spec"]
    ordered = command(document, RESTORE)
    lines = (
        "service web: selector: app=elsewhere → app=web",
        "service web: ports: 80>8081/TCP → 80>8080/TCP",
    )
    assert told(await preview(actor, ordered)) == lines
    assert (bank.read(found)["spec"], bank.marks(found)) == (before, (None, None))
    assert told(await live(actor, ordered)) == lines
    after = bank.read(found)["spec"]
    assert (after["selector"], after["ports"][0]["targetPort"]) == ({"app": "web"}, 8080)
    assert after["ports"][0]["nodePort"] == before["ports"][0]["nodePort"]
    assert (bank.marks(found), await actor.has_happened(ordered)) == ((ordered.id, "7"), True)
    assert isinstance(await live(actor, undoing(document, ordered)), Done)
    assert bank.read(found)["spec"] == before


def cpu_without_bounds(bank: Bank) -> tuple[Any, Action, Any]:
    document = with_cpu(bank, "Deployment")
    return document, MORE_CPU, document


def cpu_at_its_cap(bank: Bank) -> tuple[Any, Action, Any]:
    document = with_cpu(bank, "Deployment", limits="150m")
    return document, MORE_CPU, document


def cpu_of_another_container(bank: Bank) -> tuple[Any, Action, Any]:
    document = with_cpu(bank, "Deployment", limits="100m")
    return document, MORE_CPU.model_copy(update={"container": "other"}), document


def cpu_that_was_never_set(bank: Bank) -> tuple[Any, Action, Any]:
    document = with_cpu(bank, "Deployment", limits="100m")
    return document, MORE_CPU.inverse() or MORE_CPU, document


def cpu_of_what_is_protected(bank: Bank) -> tuple[Any, Action, Any]:
    document = with_cpu(bank, "Deployment", limits="100m")
    bank.patch(document, {"metadata": {"labels": PROTECTED}})
    return document, MORE_CPU, document


def no_autoscaler(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), MORE_PODS, bank.lay(autoscaler("other"))


def autoscaler_of_keda(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), MORE_PODS, bank.lay(autoscaler("web", **KEDA))


def autoscaler_at_the_limit(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), MORE_PODS, bank.lay(autoscaler("web", most=4))


def protected_autoscaler(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), MORE_PODS, bank.lay(autoscaler("web", labels=PROTECTED))


def autoscaler_of_a_later_leader(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), MORE_PODS, bank.lay(autoscaler("web", annotations={TOKEN: "8"}))


def autoscaler_of_a_job(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.run("Job", "once"), MORE_PODS, bank.lay(autoscaler("once"))


def claim_of_another(bank: Bank) -> tuple[Any, Action, Any]:
    return user_of(bank, "other"), MORE_ROOM, bound(bank)


def claim_that_is_gone(bank: Bank) -> tuple[Any, Action, Any]:
    return user_of(bank), MORE_ROOM, claim()


def claim_that_waits(bank: Bank) -> tuple[Any, Action, Any]:
    return user_of(bank), MORE_ROOM, bank.lay(claim())


def claim_that_cannot_grow(bank: Bank) -> tuple[Any, Action, Any]:
    return user_of(bank), MORE_ROOM, bound(bank, of=FIXED)


def claim_at_the_cap(bank: Bank) -> tuple[Any, Action, Any]:
    return user_of(bank), MORE_ROOM.model_copy(update={"cap_bytes": GIBIBYTE}), bound(bank)


def claim_that_grows(bank: Bank) -> tuple[Any, Action, Any]:
    document = bound(bank)
    with_status(bank, document, {"allocatedResourceStatuses": {"storage": "NodeResizePending"}})
    return user_of(bank), MORE_ROOM, document


def protected_claim(bank: Bank) -> tuple[Any, Action, Any]:
    document = bound(bank)
    bank.patch(document, {"metadata": {"labels": PROTECTED}})
    return user_of(bank), MORE_ROOM, document


def claim_of_a_protected_pod(bank: Bank) -> tuple[Any, Action, Any]:
    return user_of(bank, labels=PROTECTED), MORE_ROOM, bound(bank)


def service_of_another(bank: Bank) -> tuple[Any, Action, Any]:
    declared = {"selector": {"app": "other"}, "ports": [{"port": 80}]}
    return bank.lay(workload("web")), RESTORE, bank.lay(service("web", declared=declared))


def service_that_nobody_declared(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), RESTORE, bank.lay(service("web", declared={"type": "NodePort"}))


def service_as_it_was_declared(bank: Bank) -> tuple[Any, Action, Any]:
    declared = {"selector": {"app": "elsewhere"}, "ports": [{"port": 80, "targetPort": 8081}]}
    return bank.lay(workload("web")), RESTORE, bank.lay(service("web", declared=declared))


def protected_service(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), RESTORE, bank.lay(service("web", labels=PROTECTED))


def service_that_is_gone(bank: Bank) -> tuple[Any, Action, Any]:
    return bank.lay(workload("web")), RESTORE, service("web")


@pytest.mark.parametrize(
    ("arrange", "refusal"),
    [
        (cpu_without_bounds, Refusal.NO_LIMIT),
        (cpu_at_its_cap, Refusal.CAP_REACHED),
        (cpu_of_another_container, Refusal.CONTAINER_UNKNOWN),
        (cpu_that_was_never_set, Refusal.NO_EARLIER_STATE),
        (cpu_of_what_is_protected, Refusal.PROTECTED_OBJECT),
        (no_autoscaler, Refusal.NO_AUTOSCALER),
        (autoscaler_of_keda, Refusal.OWNED_BY_OTHER),
        (autoscaler_at_the_limit, Refusal.CAP_REACHED),
        (protected_autoscaler, Refusal.PROTECTED_OBJECT),
        (autoscaler_of_a_later_leader, Refusal.FORBIDDEN),
        (autoscaler_of_a_job, Refusal.KIND_NOT_SUPPORTED),
        (claim_of_another, Refusal.NOT_OF_WORKLOAD),
        (claim_that_is_gone, Refusal.TARGET_GONE),
        (claim_that_waits, Refusal.CLAIM_NOT_BOUND),
        (claim_that_cannot_grow, Refusal.VOLUME_CANNOT_GROW),
        (claim_at_the_cap, Refusal.CAP_REACHED),
        (claim_that_grows, Refusal.RESIZE_UNDER_WAY),
        (protected_claim, Refusal.PROTECTED_OBJECT),
        (claim_of_a_protected_pod, Refusal.PROTECTED_OBJECT),
        (service_of_another, Refusal.NOT_OF_WORKLOAD),
        (service_that_nobody_declared, Refusal.NO_EARLIER_STATE),
        (service_as_it_was_declared, Refusal.NO_EARLIER_STATE),
        (protected_service, Refusal.PROTECTED_OBJECT),
        (service_that_is_gone, Refusal.TARGET_GONE),
    ],
)
async def test_a_broken_precondition_is_refused_by_its_name_and_nothing_changes(
    arrange: Callable[[Bank], tuple[Any, Action, Any]], refusal: Refusal, bank: Bank, actor: Actor
) -> None:
    document, action, thing = arrange(bank)
    before = state(bank, thing)
    for act in (preview, live):
        answer = await act(actor, command(document, action))
        assert isinstance(answer, Refused), answer
        assert answer.refusal is refusal, answer
    assert state(bank, thing) == before


def state(bank: Bank, thing: Any) -> tuple[Any, ...]:
    """Return what an action could change of a thing: what is wanted of it, and its marks."""
    found = bank.read(thing)
    return found.get("spec"), found.get("metadata", {}).get("annotations", {}).get("sre-agent.dev/command")


NO_BOUND = "may change minReplicas and maxReplicas only"
NO_REQUEST = "may change requests.storage only"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("/spec/scaleTargetRef/name", "other", NO_BOUND),
        ("/spec/behavior", {"scaleDown": {"stabilizationWindowSeconds": 1}}, NO_BOUND),
        ("/metadata/labels", {"team": "other"}, "may not change labels, finalizers or owners"),
        ("/metadata/annotations/team", "other", "may change sre-agent.dev/* only"),
        ("/metadata/annotations/sre-agent.dev~1token", "6", "may not go back"),
    ],
)
def test_an_edit_of_an_autoscaler_beyond_its_bounds_is_denied(
    path: str, value: Any, message: str, bank: Bank, rogue: client.ApiClient
) -> None:
    scaler = bank.lay(autoscaler("web", annotations={TOKEN: "7"}))
    assert message in edited(rogue, scaler, path, value).message
    assert edited(rogue, scaler, "/spec/maxReplicas", 9).status == 200


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("/spec/resources/requests/storage", "512Mi", "field can not be less than status.capacity"),
        ("/spec/resources/limits", {"storage": "9Gi"}, "spec is immutable after creation except resources.requests"),
        ("/spec/volumeAttributesClassName", "other", NO_REQUEST),
        ("/metadata/finalizers", ["example.com/held"], "may not change labels, finalizers or owners"),
    ],
)
def test_an_edit_of_a_claim_beyond_more_storage_is_denied(
    path: str, value: Any, message: str, bank: Bank, rogue: client.ApiClient
) -> None:
    document = bound(bank)
    bank.patch(document, {"metadata": {"annotations": {TOKEN: "7"}}})
    assert message in edited(rogue, document, path, value).message
    assert edited(rogue, document, "/spec/resources/requests/storage", "2Gi").status == 200


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("/spec/type", "LoadBalancer", "may change selector and ports only"),
        ("/spec/externalIPs", ["192.0.2.1"], "may change selector and ports only"),
        ("/spec/selector", {}, "may change selector and ports only"),
        ("/metadata/labels", {"team": "other"}, "may not change labels, finalizers or owners"),
    ],
)
def test_an_edit_of_a_service_beyond_selector_and_ports_is_denied(
    path: str, value: Any, message: str, bank: Bank, rogue: client.ApiClient
) -> None:
    found = bank.lay(service("web", annotations={TOKEN: "7"}))
    assert message in edited(rogue, found, path, value).message
    assert edited(rogue, found, "/spec/selector", {"app": "web"}).status == 200


def test_none_may_be_deleted_or_made(bank: Bank, rogue: client.ApiClient) -> None:
    for document in (bank.lay(autoscaler("web")), bound(bank), bank.lay(service("web"))):
        refused = ask(rogue, "DELETE", f"{path_of(document)}?dryRun=All")
        assert (refused.status, "nothing else" in refused.message) == (403, True)
        another = document | {"metadata": {"name": "another", "namespace": BANK}}
        made = ask(rogue, "POST", f"{path_of(document).rpartition('/')[0]}?dryRun=All", body=another)
        assert (made.status, "nothing else" in made.message) == (403, True)


def edited(api: client.ApiClient, document: Any, path: str, value: Any) -> Any:
    operation = {"op": "add", "path": path, "value": value}
    token = {"op": "add", "path": "/metadata/annotations/sre-agent.dev~1token", "value": "8"}
    operations = [operation] if path.endswith("token") else [token, operation]
    return ask(api, "PATCH", f"{path_of(document)}?dryRun=All", body=operations, kind=JSON_PATCH)
