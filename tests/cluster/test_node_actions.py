"""cordon, uncordon and drain with the remediator's own account on a real API server, on nodes of their own."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from sandbox.kubernetes.control_plane import FAKE_NODE
from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import Action, Cordon, Drain, Uncordon
from shared.contracts.actions.base import Done, HalfDoneError
from shared.contracts.refusals import Refusal
from shared.infra.kube import KubeClient
from tests.cluster.accounts import MERGE, apply, ask
from tests.cluster.bank import Bank, command
from tests.cluster.leading import led
from tests.cluster.objects import BANK, PROTECTED, container, path_of
from tests.cluster.rights import KUBERNETES
from tests.contracts.cluster.backend import until

pytestmark = pytest.mark.cluster
TOKEN_NOW = 7
CORDONED = "sre-agent.dev/cordoned"
NAMES = ("first", "second")


def fake(name: str) -> dict[str, Any]:
    """Return a node whose kubelet is played; pods that select it run there."""
    metadata = {"name": name, "annotations": FAKE_NODE, "labels": {"drained": "yes", "kubernetes.io/hostname": name}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


FIRST, SECOND = map(fake, NAMES)
_FORBIDDEN, _NOT_FOUND = 403, 404


@pytest.fixture(scope="module")
def bound(admin: client.ApiClient, clients: dict[str, client.ApiClient]) -> Generator[None]:
    """Bind what is shipped as an option, and take it away again."""
    bindings = list(yaml.safe_load_all((KUBERNETES / "optional" / "nodes.yaml").read_text()))
    for one in bindings:
        apply(admin, one)
    until(lambda: _change_of_none(clients) == _NOT_FOUND)
    yield
    for one in bindings:
        ask(admin, "DELETE", path_of(one))
    until(lambda: _change_of_none(clients) == _FORBIDDEN)


def _change_of_none(clients: dict[str, client.ApiClient]) -> int:
    """Return the answer to a change of a node that is not there: whether it could be changed if it were."""
    return ask(clients["remediator"], "PATCH", "/api/v1/nodes/none", body={}, kind=MERGE).status


@pytest.fixture
def nodes(bank: Bank, bound: None) -> Bank:
    """Bring two nodes, and return the bank when all nodes are ready."""
    for name in NAMES:
        bank.lay(fake(name))
    until(lambda: all(map(is_ready, ask(bank.admin, "GET", "/api/v1/nodes").body["items"])))
    return bank


@pytest.fixture
async def actor(kubeconfigs: dict[str, Path]) -> AsyncGenerator[Actor]:
    async with KubeClient(kubeconfigs["remediator"]) as opened:
        yield Actor(led(opened, token=TOKEN_NOW), protected_namespaces=frozenset({"kube-system"}))


def is_ready(node: Any) -> bool:
    told = {one["type"]: one["status"] for one in node.get("status", {}).get("conditions", [])}
    return told.get("Ready") == "True" and not node["spec"].get("taints")


def state(bank: Bank) -> tuple[bool, Any, tuple[Any, Any]]:
    """Return whether the first node is cordoned, by which command, and its marks."""
    found = bank.read(FIRST)
    is_cordoned = found["spec"].get("unschedulable", False)
    return is_cordoned, found["metadata"]["annotations"].get(CORDONED), bank.marks(FIRST)


def served(bank: Bank, name: str, *, replicas: int = 2, **pod: Any) -> Any:
    """Run a Deployment on the first node, and return it when all of its pods run there."""
    labels = {"app": name}
    spec = {"containers": [container()], "nodeName": "first", "terminationGracePeriodSeconds": 0, **pod}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": BANK},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec | {"nodeSelector": {"drained": "yes"}}},
        },
    }
    del document["spec"]["template"]["spec"]["nodeName"]
    bank.patch(SECOND, {"spec": {"unschedulable": True}})  # so that the pods come to the first
    bank.lay(document)
    until(lambda: [one["status"]["phase"] for one in bank.pods(name)] == ["Running"] * replicas)
    until(lambda: bank.read(document)["status"].get("readyReplicas") == replicas)
    bank.patch(SECOND, {"spec": {"unschedulable": None}})
    until(lambda: is_ready(bank.read(SECOND)))
    return document


def places(bank: Bank, app: str) -> list[str]:
    return [one["spec"].get("nodeName", "") for one in bank.pods(app)]


async def live(actor: Actor, action: Action) -> Done | Refused:
    return await actor.act(command(FIRST, action), token=TOKEN_NOW, dry_run=False)


async def preview(actor: Actor, action: Action) -> Done | Refused:
    return await actor.act(command(FIRST, action), token=TOKEN_NOW, dry_run=True)


async def test_a_node_is_cordoned_and_uncordoned_by_the_inverse(nodes: Bank, actor: Actor) -> None:
    ordered, undo = command(FIRST, Cordon()), command(FIRST, Cordon().inverse())
    assert isinstance(await actor.act(ordered, token=TOKEN_NOW, dry_run=False), Done)
    assert state(nodes) == (True, ordered.id, (ordered.id, "7"))
    assert await actor.has_happened(ordered)
    assert isinstance(await actor.act(undo, token=TOKEN_NOW, dry_run=False), Done)
    assert state(nodes) == (False, None, (undo.id, "7"))
    assert await actor.has_happened(undo)


async def test_a_cordon_that_a_person_took_back_and_made_anew_is_the_persons(nodes: Bank, actor: Actor) -> None:
    ordered = command(FIRST, Cordon())
    assert isinstance(await actor.act(ordered, token=TOKEN_NOW, dry_run=False), Done)
    for unschedulable in (None, True):
        nodes.patch(FIRST, {"spec": {"unschedulable": unschedulable}})
    assert isinstance(answer := await live(actor, Uncordon()), Refused)
    assert (answer.refusal, state(nodes)[:2]) == (Refusal.NOT_OURS, (True, ordered.id))


@pytest.mark.parametrize("action", [Cordon(), Drain(at_most=5)])
async def test_what_is_previewed_is_not_done(action: Action, nodes: Bank, actor: Actor) -> None:
    served(nodes, "previewed")
    before = {one["metadata"]["uid"] for one in nodes.pods("previewed")}
    assert isinstance(await preview(actor, action), Done)
    assert state(nodes) == (False, None, (None, None))
    assert {one["metadata"]["uid"] for one in nodes.pods("previewed")} == before


async def test_a_node_is_drained_and_its_pods_come_up_elsewhere(nodes: Bank, actor: Actor) -> None:
    served(nodes, "moved")
    assert places(nodes, "moved") == ["first"] * 2
    ordered = command(FIRST, Drain(at_most=2))
    done = await actor.act(ordered, token=TOKEN_NOW, dry_run=False)
    assert isinstance(done, Done), done
    assert len(done.changes) == 3
    assert state(nodes) == (True, ordered.id, (ordered.id, "7"))
    until(lambda: places(nodes, "moved") == ["second"] * 2)
    assert await actor.has_happened(ordered)
    assert isinstance(await live(actor, Drain(at_most=2).inverse()), Done)
    assert state(nodes)[:2] == (False, None)


async def test_a_budget_that_is_spent_half_way_ends_a_drain_and_another_attempt_goes_on(
    nodes: Bank, actor: Actor
) -> None:
    served(nodes, "budgeted")
    budget(nodes, "budgeted", healthy=1)
    nodes.patch(SECOND, {"metadata": {"labels": {"drained": None}}})  # so that what is evicted does not come up yet
    foretold = await preview(actor, Drain(at_most=2))
    assert isinstance(foretold, Done), foretold
    assert [line.split(": ", 1)[1] for line in foretold.changes[1:]] == [
        "evicted",
        "held up: budget budgeted lets 1 go now",
    ]
    with pytest.raises(HalfDoneError) as half:
        await live(actor, Drain(at_most=2))
    assert half.value.refusal is Refusal.DISRUPTION_BUDGET
    assert len(half.value.changes) == 2  # the cordon, and the one eviction that the budget had room for
    assert state(nodes)[0]
    nodes.patch(SECOND, {"metadata": {"labels": {"drained": "yes"}}})
    until(lambda: sorted(places(nodes, "budgeted")) == ["first", "second"])
    until(lambda: nodes.read(document_of("budgeted"))["status"].get("readyReplicas") == 2)
    until(lambda: nodes.read(budget_of("budgeted", healthy=1))["status"]["disruptionsAllowed"] == 1)
    assert isinstance(await live(actor, Drain(at_most=2)), Done)
    until(lambda: places(nodes, "budgeted") == ["second"] * 2)


def document_of(name: str) -> Any:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": BANK}}


def budget_of(name: str, *, healthy: int) -> Any:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": BANK},
        "spec": {"minAvailable": healthy, "selector": {"matchLabels": {"app": name}}},
    }


def budget(bank: Bank, name: str, *, healthy: int) -> None:
    document = bank.lay(budget_of(name, healthy=healthy))
    until(lambda: bank.read(document).get("status", {}).get("expectedPods") == 2)


def well(bank: Bank) -> None:
    served(bank, "web")


def cordoned_by_somebody(bank: Bank) -> None:
    bank.patch(FIRST, {"spec": {"unschedulable": True}})


def protected_node(bank: Bank) -> None:
    bank.patch(FIRST, {"metadata": {"labels": PROTECTED}})


def other_cordoned(bank: Bank) -> None:
    bank.patch(SECOND, {"spec": {"unschedulable": True}})


def two_pods(bank: Bank) -> None:
    served(bank, "web")


def bare_pod(bank: Bank) -> None:
    spec = {"containers": [container()], "nodeName": "first"}
    bank.lay({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": BANK}, "spec": spec})


def protected_pod(bank: Bank) -> None:
    served(bank, "web", replicas=1)
    (pod,) = bank.pods("web")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod["metadata"]["name"], "namespace": BANK}}
    bank.patch(pod, {"metadata": {"labels": PROTECTED}})


def no_disruption_allowed(bank: Bank) -> None:
    served(bank, "web")
    budget(bank, "web", healthy=2)


def pod_of_another_namespace(bank: Bank) -> None:
    """Lay out a pod where the remediator is not bound: it may not even look at whether the namespace is stopped."""
    spec = {"containers": [container()], "nodeName": "first"}
    bank.lay(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "elsewhere", "namespace": "default"}, "spec": spec}
    )


@pytest.mark.parametrize(
    ("arrange", "action", "refusal"),
    [
        (cordoned_by_somebody, Cordon(), Refusal.CHANGED_MEANWHILE),
        (cordoned_by_somebody, Uncordon(), Refusal.NOT_OURS),
        (cordoned_by_somebody, Drain(at_most=5), Refusal.CHANGED_MEANWHILE),
        (well, Uncordon(), Refusal.CHANGED_MEANWHILE),
        (protected_node, Cordon(), Refusal.PROTECTED_OBJECT),
        (protected_node, Drain(at_most=5), Refusal.PROTECTED_OBJECT),
        (other_cordoned, Cordon(), Refusal.TOO_FEW_NODES),
        (other_cordoned, Drain(at_most=5), Refusal.TOO_FEW_NODES),
        (two_pods, Drain(at_most=1), Refusal.TOO_MANY_PODS),
        (bare_pod, Drain(at_most=5), Refusal.NO_CONTROLLER),
        (protected_pod, Drain(at_most=5), Refusal.PROTECTED_OBJECT),
        (no_disruption_allowed, Drain(at_most=5), Refusal.DISRUPTION_BUDGET),
        (pod_of_another_namespace, Drain(at_most=5), Refusal.FORBIDDEN),
    ],
)
async def test_a_broken_precondition_is_refused_by_its_name_and_nothing_changes(
    arrange: Callable[[Bank], None], action: Action, refusal: Refusal, nodes: Bank, actor: Actor
) -> None:
    arrange(nodes)
    before = (state(nodes), sorted(one["metadata"]["uid"] for one in nodes.pods("web")))
    for act in (preview, live):
        answer = await act(actor, action)
        assert isinstance(answer, Refused), answer
        assert answer.refusal is refusal, answer
    assert (state(nodes), sorted(one["metadata"]["uid"] for one in nodes.pods("web"))) == before


async def test_a_node_that_is_gone_is_told(bound: None, bank: Bank, actor: Actor) -> None:
    assert isinstance(answer := await live(actor, Uncordon()), Refused)
    assert answer.refusal is Refusal.TARGET_GONE


async def test_without_the_optional_binding_no_node_is_touched(bank: Bank, kubeconfigs: dict[str, Path]) -> None:
    bank.lay(fake("first"))
    async with KubeClient(kubeconfigs["collector"]) as opened:
        answer = await Actor(led(opened, token=TOKEN_NOW)).act(command(FIRST, Cordon()), token=TOKEN_NOW, dry_run=True)
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.FORBIDDEN
