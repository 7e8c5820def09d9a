"""call-webhook: tell a receiver outside of the cluster, which does what nothing here can.

The playbook names the webhook, the remediator's settings its address: so a playbook cannot widen where the remediator
speaks to. What is sent says what is wrong with what, and holds no secret.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Inquiry, Order
from shared.contracts.actions.preconditions import path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.requests import Call
from shared.contracts.rights import WORKLOADS, Right, rights_on
from shared.contracts.signals import Signal
from shared.contracts.words import Length

_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_LONGEST_S = 30
"""Half of what a command lives: others wait behind it."""
_REASON_CHARS = 500


class CallWebhook(ActionBase):
    """Tell a webhook of the workload's trouble; what it does then is its own.

    Nothing in the cluster tells whether it was called, so a leader that takes a command over calls again, under the
    same id. What the receiver has done, nothing undoes.
    """

    HEALS: ClassVar[str] = "what only another system can mend: a pipeline, a load balancer, a database behind an API"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Node"})
    RIGHTS: ClassVar[frozenset[Right]] = (
        rights_on(WORKLOADS, verbs=["get"], group="apps")
        | rights_on(["jobs", "cronjobs"], verbs=["get"], group="batch")
        | {Right("", "nodes", "get")}
    )
    TRACELESS: ClassVar[bool] = True
    QUIET: ClassVar[bool] = True

    kind: Literal["call-webhook"] = "call-webhook"
    webhook: str = Field(pattern=_NAME, max_length=63)
    reason: str = Field(default="", max_length=_REASON_CHARS)
    deadline_seconds: int = Field(default=15, gt=0, le=_LONGEST_S)

    def course(self, order: Order) -> Course:
        """Call it about the workload, unless that is protected; a dry run shows what would be sent."""
        yield from read_unprotected(path_to(order.workload, kinds=self.KINDS), order)
        body = self._body(order)
        yield Call(self.webhook, body, timedelta(seconds=self.deadline_seconds))
        return Done((f"webhook {self.webhook}: {json.dumps(body, separators=(',', ':'), ensure_ascii=False)}",))

    def happened(self, order: Order) -> Inquiry:  # noqa: ARG002 - no object tells, whosever the order
        """Tell nothing: the receiver alone knows, by the id."""
        yield from ()
        return False

    def in_words(self) -> str:
        """Name the webhook."""
        return f"call webhook {self.webhook}"

    def _body(self, order: Order) -> JsonObject:
        target: JsonObject = {
            "kind": order.workload.kind,
            "namespace": order.workload.namespace,
            "name": order.workload.name,
        }
        told: JsonObject = {
            "command": order.command,
            "incident": order.incident,
            "rule": order.rule,
            "target": target,
            "reason": self.reason,
        }
        return {"type": "sre-agent.command", "timestamp": order.at.isoformat(), "data": told}


class CallWebhookRung(ActionRungBase):
    """Call a webhook by its name; its address is the remediator's to know."""

    action: Literal["call-webhook"]
    """Call a webhook that the remediator's settings name; the call is signed, and repeated under the same id."""
    webhook: str = Field(pattern=_NAME, max_length=63)
    """The webhook by its name; the remediator refuses one that it has no address of."""
    reason: str = Field(default="", max_length=_REASON_CHARS)
    """What the receiver is told beside incident, rule and workload."""
    deadline: Length = timedelta(seconds=15)
    """How long it is called again where it is not known to have arrived; 30s at the most."""

    def aimed(self, signal: Signal) -> CallWebhook:  # noqa: ARG002 - any signal names the workload
        """Call it about the workload."""
        seconds = self.deadline // timedelta(seconds=1)
        return CallWebhook(webhook=self.webhook, reason=self.reason, deadline_seconds=min(seconds, _LONGEST_S))

    def in_words(self) -> str:
        """Name the webhook."""
        return f"call webhook {self.webhook}"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a deadline beyond which other commands would expire."""
        if self.deadline > timedelta(seconds=_LONGEST_S):
            yield "deadline", f"expected at most {_LONGEST_S}s, since other commands wait meanwhile"
