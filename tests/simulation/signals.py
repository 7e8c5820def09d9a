"""Signals that no cluster gave: of any kind that a playbook's rules ask for, early, late, and with any facts."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from services.decider.core.clauses import LABEL
from services.decider.core.playbook import Playbook
from services.decider.core.watching import watches_of
from shared.contracts.signals import SIGNALS, AlertSignal, SampleSignal, Signal
from shared.contracts.topics import SIGNALS_KUBERNETES, SIGNALS_PROMETHEUS, Topic
from shared.contracts.workloads import ObjectRef, WorkloadRef

_MODELS = {str(model.model_fields["kind"].default): model for model in SIGNALS}
_SKEWS_S = (0, 0, 0, 0, -1, -30, -400, 20)


def stray_signal(playbook: Playbook, workload: WorkloadRef, *, now: datetime, chance: Random) -> Signal:
    """Return a signal that meets the `where` of something that some rule watches for."""
    watches = [watch for rule in playbook.rules.values() for watch in watches_of(rule)]
    clause = chance.choice(watches).clause
    facts = {
        name: chance.choice(sorted(allowed.exact, key=str)) for name, allowed in clause.where.items() if allowed.exact
    }
    labels = {name.removeprefix(LABEL): value for name, value in facts.items() if name.startswith(LABEL)}
    moment = now + timedelta(seconds=chance.choice(_SKEWS_S))
    pod = f"{workload.name}-{chance.randrange(3)}"
    known: dict[str, Any] = {
        "id": f"sig-stray-{chance.getrandbits(40):010x}",
        "at": moment,
        "cluster": "simulated",
        "workload": workload,
        "object": ObjectRef(kind="Pod", namespace=workload.namespace, name=pod, uid=f"uid-{pod}"),
        **_facts(moment, chance),
        "labels": {"team": "payments", **labels},
    }
    return _MODELS[clause.kind].model_validate({**known, **facts})  # type: ignore[return-value] - one of the union


def topic_of_signal(signal: Signal) -> Topic:
    """Return the topic that a signal comes on."""
    return SIGNALS_PROMETHEUS if isinstance(signal, SampleSignal | AlertSignal) else SIGNALS_KUBERNETES


def _facts(moment: datetime, chance: Random) -> dict[str, Any]:
    return {
        "reason": "Unhealthy",
        "message": "Readiness probe failed",
        "count": chance.randrange(10),
        "event_type": "Warning",
        "container": "server",
        "state": "waiting",
        "restarts": chance.randrange(6),
        "exit_code": chance.randrange(2),
        "memory_limit_bytes": chance.choice((0, 128 << 20, 1 << 30)),
        "phase": "Failed",
        "healthy": False,
        "ready": False,
        "query": "lag",
        "value": chance.random() * 100,
        "alertname": "Slow",
        "status": "firing",
        "fingerprint": f"{chance.randrange(4)}",
        "starts_at": moment,
    }
