"""The reasons for which a command is not carried out; with each, what it means and what a person does about it.

The runbook (`docs/runbooks/refusals.md`) is generated from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why a command was not carried out."""

    EXPIRED = "expired"
    ORDERED_IN_THE_FUTURE = "ordered-in-the-future"
    PAUSED = "paused"
    PROTECTED_NAMESPACE = "protected-namespace"
    PROTECTED_OBJECT = "protected-object"
    TARGET_GONE = "target-gone"
    TARGET_REPLACED = "target-replaced"
    NOT_OF_WORKLOAD = "not-of-workload"
    NO_CONTROLLER = "no-controller"
    KIND_NOT_SUPPORTED = "kind-not-supported"
    CONTAINER_UNKNOWN = "container-unknown"
    CHANGED_MEANWHILE = "changed-meanwhile"
    NO_EARLIER_REVISION = "no-earlier-revision"
    DISRUPTION_BUDGET = "disruption-budget"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a refusal means, and what a person does about it."""

    meaning: str
    remedy: str


ADVICE: Mapping[Refusal, Advice] = {
    Refusal.EXPIRED: Advice(
        "The command was taken up after the moment until which it was to be carried out: for about a minute there was "
        "no leader, or broker, store or API server was away. What it was ordered for may have changed since.",
        "Nothing for this command. Where it comes again: look which part was away (`/readyz` of the remediators, "
        "`sre-agent status`), and whether commands queue (`sre_message_retries_total`).",
    ),
    Refusal.ORDERED_IN_THE_FUTURE: Advice(
        "The command says that it was ordered more than a minute from now, so its expiry says nothing about how old it "
        "is: the clocks of the broker and of the remediator differ, or somebody has written a later moment into it.",
        "Compare the clocks of the brokers and of the remediators' nodes, and set them right (NTP). The incident tries "
        "again as far as its attempts go.",
    ),
    Refusal.PAUSED: Advice(
        "Everything is paused by a person; the command had been ordered before.",
        "Who paused it and why: `sre-agent status`. When that is over: `sre-agent resume`. The incident orders anew "
        "then, as far as its attempts go.",
    ),
    Refusal.PROTECTED_NAMESPACE: Advice(
        "The workload lies in a namespace that this remediator never touches, whatever a command says "
        "(`SRE_PROTECTED_NAMESPACES`).",
        "Heal it by hand. If rules ought not to reach that namespace, add it to `protected` in the playbook, too: then "
        "nothing is ordered there in the first place.",
    ),
    Refusal.PROTECTED_OBJECT: Advice(
        'The pod, its workload or an owner in between carries `sre-agent.dev/protected: "true"`, or a label that the '
        "playbook protects.",
        "Heal it by hand, or ask the owner of the label whether it may go: `kubectl get KIND NAME --show-labels`.",
    ),
    Refusal.TARGET_GONE: Advice(
        "The object to be changed is not there any more: it was deleted, or replaced under another name.",
        "Nothing, as a rule: its trouble is gone with it. If the workload itself is gone, ask who deleted it.",
    ),
    Refusal.TARGET_REPLACED: Advice(
        "A pod of that name is there, but it is another one (another uid) than the one that was seen in trouble.",
        "Nothing: the new pod is judged by its own signals.",
    ),
    Refusal.NOT_OF_WORKLOAD: Advice(
        "The pod's owners do not lead to the workload that the command names; they were changed, or the pod adopted.",
        "Compare `ownerReferences` in `kubectl get pod NAME -o yaml` with the incident. Restart it by hand if that is "
        "right.",
    ),
    Refusal.NO_CONTROLLER: Advice(
        "Nothing would replace the pod: no controller owns it, so evicting it would be deleting it.",
        "Heal it by hand; let a Deployment, StatefulSet or Job own what is to be healed by itself.",
    ),
    Refusal.KIND_NOT_SUPPORTED: Advice(
        "The action is not defined for this kind of workload, or an owner of the pod is of a kind that cannot be read, "
        "so that whether it is protected cannot be told.",
        "Heal it by hand, and choose another action for this kind in the rule (`workload_kind` in `where`).",
    ),
    Refusal.CONTAINER_UNKNOWN: Advice(
        "The workload's template has no container of that name, at least not any more.",
        "Look what the template holds now; a container that was injected from outside (a sidecar) is changed where it "
        "comes from.",
    ),
    Refusal.CHANGED_MEANWHILE: Advice(
        "The object is not as it was when the action was chosen: somebody else changed it, or it is written so often "
        "that five readings were overtaken.",
        "Look who changes it: `kubectl get KIND NAME -o yaml --show-managed-fields`. A person or a pipeline at work is "
        "a reason for a silence (`sre-agent silence add`).",
    ),
    Refusal.NO_EARLIER_REVISION: Advice(
        "There is no earlier template to go back to: the first revision, or `revisionHistoryLimit` keeps none.",
        "Mend the template by hand. Keep `revisionHistoryLimit` at 2 or more where a rollback is to be possible.",
    ),
    Refusal.DISRUPTION_BUDGET: Advice(
        "A PodDisruptionBudget allows no eviction now: too few of the workload's pods are healthy.",
        "Look which: `kubectl get poddisruptionbudgets -n NAMESPACE`. Bring the other pods up first; a budget that can "
        "never allow one (`minAvailable` equal to `replicas`) is to be mended.",
    ),
    Refusal.FORBIDDEN: Advice(
        "The API server does not allow it: the remediator is not bound in the namespace, or an admission policy denies "
        "it. The result's message is the API server's.",
        "To have the namespace healed, bind the remediator there (docs/operating.md, Rights in the cluster). Where the "
        "message is a policy's, the change is one that only a person may make.",
    ),
    Refusal.REJECTED: Advice(
        "The API server refused it for another reason: an invalid object, a quota, an admission webhook. The result's "
        "message is the API server's.",
        "Read the message, and try the change by hand with `--dry-run=server`.",
    ),
}
"""What each refusal means, and what is to be done."""
