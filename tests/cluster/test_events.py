"""What `kubectl describe` tells of a command, on a real API server under the remediator's own account."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from services.remediator.adapters.eventing import Events
from shared.contracts.actions import Rollback
from shared.contracts.inbox import Outcome
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeClient
from shared.runtime.metrics import EVENTS_LOST
from tests.cluster.accounts import ask
from tests.cluster.bank import Bank, command
from tests.cluster.objects import BANK
from tests.cluster.real import Real
from tests.contracts.cluster.backend import KUBECTL
from tests.unit.services.remediator.build import command as any_command
from tests.unit.services.remediator.build import result

pytestmark = pytest.mark.cluster


@pytest.fixture
async def events(kubeconfigs: dict[str, Path]) -> AsyncGenerator[Events]:
    async with KubeClient(kubeconfigs["remediator"]) as opened:
        yield Events(lambda _: opened, instance="test", protected_namespaces=frozenset())


def lost() -> float:
    return EVENTS_LOST._value.get()  # noqa: SLF001


def described(real: Real, kind: str, name: str) -> str:
    assert KUBECTL, "a real cluster's tests need kubectl"
    asked = [KUBECTL, "--kubeconfig", str(real.kubeconfig), "describe", kind, name, "-n", BANK]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("outcome", "line"), [(Outcome.APPLIED, "Normal"), (Outcome.REFUSED, "Warning"), (Outcome.UNKNOWN, "Warning")]
)
async def test_describe_tells_what_was_done_once(
    bank: Bank, events: Events, real: Real, outcome: Outcome, line: str
) -> None:
    ordered = command(bank.run("Deployment", f"told-{outcome}"), Rollback()).model_copy(update={"id": f"cmd-{outcome}"})
    before = lost()
    for _ in range(2):
        await events.tell(ordered, result(ordered, outcome=outcome, reason="rejected", message="ä" * 2_000))
    assert lost() == before
    lines = described(real, "deployment", f"told-{outcome}").splitlines()
    (told,) = [one for one in lines if "sre-agent" in one and "Rollback" in one]
    assert told.split()[:2] == [line, f"Rollback{outcome.capitalize()}"]
    assert f"rollback {outcome} (rejected: ä" in told


async def test_a_nodes_event_is_let_into_the_default_namespace(events: Events) -> None:
    ordered = any_command("cmd-node", workload=WorkloadRef(kind="Node", name="nowhere"))
    before = lost()
    await events.tell(ordered, result(ordered, outcome=Outcome.REFUSED, reason="kind-not-supported"))
    assert lost() == before


async def test_elsewhere_no_event_is_written_and_that_is_counted(events: Events) -> None:
    ordered = any_command(workload=WorkloadRef(kind="Deployment", namespace="kube-system", name="any"))
    before = lost()
    await events.tell(ordered, result(ordered))
    assert lost() == before + 1


def test_an_event_that_says_it_is_from_somebody_else_is_denied(clients: dict[str, client.ApiClient]) -> None:
    body: Any = {
        "metadata": {"name": "forged", "namespace": BANK},
        "involvedObject": {"kind": "Pod", "namespace": BANK, "name": "any"},
        "reason": "BackOff",
        "source": {"component": "kubelet"},
    }
    answer = ask(clients["remediator"], "POST", f"/api/v1/namespaces/{BANK}/events", body=body)
    assert answer.status == 403
    assert "must say that it is from sre-agent" in answer.message
