"""Facts: what a playbook may ask of a signal is there, by the declared name and type."""

import pytest
from pydantic import TypeAdapter

from shared.contracts.model import JsonObject
from shared.contracts.signals import Signal, fact_types, facts_of

SIGNAL: TypeAdapter[Signal] = TypeAdapter(Signal)
COMMON: JsonObject = {
    "id": "signal-1",
    "at": "2030-01-01T00:00:00Z",
    "cluster": "home",
    "workload": {"kind": "Deployment", "namespace": "bank", "name": "frontend"},
}
POD: JsonObject = {"object": {"kind": "Pod", "namespace": "bank", "name": "frontend-1"}}
OWN: dict[str, JsonObject] = {
    "event": {**POD, "reason": "BackOff", "event_type": "Warning"},
    "container": {**POD, "container": "server", "state": "waiting"},
    "pod": {**POD, "phase": "Pending"},
    "workload": {**POD, "healthy": False},
    "node": {**POD, "healthy": True, "ready": True},
    "sample": {"query": "errors", "value": 0.5},
    "alert": {
        "alertname": "Errors",
        "status": "firing",
        "fingerprint": "f1",
        "starts_at": "2030-01-01T00:00:00Z",
        "labels": {"team": "a"},
    },
}


def signal(kind: str) -> Signal:
    return SIGNAL.validate_python({**COMMON, "kind": kind, **OWN[kind]})


@pytest.mark.parametrize("kind", OWN)
def test_a_signal_has_every_fact_of_its_kind_by_its_declared_type(kind: str) -> None:
    facts = facts_of(signal(kind))
    declared = {name: {"labels": dict}.get(name, type_) for name, type_ in fact_types(kind).items()}
    assert list(facts) == list(declared)
    assert all(isinstance(facts[name], type_) for name, type_ in declared.items())


@pytest.mark.parametrize("kind", OWN)
def test_facts_read_one_by_one_are_those_read_at_once(kind: str) -> None:
    facts = facts_of(signal(kind))
    assert dict(facts.items()) == {name: facts[name] for name in facts}


def test_the_names_of_the_workload_and_the_object_are_facts() -> None:
    facts = facts_of(signal("container"))
    assert [facts[name] for name in ("cluster", "namespace", "workload", "workload_kind")] == [
        "home",
        "bank",
        "frontend",
        "Deployment",
    ]
    assert (facts["object"], facts["object_kind"]) == ("frontend-1", "Pod")
