"""`admit`: each guard by its name, in order, and nothing stricter ever lets more through."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.admission import World, admit
from shared.contracts.actions import Rollback
from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def command(*, namespace: str = "bank", dry_run: bool = False, expires_in: int = 60, ahead: int = 0) -> Command:
    return Command(
        id="cmd-1",
        at=NOW + timedelta(seconds=ahead),
        workload=WorkloadRef(kind="Deployment", namespace=namespace, name="frontend"),
        incident="inc-1",
        rule="rule",
        playbook="hash",
        step=0,
        attempt=1,
        action=Rollback(),
        dry_run=dry_run,
        expires_at=NOW + timedelta(seconds=ahead + expires_in),
        requested_by="playbook",
    )


def world(*, protected: frozenset[str] = frozenset({"kube-system"})) -> World:
    return World(now=NOW, protected_namespaces=protected)


@pytest.mark.parametrize(
    ("asked", "around", "refusal"),
    [
        (command(), world(), None),
        (command(namespace="kube-system"), world(), Refusal.PROTECTED_NAMESPACE),
        (command(namespace="kube-system", dry_run=True), world(), Refusal.PROTECTED_NAMESPACE),
        (command(expires_in=0), world(), Refusal.EXPIRED),
        (command(ahead=61), world(), Refusal.ORDERED_IN_THE_FUTURE),
        (command(ahead=61, dry_run=True), world(), Refusal.ORDERED_IN_THE_FUTURE),
        (command(ahead=60), world(), None),
    ],
)
def test_each_guard_refuses_by_its_name(asked: Command, around: World, refusal: Refusal | None) -> None:
    assert admit(asked, around) is refusal


@given(
    namespace=st.sampled_from(["bank", "kube-system", "other"]),
    dry_run=st.booleans(),
    expires_in=st.integers(-100, 100),
    protected=st.frozensets(st.sampled_from(["bank", "kube-system"])),
)
def test_a_stricter_world_never_admits_more(
    namespace: str, dry_run: bool, expires_in: int, protected: frozenset[str]
) -> None:
    asked = command(namespace=namespace, dry_run=dry_run, expires_in=expires_in)
    if admit(asked, world(protected=protected)) is None:
        assert admit(asked, world(protected=frozenset())) is None
        assert namespace not in protected
        assert expires_in > 0
