"""The Kubernetes Event of a command: what `kubectl describe` tells of it on its workload.

Written as core/v1, with the fields and within the bounds that events.k8s.io/v1 asks for as well.
"""

from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.model import JsonObject
from shared.contracts.objects import OUR_COMPONENT, section, text
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.kernel.ids import derive
from shared.kernel.redaction import redact

NODES_NAMESPACE = "default"
"""Where the events of what has no namespace live."""
_MESSAGE_BYTES = 1_024
_INSTANCE_CHARS = 128
_CUT = "…"


def event_of(command: Command, result: Result, *, about: JsonObject, instance: str) -> JsonObject:
    """Return the Event of a result about a workload's live object; its name derives from the command.

    `about` is the object as the API server tells it, of a node nothing but its kind and name.
    """
    moment = result.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    namespace = namespace_of(command.workload)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": derive(OUR_COMPONENT, "event", command.id), "namespace": namespace},
        "involvedObject": _reference(command.workload, about),
        "type": "Normal" if result.outcome is Outcome.APPLIED else "Warning",
        "reason": _camel(command.action.kind) + _camel(result.outcome),
        "action": _camel(command.action.kind),
        "message": _bounded(redact(_message(command, result)).text),
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": OUR_COMPONENT},
        "reportingComponent": OUR_COMPONENT,
        "reportingInstance": instance[:_INSTANCE_CHARS],
    }


def namespace_of(workload: WorkloadRef) -> str:
    """Return the namespace in which the events of a workload live."""
    return NODES_NAMESPACE if workload.namespace == CLUSTER_SCOPE else workload.namespace


def _message(command: Command, result: Result) -> str:
    said = f"{result.reason}: {result.message}" if result.message else result.reason
    undone = f", to undo {command.reverts}" if command.reverts else ""
    approved = f", approved by {command.approved_by}" if command.approved_by else ""
    asked = f"asked by {command.requested_by}{approved}{undone}; incident {command.incident}, command {command.id}"
    return "; ".join([f"{command.action.kind} {result.outcome} ({said})", asked, *result.changes])


def _reference(workload: WorkloadRef, about: JsonObject) -> JsonObject:
    """Return which object it is about: `kubectl describe` asks for its uid, of a node for its name in that place."""
    metadata = section(about, "metadata")
    scope: JsonObject = {} if workload.namespace == CLUSTER_SCOPE else {"namespace": workload.namespace}
    return {
        **scope,
        "apiVersion": text(about, "apiVersion") or "v1",
        "kind": workload.kind,
        "name": workload.name,
        "uid": text(metadata, "uid") or workload.name,
        "resourceVersion": text(metadata, "resourceVersion"),
    }


def _camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("-"))


def _bounded(message: str) -> str:
    """Return a message within the bound that the API server sets, which counts bytes."""
    raw = message.encode()
    if len(raw) <= _MESSAGE_BYTES:
        return message
    return raw[: _MESSAGE_BYTES - len(_CUT.encode())].decode(errors="ignore") + _CUT
