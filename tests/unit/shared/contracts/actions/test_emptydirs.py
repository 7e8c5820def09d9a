"""What a StatefulSet keeps in an emptyDir goes with its pods: only a person lets it, and a dry run says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.contracts.actions import DeletePod, Drain, RestartPod, RestartRollout, Scale, SetCpu, SetMemory
from shared.contracts.actions.base import ActionBase, Done, Order
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import Server, order, outcome, refused
from tests.unit.shared.contracts.actions.nodes import NODE, pod_on, three
from tests.unit.shared.contracts.actions.objects import deployment

AT_SET = "/apis/apps/v1/namespaces/bank/statefulsets/db"
AT_POD = "/api/v1/namespaces/bank/pods/db-0"
DB = WorkloadRef(kind="StatefulSet", namespace="bank", name="db")
MEBIBYTE = 1 << 20
ON_DISK: Any = {"emptyDir": {}}
IN_MEMORY: Any = {"emptyDir": {"medium": "Memory"}}
TOLD = "StatefulSet db loses what its pods keep in emptyDir books"
FORETOLD = f"{TOLD}: live only with a person's approval"


@dataclass(frozen=True)
class Case:
    """An action on the StatefulSet, or on the node that its pod stands on."""

    action: ActionBase
    workload: WorkloadRef = DB
    prefix: str = ""


ASKED = {
    "restart-pod": Case(RestartPod(pod="db-0", uid="db-0")),
    "restart-rollout": Case(RestartRollout()),
    "set-memory": Case(SetMemory(container="c0", from_bytes=128 * MEBIBYTE, to_bytes=256 * MEBIBYTE)),
    "set-cpu": Case(SetCpu(container="c0", factor=2, cap_millis=4_000)),
    "scale down": Case(Scale(by=-1, least=1, most=5)),
    "drain": Case(Drain(at_most=3), NODE, "pod bank/db-0: "),
}
UNASKED = {
    "scale up": Case(Scale(by=1, least=1, most=5)),
    "delete-pod": Case(DeletePod(pod="db-0", uid="db-0")),
}


def stateful_set(*volumes: Any, kind: str = "StatefulSet") -> Any:
    found = deployment()
    found["metadata"] |= {"name": "db", "uid": "s"}
    found["spec"]["template"]["spec"]["volumes"] = [{"name": "books", **one} for one in volumes]
    return {"kind": kind, **found}


def laid_out(owner: Any, *, phase: str = "Running") -> Mapping[str, Any]:
    owners = [{"kind": "StatefulSet", "name": "db", "uid": "s", "controller": True}]
    return {**three(), **pod_on("db-0", owner="StatefulSet", phase=phase, ownerReferences=owners), AT_SET: owner}


def asked_of(case: Case, **how: Any) -> Order:
    return order(workload=case.workload, **how)


@pytest.mark.parametrize("volume", [ON_DISK, IN_MEMORY])
@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED)
def test_what_takes_pods_away_is_refused_where_no_person_wants_it_and_nothing_is_written(
    case: Case, volume: Any
) -> None:
    server = Server(laid_out(stateful_set(volume)))
    assert refused(server, case.action, asked_of(case)) == (Refusal.DATA_ON_EMPTYDIR, f"{case.prefix}{TOLD}")
    assert server.written == []


@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED)
def test_a_dry_run_goes_through_and_says_that_a_person_is_to_be_asked(case: Case) -> None:
    done = outcome(Server(laid_out(stateful_set(ON_DISK))), case.action, asked_of(case, dry_run=True))
    assert isinstance(done, Done)
    assert done.changes[-1] == FORETOLD
    assert done.changes.count(FORETOLD) == 1


@pytest.mark.parametrize("how", [{"is_approved": True}, {"reverts": "cmd-0"}], ids=["approved", "a revert"])
@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED)
def test_what_a_person_approved_and_what_undoes_a_command_goes_through(case: Case, how: Any) -> None:
    for dry_run in (False, True):
        done = outcome(Server(laid_out(stateful_set(ON_DISK))), case.action, asked_of(case, dry_run=dry_run, **how))
        assert isinstance(done, Done)
        assert FORETOLD not in done.changes


@pytest.mark.parametrize(
    "owner",
    [stateful_set(), stateful_set({"persistentVolumeClaim": {"claimName": "a"}}), stateful_set(ON_DISK, kind="Other")],
    ids=["no volume", "a claim", "another kind"],
)
@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED)
def test_what_keeps_nothing_in_its_pods_is_not_asked_about(case: Case, owner: Any) -> None:
    done = outcome(Server(laid_out(owner)), case.action, asked_of(case, dry_run=True))
    assert isinstance(done, Done)
    assert FORETOLD not in done.changes


@pytest.mark.parametrize("case", UNASKED.values(), ids=UNASKED)
def test_what_takes_no_data_away_asks_no_person(case: Case) -> None:
    server = Server(laid_out(stateful_set(ON_DISK), phase="Failed"))
    assert isinstance(outcome(server, case.action, asked_of(case)), Done)


def test_a_set_with_several_pods_on_a_node_is_named_once_and_all_its_volumes() -> None:
    found = stateful_set(ON_DISK, {"name": "shm", **IN_MEMORY}, {"name": "kept", "hostPath": {"path": "/"}})
    owners = [{"kind": "StatefulSet", "name": "db", "uid": "s", "controller": True}]
    objects = {**laid_out(found), **pod_on("db-1", owner="StatefulSet", ownerReferences=owners)}
    done = outcome(Server(objects), Drain(at_most=3), order(workload=NODE, dry_run=True))
    assert isinstance(done, Done)
    assert done.changes[-2:] == ("pod bank/db-1: evicted", FORETOLD.replace("books", "books, shm"))
