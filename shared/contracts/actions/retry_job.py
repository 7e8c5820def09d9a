"""retry-job: run a Job that failed for good once more, as a new Job from the same template."""

from collections.abc import Generator
from typing import ClassVar, Literal

from shared.contracts.actions.base import ActionBase, Course, Done, Inquiry, Order, RefusedError, find, read_all
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.preconditions import check_standing, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.objects import annotations_of, condition, flag, section, text, uid_of
from shared.contracts.paths import collection_of
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Create, Get
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import EventSignal, Signal
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

RETRIES_ANNOTATION = "sre-agent.dev/retries"
"""The uid of the Job that a Job runs again."""
_NAME_CHARS = 63
"""Of a Job: its pods carry its name as the value of a label."""
_OF_THE_JOB_ITSELF = frozenset(
    {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}
)
_SET_ANEW = frozenset({"selector", "manualSelector"})


class RetryJob(ActionBase):
    """Run a Job that has failed for good once more, as a new Job from the same template; the failed one stays.

    The new Job has no owner. One that was run again is not run again itself, and none is while another of it runs.
    """

    HEALS: ClassVar[str] = "a Job that failed for a trouble that is over, and that may run twice"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Job", "CronJob"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(["jobs"], verbs=["get", "list", "create"], group="batch") | {
        Right("batch", "cronjobs", "get")
    }

    kind: Literal["retry-job"] = "retry-job"
    job: str
    uid: str = ""

    def course(self, order: Order) -> Course:
        """Create a Job under a name that derives from the command; one of a CronJob only where two may run at once."""
        if order.workload.kind not in self.KINDS:
            raise RefusedError(Refusal.KIND_NOT_SUPPORTED)
        jobs = collection_of("Job", order.workload.namespace)
        job = yield from read_unprotected(f"{jobs}/{self.job}", order)
        if self.uid not in {"", uid_of(job)}:
            raise RefusedError(Refusal.TARGET_REPLACED)
        yield from self._check_owner(job, order)
        if not _has_failed(job):
            raise RefusedError(Refusal.NOT_FAILED)
        others = yield from read_all(jobs)
        if RETRIES_ANNOTATION in annotations_of(job) or any(_holds_back(one, job) for one in others):
            raise RefusedError(Refusal.ALREADY_RETRIED)
        yield Create(jobs, self._again(job, order))
        return Done((f"job {self.job}: run again as job {self._name(order)}",))

    def happened(self, order: Order) -> Inquiry:
        """Tell whether the new Job is there, under the command's mark."""
        again = WorkloadRef(kind="Job", namespace=order.workload.namespace, name=self._name(order))
        found = yield from find(again)
        return found is not None and is_marked(found, order.command)

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the Job that failed."""
        return WorkloadRef(kind="Job", namespace=workload.namespace, name=self.job)

    def in_words(self) -> str:
        """Name the Job."""
        return f"run job {self.job} again"

    def _check_owner(self, job: JsonObject, order: Order) -> Generator[Get, Answer, None]:
        if order.workload.kind == "Job":
            if self.job != order.workload.name:
                raise RefusedError(Refusal.NOT_OF_WORKLOAD)
            return
        spec = section((yield from check_standing(job, order)), "spec")
        if flag(spec, "suspend") or text(spec, "concurrencyPolicy") not in {"", "Allow"}:
            raise RefusedError(Refusal.CRON_JOB_FORBIDS)

    def _again(self, job: JsonObject, order: Order) -> JsonObject:
        template = section(job, "spec", "template")
        labelled: JsonObject = {**section(template, "metadata"), "labels": _labels_of(template)}
        kept: JsonObject = {name: value for name, value in section(job, "spec").items() if name not in _SET_ANEW}
        metadata: JsonObject = {
            "name": self._name(order),
            "namespace": order.workload.namespace,
            "labels": _labels_of(job),
            "annotations": {**order.marks, RETRIES_ANNOTATION: uid_of(job)},
        }
        spec: JsonObject = {**kept, "suspend": False, "template": {**template, "metadata": labelled}}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}

    def _name(self, order: Order) -> str:
        ending = derive("again", order.command)
        return f"{self.job[: _NAME_CHARS - len(ending) - 1].rstrip('-.')}-{ending}"


class RetryJobRung(ActionRungBase):
    """Run the Job that failed once more, as a new Job; it must be one that may run twice."""

    action: Literal["retry-job"]
    """Run the Job that failed once more, as a new Job from the same template."""

    def aimed(self, signal: Signal) -> RetryJob | Reason:
        """Take the Job that an event is about, or the one that the workload is."""
        if isinstance(signal, EventSignal) and signal.object.kind == "Job":
            return RetryJob(job=signal.object.name, uid=signal.object.uid)
        if signal.workload.kind == "Job":
            return RetryJob(job=signal.workload.name)
        return Reason.TARGET_UNSUITABLE

    def in_words(self) -> str:
        """Say that it is a new one."""
        return "run the job that failed once more, as a new job"


def _has_failed(job: JsonObject) -> bool:
    return text(condition(job, "Failed"), "status") == "True"


def _holds_back(other: JsonObject, job: JsonObject) -> bool:
    return annotations_of(other).get(RETRIES_ANNOTATION) == uid_of(job) and not _has_failed(other)


def _labels_of(source: JsonObject) -> JsonObject:
    """Return the labels that are not the Job's own, which the API server gives to each."""
    told = section(source, "metadata", "labels").items()
    return {name: value for name, value in told if name not in _OF_THE_JOB_ITSELF}
