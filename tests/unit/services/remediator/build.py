"""Builders for the remediator's tests: commands, results, and a trail of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.remediator.core.trail import Link, link_of, next_entry
from services.remediator.trust import OwnTrust
from shared.contracts.actions import Rollback
from shared.contracts.codec import body_of
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive
from tests.keys import RECORDS_KEY, checks_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WEB = WorkloadRef(kind="Deployment", namespace="bank", name="web")


def command(name: str = "cmd-1", **fields: Any) -> Command:
    usual: dict[str, Any] = {
        "id": name,
        "at": NOW,
        "workload": WEB,
        "incident": "inc-1",
        "rule": "crash-loop",
        "playbook": "hash",
        "step": 0,
        "attempt": 1,
        "action": Rollback(),
        "dry_run": False,
        "expires_at": NOW + timedelta(seconds=60),
        "requested_by": "rule crash-loop",
    }
    return Command(**(usual | fields))


def result(asked: Command, **fields: Any) -> Result:
    usual: dict[str, Any] = {
        "id": derive("result", asked.id),
        "at": NOW,
        "workload": asked.workload,
        "command": asked.id,
        "incident": asked.incident,
        "action": asked.action,
        "outcome": Outcome.APPLIED,
        "reason": "applied",
        "changes": ("container server: image: web:v2 → web:v1",),
        "token": 1,
    }
    return Result(**(usual | fields))


OWN = OwnTrust(checks_of([RECORDS_KEY.public]), cluster="local")
"""Believes what the remediators of the tests sign."""


def entry_bytes(number: int, *, after: Link | None, token: int = 1) -> bytes:
    asked = command(f"cmd-{number}")
    return body_of(next_entry(asked, result(asked), after=after, token=token))


def chained(*tokens: int) -> list[bytes]:
    """Return the values of a chain's records, one a token."""
    values: list[bytes] = []
    head: Link | None = None
    for number, token in enumerate(tokens):
        asked = command(f"cmd-{number}")
        entry = next_entry(asked, result(asked), after=head, token=token)
        values.append(body_of(entry))
        head = link_of(entry, values[-1])
    return values
