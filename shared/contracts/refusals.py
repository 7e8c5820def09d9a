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
    ROLLED_OUT = "rolled-out"
    NOT_FAILED = "not-failed"
    NOT_STUCK = "not-stuck"
    ALREADY_RETRIED = "already-retried"
    CRON_JOB_FORBIDS = "cron-job-forbids"
    STILL_RUNS = "still-runs"
    TEMPLATE_UNBOUNDED = "template-unbounded"
    WEBHOOK_UNKNOWN = "webhook-unknown"
    WEBHOOK_AWAY = "webhook-away"
    WEBHOOK_REFUSES = "webhook-refuses"
    NOT_OURS = "not-ours"
    TOO_FEW_NODES = "too-few-nodes"
    TOO_MANY_PODS = "too-many-pods"
    NO_SUCH_REVISION = "no-such-revision"
    NOTHING_TO_CHANGE = "nothing-to-change"
    NOTHING_ROLLS_OUT = "nothing-rolls-out"
    BOUND_REACHED = "bound-reached"
    SWITCHED_OFF = "switched-off"
    OWNED_BY_OTHER = "owned-by-other"
    UNDONE_BY_OTHER = "undone-by-other"
    NO_EARLIER_STATE = "no-earlier-state"
    NO_LIMIT = "no-limit"
    CAP_REACHED = "cap-reached"
    NO_AUTOSCALER = "no-autoscaler"
    CLAIM_NOT_BOUND = "claim-not-bound"
    RESIZE_UNDER_WAY = "resize-under-way"
    VOLUME_CANNOT_GROW = "volume-cannot-grow"
    DATA_ON_EMPTYDIR = "data-on-emptydir"
    DISRUPTION_BUDGET = "disruption-budget"
    SEVERAL_BUDGETS = "several-budgets"
    BUDGET_WORKLOAD = "budget-workload"
    BUDGET_NODE = "budget-node"
    BUDGET_NAMESPACE = "budget-namespace"
    BUDGET_CLUSTER = "budget-cluster"
    AT_ONCE_NODE = "at-once-node"
    AT_ONCE_NAMESPACE = "at-once-namespace"
    AT_ONCE_NODES = "at-once-nodes"
    AT_ONCE_CLUSTER = "at-once-cluster"
    NODE_IN_TROUBLE = "node-in-trouble"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"
    ADMISSION_AWAY = "admission-away"
    SERVER_ERROR = "server-error"


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
        "A stop is in force over the workload: a person has stopped everything, its namespace or itself. The result's "
        "message says who, why, since when and by which way.",
        "All stops in force: `sre-agent status`. When it is over, lift it the way it came: `sre-agent resume` (api), "
        "`kubectl annotate KIND NAME sre-agent.dev/pause-` (annotation), `kubectl delete configmap sre-agent-stop -n "
        "sre-agent` (config-map). The incident orders anew then, as far as its attempts go.",
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
        "There is no earlier template to go back to: it is the first revision, `revisionHistoryLimit` keeps none, or a "
        "rollback has left the others already (the result's message names its command).",
        "Mend the template by hand, or ask by hand for a rollback to a revision that is named. Keep "
        "`revisionHistoryLimit` at 2 or more where a rollback is to be possible.",
    ),
    Refusal.ROLLED_OUT: Advice(
        "The step takes back only a rollout that has not come through (`unfinished: true`), and the present revision "
        "was there whole before its pods broke: the rollout is not the cause, and the one before would break alike.",
        "Look what else changed: a registry, a pull Secret, a ConfigMap or a node that is away or new. Where it is the "
        "release all the same: `sre-agent act` with `rollback`, or `kubectl rollout undo`.",
    ),
    Refusal.NOT_FAILED: Advice(
        "The pod or the Job has not failed, at least not any more: what runs, waits or is done is never deleted, nor "
        "run again. A pod that is about to go is deleted by a step with `force` alone.",
        "Nothing, as a rule. Where it is broken all the same, choose another action (`restart-pod`).",
    ),
    Refusal.NOT_STUCK: Advice(
        "The pod is about to go, and its grace was over less than five minutes ago (or is not yet): its kubelet may "
        "still end it.",
        "Wait. Where its node is gone for good, delete the node: its pods go with it.",
    ),
    Refusal.ALREADY_RETRIED: Advice(
        "The Job is one that was run again itself, or there is a Job that runs it again and has not failed: it waits, "
        "runs, or is done.",
        "Look at the annotation `sre-agent.dev/retries`, which names the uid of the Job that is run again. A Job that "
        "fails twice wants a person.",
    ),
    Refusal.CRON_JOB_FORBIDS: Advice(
        "The CronJob lets no two of its Jobs run at once (`concurrencyPolicy`): what a command makes has no owner, so "
        "the CronJob would not know of it, and start the next one beside it. Or it is suspended, and a Job of it is to "
        "be run again.",
        "Run it by hand when no other is due: `kubectl create job NAME --from=cronjob/CRONJOB`. A CronJob that is a "
        "template for `run-job` alone is to be suspended: then it starts nothing itself.",
    ),
    Refusal.STILL_RUNS: Advice(
        "A Job of that template has not ended yet, and its CronJob lets no two of them run at once "
        "(`concurrencyPolicy`). The result's message names it.",
        "Wait for it, or look what holds it up: `kubectl describe job NAME`. The incident tries again as far as its "
        "attempts go.",
    ),
    Refusal.TEMPLATE_UNBOUNDED: Advice(
        "A Job of that template could go on for ever, or for longer than the step lets it: it sets no deadline "
        "(`spec.jobTemplate.spec.activeDeadlineSeconds`), a longer one than `at_most`, or more retries than 6. The "
        "result's message has the figure.",
        "Set a deadline in the CronJob's template that its work needs, and the step's `at_most` to that. Of retries "
        "(`backoffLimit`, or `backoffLimitPerIndex`) 6 are the most.",
    ),
    Refusal.WEBHOOK_UNKNOWN: Advice(
        "The step names a webhook that this remediator has no address of (`SRE_WEBHOOKS_FILE`). A playbook cannot name "
        "an address itself.",
        "If it is to be called, add it to that file, with its address and its key, and restart the remediators. Else "
        "mend the name in the playbook.",
    ),
    Refusal.WEBHOOK_AWAY: Advice(
        "No connection to the webhook came about within the step's `deadline`, so nothing was sent: its name is not "
        "known, nobody listens, or its certificate is not trusted. The result's message says which.",
        "Look whether it runs, and whether the remediator's namespace may reach it (NetworkPolicy, proxy, DNS). The "
        "incident tries again as far as its attempts go.",
    ),
    Refusal.WEBHOOK_REFUSES: Advice(
        "The webhook understood and does not do it: it answered with a status of 4xx, or would have the call sent "
        "elsewhere (3xx), which is not followed. The result's message has the status.",
        "401 and 403: compare the keys of both sides, and their clocks. 404 and 3xx: mend the address in "
        "`SRE_WEBHOOKS_FILE`. Else look at the receiver's log, by the `webhook-id`, which is the command.",
    ),
    Refusal.NOT_OURS: Advice(
        "The node was cordoned by somebody else (it lacks the annotation `sre-agent.dev/cordoned`, or its "
        "`managedFields` name who cordoned it since), who has a reason. Of a pause or a suspension that was to be "
        "taken back: somebody else set it since. Of a Job that was to be made: there is one of that name which does "
        "not carry the command's mark.",
        "Ask who set it (`kubectl get KIND NAME -o yaml --show-managed-fields`), and take it back by hand: `kubectl "
        "uncordon NODE`, `kubectl rollout resume`. Look who made the Job, and why under such a name: nobody gets one "
        "by accident.",
    ),
    Refusal.TOO_FEW_NODES: Advice(
        "Too few of the other nodes are ready and take pods for this one to be taken out: another is cordoned or not "
        "ready, or there is none besides.",
        "Bring the other nodes back first: `kubectl get nodes`. Where more may be out at the same time, lower the "
        "step's `least_schedulable`.",
    ),
    Refusal.TOO_MANY_PODS: Advice(
        "More pods would have to leave the node than the step's `at_most` allows; none was touched.",
        "Drain it by hand (`kubectl drain NODE`), or raise `at_most` if as many may be moved at once.",
    ),
    Refusal.NO_SUCH_REVISION: Advice(
        "The revision that was named is not kept any more, or is the present one.",
        "Look which there are: `kubectl rollout history deployment NAME`, and name one of them.",
    ),
    Refusal.NOTHING_TO_CHANGE: Advice(
        "The object is already as the action would make it: paused, suspended, or neither. Somebody else was first.",
        "Nothing, if that is what was wanted. If a person switched it, ask them before it is switched again.",
    ),
    Refusal.NOTHING_ROLLS_OUT: Advice(
        "A new template would replace no pod: the rollout is paused, or the update strategy is `OnDelete`.",
        "Look who paused it, and `kubectl rollout resume` when that is over. With `OnDelete` delete the pods by hand, "
        "or choose `restart-pod` in the rule.",
    ),
    Refusal.BOUND_REACHED: Advice(
        "There are as many replicas already as the step's `max` allows, or as few as its `min`.",
        "Look whether more help at all. If they do, raise the bound in the playbook.",
    ),
    Refusal.SWITCHED_OFF: Advice(
        "The workload has no replicas: a person, or a schedule, switched it off, and only they switch it on again.",
        "Nothing, if that is meant. A rule that opens incidents about what is off is to be narrowed.",
    ),
    Refusal.OWNED_BY_OTHER: Advice(
        "Another actor keeps that field as it wants it: Argo CD or Flux as it stands in a repository, an autoscaler by "
        "what it measures, an operator or KEDA what it made. It would undo the change, or fight it. The result's "
        "message names field and owner.",
        "Change it where the owner has it: in the repository, in the autoscaler, or in the object that the operator "
        "reads (a database's, a broker's). Where the owner is to leave the field alone (`ignoreDifferences`, a field "
        "taken out of the manifest), say so on the object: the annotation `sre-agent.dev/despite-owner` with the "
        "owner's word (`argo-cd`, `flux`, `keda`, `hpa`, `vpa`, `operator`; "
        "several with commas).",
    ),
    Refusal.UNDONE_BY_OTHER: Advice(
        "The field has again the value that an earlier command changed: somebody undid that. Doing it anew would begin "
        "a fight of two. The result's message names the command, and who wrote the field last.",
        "Ask who wrote it (`kubectl get KIND NAME -o yaml --show-managed-fields`), and agree whose the field is. To "
        "let it be changed again: `kubectl annotate KIND NAME sre-agent.dev/change-`.",
    ),
    Refusal.NO_EARLIER_STATE: Advice(
        "There is nothing to set back: the object does not say (`sre-agent.dev/former`) what the command that is to be "
        "undone found in its place. The change was never made, or another came after it, or somebody took that away. "
        "A Service that is to be restored does not say what it was declared with (`kubectl apply`), or is just that.",
        "Look what the object says now, and what the incident's step changed (`sre-agent incident ID`); set it "
        "back by hand where that is right.",
    ),
    Refusal.NO_LIMIT: Advice(
        "The container has neither a limit nor a request of that resource that could be multiplied.",
        "Nothing holds it back there: look for another cause. Give it a request, so that it has a share of its own.",
    ),
    Refusal.CAP_REACHED: Advice(
        "What is to be raised is as large as the step lets it become already.",
        "Look why that is not enough. Raise the step's cap (`cap`, `at_most`) if more is right.",
    ),
    Refusal.NO_AUTOSCALER: Advice(
        "No HorizontalPodAutoscaler of the namespace scales the workload, or several do and which one is meant cannot "
        "be told.",
        "`kubectl get horizontalpodautoscalers -n NAMESPACE`. Several for one workload work against each other: keep "
        "one.",
    ),
    Refusal.CLAIM_NOT_BOUND: Advice(
        "The claim has no volume yet, has lost it, or is about to be deleted: there is nothing to grow.",
        "`kubectl describe persistentvolumeclaim NAME` tells what it waits for.",
    ),
    Refusal.RESIZE_UNDER_WAY: Advice(
        "The claim asks for more already, and the volume has not grown so far yet.",
        "`kubectl describe persistentvolumeclaim NAME` tells how far it is; some volumes grow only when their pod is "
        "started anew.",
    ),
    Refusal.VOLUME_CANNOT_GROW: Advice(
        "The claim's StorageClass does not say `allowVolumeExpansion: true`, or it has none, so the volume is as large "
        "as it will ever be.",
        "Make room, or move to a larger volume by hand. Allow it in the StorageClass if the storage behind can grow.",
    ),
    Refusal.DATA_ON_EMPTYDIR: Advice(
        "Pods of a StatefulSet would be replaced or taken away whose template has an `emptyDir`, on disk or in memory: "
        "what they keep there goes with them. No rule does that by itself. The result's message names the StatefulSet "
        "and its volumes.",
        "Save what is kept there, then let a person do it: `mode: approval` for the step, or the action by hand. "
        "What is to last belongs into a `volumeClaimTemplate`. A workload that is never to be touched is protected by "
        "its label.",
    ),
    Refusal.DISRUPTION_BUDGET: Advice(
        "A PodDisruptionBudget allows no eviction now: too few of the workload's pods are healthy. Of a new template: "
        "the workload's strategy lets a rollout take more pods than the budget leaves (the message has both numbers). "
        "Of fewer replicas: more pods would go at once than the budget allows as it counts now. "
        "Of a drain: where it was held up half-way, the message says what it had evicted, and its node stays cordoned.",
        "Look which: `kubectl get poddisruptionbudgets -n NAMESPACE`. Bring the other pods up first; a budget that can "
        "never allow one (`minAvailable` equal to `replicas`) is to be mended. Of a new template: lower the workload's "
        "`maxUnavailable`, with `maxSurge` above 0, until a rollout leaves what the budget asks for.",
    ),
    Refusal.SEVERAL_BUDGETS: Advice(
        "More than one PodDisruptionBudget selects the pod, which the API server's evictions do not support: it "
        "answers each with an error, however many pods are healthy. `kubectl drain` fails at it, too.",
        "Look which: `kubectl get poddisruptionbudgets -n NAMESPACE -o yaml`, and narrow their selectors, so that each "
        "pod is under one of them.",
    ),
    Refusal.BUDGET_WORKLOAD: Advice(
        "The brake: this workload was healed in the last hour as often as it may be (`SRE_BRAKE_WORKLOAD_PER_HOUR`). "
        "The message has the figures; the incident waits, without spending an attempt, and orders anew.",
        "Ask why healing it does not last: what is healed every ten minutes needs a person. Raise the limit only where "
        "that many healings are what you want.",
    ),
    Refusal.BUDGET_NODE: Advice(
        "The brake: as many pods of this node were healed in the last hour as may be (`SRE_BRAKE_NODE_PER_HOUR`). The "
        "incident waits and orders anew.",
        "Look at the node before its pods: `kubectl describe node NAME`. What ails many of them is the node's.",
    ),
    Refusal.BUDGET_NAMESPACE: Advice(
        "The brake: as many healings were done in this namespace in the last hour as may be "
        "(`SRE_BRAKE_NAMESPACE_PER_HOUR`). The incident waits and orders anew.",
        "Look for what its workloads share: a database, a secret, a quota, a release. What must not wait is healed by "
        "hand; the brake holds the remediator alone.",
    ),
    Refusal.BUDGET_CLUSTER: Advice(
        "The brake: as many healings were done in the whole cluster in the last hour as may be "
        "(`SRE_BRAKE_CLUSTER_PER_HOUR`). The incidents wait and are taken up in the order of their severity.",
        "A storm: look for one cause (network, DNS, registry, storage, a release everywhere) before healing each. "
        "`sre-agent pause` stops all until it is found.",
    ),
    Refusal.AT_ONCE_NODE: Advice(
        "The brake: as many healings are open on this node, done and not proven yet, as may be at once "
        "(`SRE_BRAKE_NODE_AT_ONCE`). The incident waits until one is proven, and orders anew.",
        "Nothing, as a rule. Where it stays: look why the open ones do not become healthy.",
    ),
    Refusal.AT_ONCE_NAMESPACE: Advice(
        "The brake: as many healings are open in this namespace, done and not proven yet, as may be at once "
        "(`SRE_BRAKE_NAMESPACE_AT_ONCE`, or `SRE_BRAKE_NAMESPACE_PERCENT` of its workloads where that is fewer). The "
        "incident waits until one is proven, and orders anew.",
        "Nothing, as a rule. Where it stays: look why the open ones do not become healthy.",
    ),
    Refusal.AT_ONCE_NODES: Advice(
        "The brake: healings are open on as many nodes as may be touched at once (`SRE_BRAKE_NODES_PERCENT` of the "
        "cluster's). The incident waits until one is proven, and orders anew.",
        "Nothing, as a rule. Where it stays: look what the nodes share, before the pods on them.",
    ),
    Refusal.AT_ONCE_CLUSTER: Advice(
        "The brake: as many healings are open in the cluster, done and not proven yet, as may be at once "
        "(`SRE_BRAKE_CLUSTER_AT_ONCE`). The incident waits until one is proven, and orders anew.",
        "Nothing, as a rule. Where it stays: look why the open ones do not become healthy.",
    ),
    Refusal.NODE_IN_TROUBLE: Advice(
        "The pod's node is not ready, or an incident is open on it: restarting its pods would not help, and would move "
        "load onto others. The incident waits and orders anew.",
        "Heal the node: `kubectl describe node NAME`. To move the pods off it, drain it by hand.",
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
    Refusal.ADMISSION_AWAY: Advice(
        "The API server has to ask an admission webhook about the change, and that does not answer, or not as it "
        "should; nothing was written. Such a webhook fails closed (`failurePolicy: Fail`), so people cannot make the "
        "change either. The result's message names it.",
        "Look whether what serves the webhook runs: `kubectl get validatingwebhookconfigurations,"
        "mutatingwebhookconfigurations`, and its Service and pods. The incident tries again as far as its attempts go.",
    ),
    Refusal.SERVER_ERROR: Advice(
        "The API server failed at this one request, and answered others. Of a dry run, and of what it was only to "
        "judge, nothing was written. Of a live command it may have been, and the object does not tell that it was: "
        "its result is `unknown`, or `failed` where it had begun, and not `refused`.",
        "Read the message, look at the API server's log, and at the object; try the change by hand with "
        "`--dry-run=server`. The incident looks whether the cure is there, and tries again as far as its attempts go.",
    ),
}
"""What each refusal means, and what is to be done."""
