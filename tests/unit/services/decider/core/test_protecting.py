"""What a playbook protects: namespaces, and what shows a label."""

import pytest

from services.decider.core.language import Protected
from services.decider.core.protecting import namespaces_in_force, protection_of
from shared.contracts.signals import AlertSignal, Signal
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import FRONTEND, at, container, event, gone, health, pod, sample

TIER = Protected.model_validate({"labels": {"tier": "database", "app": ["ledger", "accounts"]}})
BANK = Protected.model_validate({"namespaces": ["bank"]})
SHOWN = {"tier": "database"}
ALERT = AlertSignal.model_validate(
    {
        "id": "alert",
        "at": at(0),
        "cluster": "test",
        "workload": FRONTEND,
        "alertname": "Down",
        "status": "firing",
        "labels": SHOWN,
        "fingerprint": "f",
        "starts_at": at(0),
    }
)


@pytest.mark.parametrize(
    "signal",
    [
        container(labels=SHOWN),
        pod(labels=SHOWN),
        health(healthy=False, seconds=0).model_copy(update={"labels": SHOWN}),
        gone(seconds=0, kind="Node").model_copy(update={"labels": SHOWN}),
        sample(value=1, seconds=0, **SHOWN),
        ALERT,
    ],
    ids=lambda signal: signal.kind,
)
def test_a_signal_of_any_kind_that_has_labels_shows_what_is_protected(signal: Signal) -> None:
    assert protection_of(FRONTEND, signal, TIER) == "what has the label tier=database"
    assert not protection_of(FRONTEND, signal, Protected())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ""),
        ({"tier": "web"}, ""),
        ({"tier": "Database"}, ""),
        ({"team": "database"}, ""),
        ({"app": "ledger"}, "what has the label app=ledger"),
        ({"tier": "database", "app": "accounts"}, "what has the label app=accounts"),
    ],
)
def test_a_label_protects_by_its_key_and_one_of_its_values(labels: dict[str, str], expected: str) -> None:
    assert protection_of(FRONTEND, container(labels=labels), TIER) == expected


def test_a_namespace_protects_whatever_is_shown() -> None:
    for signal in (None, event(), container(labels=SHOWN)):
        assert protection_of(FRONTEND, signal, BANK) == "the namespace bank"
        assert not protection_of(FRONTEND, event(), TIER)


def test_a_command_about_what_lies_in_no_namespace_carries_those_that_are_protected() -> None:
    protected = Protected.model_validate({"namespaces": ["shop", "bank"]})
    assert namespaces_in_force(WorkloadRef(kind="Node", name="n1"), protected) == ("bank", "shop")
    assert namespaces_in_force(FRONTEND, protected) == ()
