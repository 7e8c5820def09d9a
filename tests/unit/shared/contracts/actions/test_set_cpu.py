"""set-cpu: both bounds of the one container by one factor, each up to the cap, and back to the letter."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import Done
from shared.contracts.actions.former import FORMER_ANNOTATION
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.set_cpu import SetCpu, SetCpuRung
from shared.contracts.paths import VERTICAL_AUTOSCALERS
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from shared.kernel.quantities import format_millis, parse_millis
from tests.unit.services.decider.core.build import container, health, sample
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome, refused
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, PROTECTION, deployment, made_by_operator

TWICE = SetCpu(container="c0", factor=2, cap_millis=4000)
BACK = order("cmd-2", reverts="cmd-1")


def given_cpu(**bounds: str) -> Any:
    found = deployment()
    for one in found["spec"]["template"]["spec"]["containers"]:
        one["resources"] = {bound: {"cpu": quantity, "memory": "64Mi"} for bound, quantity in bounds.items()}
    return found


def cpu(document: Any, place: int = 0) -> dict[str, str]:
    resources = document["spec"]["template"]["spec"]["containers"][place]["resources"]
    return {bound: values["cpu"] for bound, values in resources.items()}


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 8), st.integers(1, 20_000))
def test_no_bound_ever_exceeds_the_cap_or_shrinks_and_the_way_back_leads_to_where_it_began(
    limit: int, request: int, factor: int, cap: int
) -> None:
    found = given_cpu(limits=f"{max(limit, request)}m", requests=f"{request}m")
    server = Server({DEPLOYMENT: found})
    action = SetCpu(container="c0", factor=factor, cap_millis=cap)
    done = outcome(server, action)
    after = {bound: parse_millis(quantity) for bound, quantity in cpu(server.objects[DEPLOYMENT]).items()}
    before = {bound: parse_millis(quantity) for bound, quantity in cpu(found).items()}
    assert after["requests"] <= after["limits"]
    assert all(before[bound] <= after[bound] <= max(cap, before[bound]) for bound in after)
    assert (done is Refusal.CAP_REACHED) == (after == before)
    if isinstance(done, Done):
        assert isinstance(outcome(server, action.inverse() or action, BACK), Done)
        assert server.objects[DEPLOYMENT]["spec"] == found["spec"]


def test_only_the_one_container_is_given_more_under_the_marks() -> None:
    server = Server({DEPLOYMENT: given_cpu(limits="500m", requests="250m")})
    lines = ("container c0: limits.cpu: 500m → 1", "container c0: requests.cpu: 250m → 500m")
    assert outcome(server, TWICE) == Done(lines)
    after = server.objects[DEPLOYMENT]
    assert (cpu(after), cpu(after, 1)) == (
        {"limits": "1", "requests": "500m"},
        {"limits": "500m", "requests": "250m"},
    )
    assert is_marked(after, "cmd-1")
    assert after["metadata"]["resourceVersion"] == "7"
    assert has_happened(server=Server(server.objects), action=TWICE)


def test_a_container_that_has_a_request_alone_gets_no_limit() -> None:
    server = Server({DEPLOYMENT: given_cpu(requests="250m")})
    outcome(server, TWICE)
    assert cpu(server.objects[DEPLOYMENT]) == {"requests": "500m"}


@pytest.mark.parametrize(
    ("found", "action", "refusal"),
    [
        (given_cpu(limits="4"), TWICE, Refusal.CAP_REACHED),
        (given_cpu(limits="8", requests="4"), TWICE, Refusal.CAP_REACHED),
        (given_cpu(), TWICE, Refusal.NO_LIMIT),
        (given_cpu(limits="much"), TWICE, Refusal.CHANGED_MEANWHILE),
        (given_cpu(limits="1"), TWICE.model_copy(update={"container": "other"}), Refusal.CONTAINER_UNKNOWN),
        (given_cpu(limits="1"), TWICE.inverse(), Refusal.NO_EARLIER_STATE),
        (labelled(given_cpu(limits="1"), **PROTECTION), TWICE, Refusal.PROTECTED_OBJECT),
        (labelled(given_cpu(limits="1"), tier="database"), TWICE, Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    found: Any, action: SetCpu, refusal: Refusal
) -> None:
    server = Server({DEPLOYMENT: found})
    assert (outcome(server, action, order(tier="database")), server.written) == (refusal, [])


def test_a_limit_whose_owner_keeps_it_stays() -> None:
    found = given_cpu(limits="500m")
    found["metadata"]["labels"] = {"argocd.argoproj.io/instance": "bank"}
    asked = Server({DEPLOYMENT: found})
    assert (outcome(asked, TWICE), asked.written) == (Refusal.OWNED_BY_OTHER, [])


def test_what_an_operator_made_stays_and_the_refusal_says_whose_it_is() -> None:
    asked = Server({DEPLOYMENT: made_by_operator(given_cpu(limits="500m"))})
    field = "spec.template.spec.containers[c0].resources.limits.cpu"
    told = f"{field}: operator (Cluster ledger of postgresql.cnpg.io)"
    assert refused(asked, TWICE) == (Refusal.OWNED_BY_OTHER, told)
    assert asked.written == []


def test_the_cpu_of_a_container_that_an_autoscaler_sizes_is_left_to_it() -> None:
    sizer = {"metadata": {"name": "sizer"}, "spec": {"targetRef": {"kind": "Deployment", "name": "web"}}}
    sizers = VERTICAL_AUTOSCALERS.format("bank")
    asked = Server({DEPLOYMENT: given_cpu(limits="500m"), f"{sizers}/sizer": sizer})
    assert refused(asked, TWICE) == (Refusal.OWNED_BY_OTHER, "cpu of container c0: vpa (sizer)")
    assert asked.written == []


def test_a_rollout_that_a_budget_does_not_allow_is_not_begun_but_undone_all_the_same() -> None:
    found = given_cpu(limits="500m") | {"kind": "Deployment", "status": {"availableReplicas": 2}}
    found["spec"]["strategy"] = {"type": "Recreate"}
    budget = {
        "metadata": {"name": "all"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"desiredHealthy": 1},
    }
    budgets = "/apis/policy/v1/namespaces/bank/poddisruptionbudgets"
    asked = Server({DEPLOYMENT: found, f"{budgets}/all": budget})
    assert (outcome(asked, TWICE), asked.written) == (Refusal.DISRUPTION_BUDGET, [])
    without = Server({DEPLOYMENT: found})
    outcome(without, TWICE)
    undone = Server({**without.objects, f"{budgets}/all": budget})
    assert isinstance(outcome(undone, TWICE.inverse() or TWICE, BACK), Done)


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod", "Node", "ReplicaSet", "Other"])
def test_a_workload_of_another_kind_is_refused_unread(kind: str) -> None:
    server = Server({})
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(server, TWICE, asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def test_what_is_set_back_is_what_was_written_to_the_letter_and_only_once() -> None:
    server = Server({DEPLOYMENT: given_cpu(limits="0.5", requests="250m")})
    outcome(server, TWICE)
    undo = TWICE.inverse()
    assert undo is not None
    assert outcome(server, undo, BACK) == Done(
        ("container c0: limits.cpu: 1 → 0.5", "container c0: requests.cpu: 500m → 250m")
    )
    after = server.objects[DEPLOYMENT]
    assert cpu(after) == {"limits": "0.5", "requests": "250m"}
    assert (is_marked(after, "cmd-2"), FORMER_ANNOTATION in after["metadata"]["annotations"]) == (True, False)
    assert outcome(server, undo, order("cmd-3", reverts="cmd-1")) is Refusal.NO_EARLIER_STATE
    assert undo.inverse() is None


@pytest.mark.parametrize(
    ("asked", "named", "limit", "refusal"),
    [
        (order("cmd-2", reverts="cmd-0"), "c0", "1", Refusal.NO_EARLIER_STATE),
        (BACK, "c1", "1", Refusal.NO_EARLIER_STATE),
        (BACK, "c0", "3", Refusal.CHANGED_MEANWHILE),
    ],
    ids=["another command's", "another container's", "changed by somebody else since"],
)
def test_what_was_not_left_by_the_command_is_not_set_back(asked: Any, named: str, limit: str, refusal: Refusal) -> None:
    server = Server({DEPLOYMENT: given_cpu(limits="500m")})
    outcome(server, TWICE)
    document = server.objects[DEPLOYMENT]
    document["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = limit
    undo = TWICE.model_copy(update={"direction": "back", "container": named})
    assert outcome(server, undo, asked) is refusal


@pytest.mark.parametrize("said", ["", "no json", "[]", '{"found":1,"made":2}', "[" * 20_000])
def test_a_note_of_any_shape_is_no_earlier_state(said: str) -> None:
    found = given_cpu(limits="500m")
    found["metadata"]["annotations"][FORMER_ANNOTATION] = said
    assert outcome(Server({DEPLOYMENT: found}), TWICE.inverse() or TWICE, BACK) is Refusal.NO_EARLIER_STATE


def test_it_is_aimed_at_the_container_that_a_signal_names() -> None:
    rung = SetCpuRung.model_validate({"action": "set-cpu", "cap": "1500m"})
    expected = SetCpu(container="server", factor=2, cap_millis=1500)
    assert rung.aimed(container()) == expected
    assert rung.aimed(sample(value=1, seconds=0, container="server")) == expected
    assert rung.aimed(sample(value=1, seconds=0)) is Reason.TARGET_UNSUITABLE
    assert rung.aimed(health(healthy=False, seconds=0)) is Reason.TARGET_UNSUITABLE


@pytest.mark.parametrize(("written", "millis"), [("500m", 500), ("2", 2000), (2, 2000), (0.5, 500), ("0.0001", 1)])
def test_a_cap_is_written_as_kubernetes_writes_cores(written: object, millis: int) -> None:
    rung = SetCpuRung.model_validate({"action": "set-cpu", "cap": written})
    assert rung.cap == millis
    assert list(rung.senseless()) == []


@pytest.mark.parametrize("written", ["much", True, None, []])
def test_a_cap_that_is_no_quantity_is_a_fault(written: object) -> None:
    with pytest.raises(ValueError, match="quantity"):
        SetCpuRung.model_validate({"action": "set-cpu", "cap": written})


@given(st.integers(0, 10**12))
def test_thousandths_are_written_so_that_they_are_read_again(millis: int) -> None:
    assert parse_millis(format_millis(millis)) == millis
