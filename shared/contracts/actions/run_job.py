"""run-job: run a Job from a template that the playbook names: a CronJob of the workload's namespace.

It is what `kubectl create job --from=cronjob/NAME` makes, with three differences. It has no owner: kubectl gives it the
CronJob as its controller, which would end it for its next run (`Replace`), take it away by its count of kept Jobs, and
along with itself. It carries no annotations of the template, by which other controllers are told what to do. And it
goes a day after its end where the template does not say when, since nobody else takes it away.
"""

from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Inquiry, Order, RefusedError, find, read_all
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.preconditions import path_to, read_unprotected, refuse_stopped
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.objects import annotations_of, condition, flag, number, section, sections, text, uid_of
from shared.contracts.paths import collection_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Create, Get, ListAll
from shared.contracts.rights import WORKLOADS, Right, rights_on
from shared.contracts.signals import Signal
from shared.contracts.words import Length
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

CRON_JOB_ANNOTATION = "sre-agent.dev/cronjob"
"""The CronJob that a Job has its template of: by it the API server holds the one against the other."""
_BY_HAND = {"cronjob.kubernetes.io/instantiate": "manual"}
"""How Kubernetes says of a Job that no schedule has begun it."""
_NAME_CHARS = 63
"""Of a Job: its pods carry its name as the value of a label."""
_MOST_RETRIES = 6
"""What Kubernetes takes where a template says nothing; more is no template for a cure."""
_KEPT_SECONDS = 24 * 60 * 60


class RunJob(ActionBase):
    """Run a Job from the template of a CronJob of the same namespace; the template says by when it must have ended.

    The new Job has no owner, and goes a day after its end where the template does not say when. What it has done,
    nothing undoes: to take it away would end it half-way, and its own deadline ends it anyway.
    """

    HEALS: ClassVar[str] = (
        "what a Job that a person has prepared can mend: an index, a cache, a queue, a lost partition"
    )
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"})
    RIGHTS: ClassVar[frozenset[Right]] = (
        rights_on(["jobs"], verbs=["get", "list", "create"], group="batch")
        | rights_on(WORKLOADS, verbs=["get"], group="apps")
        | {Right("batch", "cronjobs", "get"), Right("", "namespaces", "get")}
    )

    kind: Literal["run-job"] = "run-job"
    cronjob: str
    at_most_seconds: int = Field(default=3600, gt=0)

    def course(self, order: Order) -> Course:
        """Create a Job under a name that derives from the command, unless it is there already under its mark."""
        path = path_to(order.workload, kinds=self.KINDS)
        made = yield from find(self._job(order))
        if made is not None:
            return self._made_before(made, order)
        yield from read_unprotected(path, order)
        cron = yield from self._template(order)
        self._check_bounds(section(cron, "spec", "jobTemplate", "spec"))
        yield from _check_alone(cron, order)
        yield Create(collection_of("Job", order.workload.namespace), self._body(cron, order))
        return Done((f"cronjob {self.cronjob}: run as job {self._job(order).name}",))

    def happened(self, order: Order) -> Inquiry:
        """Tell whether the new Job is there, under the command's mark."""
        found = yield from find(self._job(order))
        return found is not None and is_marked(found, order.command)

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the CronJob."""
        return WorkloadRef(kind="CronJob", namespace=workload.namespace, name=self.cronjob)

    def in_words(self) -> str:
        """Name the CronJob."""
        return f"run a job from cronjob {self.cronjob}"

    def _job(self, order: Order) -> WorkloadRef:
        ending = derive("run", order.command)
        name = f"{self.cronjob[: _NAME_CHARS - len(ending) - 1].rstrip('-.')}-{ending}"
        return WorkloadRef(kind="Job", namespace=order.workload.namespace, name=name)

    def _made_before(self, job: JsonObject, order: Order) -> Done:
        if not is_marked(job, order.command):
            raise RefusedError(Refusal.NOT_OURS, f"job {self._job(order).name} is there, and lacks the command's mark")
        return Done((f"cronjob {self.cronjob}: ran as job {self._job(order).name} already",))

    def _template(self, order: Order) -> Generator[Get, Answer, JsonObject]:
        space = order.workload.namespace
        refuse_stopped((yield from read_unprotected(f"/api/v1/namespaces/{space}", order)))
        cron = yield from read_unprotected(f"{collection_of('CronJob', space)}/{self.cronjob}", order)
        refuse_stopped(cron)
        if text(section(cron, "metadata"), "deletionTimestamp"):
            raise RefusedError(Refusal.TARGET_GONE, f"cronjob {self.cronjob} is being deleted")
        return cron

    def _check_bounds(self, template: JsonObject) -> None:
        deadline = number(template, "activeDeadlineSeconds")
        if not 0 < deadline <= self.at_most_seconds:
            told = f"activeDeadlineSeconds is {deadline or 'not set'}, and may be {self.at_most_seconds} at the most"
            raise RefusedError(Refusal.TEMPLATE_UNBOUNDED, told)
        retries = number(template, "backoffLimitPerIndex", number(template, "backoffLimit", _MOST_RETRIES))
        if retries > _MOST_RETRIES:
            told = f"its pods may fail {retries} times, and {_MOST_RETRIES} are the most"
            raise RefusedError(Refusal.TEMPLATE_UNBOUNDED, told)

    def _body(self, cron: JsonObject, order: Order) -> JsonObject:
        template = section(cron, "spec", "jobTemplate")
        metadata: JsonObject = {
            "name": self._job(order).name,
            "namespace": order.workload.namespace,
            "labels": section(template, "metadata", "labels"),
            "annotations": {**order.marks, **_BY_HAND, CRON_JOB_ANNOTATION: self.cronjob},
        }
        spec: JsonObject = {"ttlSecondsAfterFinished": _KEPT_SECONDS, **section(template, "spec")}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


class RunJobRung(ActionRungBase):
    """Run a Job from the template of a CronJob, which must set a deadline of its own."""

    action: Literal["run-job"]
    """Run a Job from the template of a CronJob in the workload's namespace, as `kubectl create job --from` does."""
    cronjob: str = Field(min_length=1, max_length=52)
    """The CronJob by its name; where it is suspended it is a template and nothing else."""
    at_most: Length = timedelta(hours=1)
    """How long a deadline (`activeDeadlineSeconds`) the template may have at the most; it is refused with none."""

    def aimed(self, signal: Signal) -> RunJob:  # noqa: ARG002 - the step itself names the template
        """Take the CronJob that the step names."""
        return RunJob(cronjob=self.cronjob, at_most_seconds=self.at_most // timedelta(seconds=1))

    def in_words(self) -> str:
        """Name the CronJob."""
        return f"run a job from cronjob {self.cronjob}"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a name that no CronJob can have."""
        if "/" in self.cronjob:
            yield "cronjob", "no CronJob has such a name; expected its name alone"


def _check_alone(cron: JsonObject, order: Order) -> Generator[ListAll, Answer, None]:
    spec = section(cron, "spec")
    if text(spec, "concurrencyPolicy") in {"", "Allow"}:
        return
    if not flag(spec, "suspend"):  # it would not know of a Job without an owner, and start the next one beside it
        raise RefusedError(Refusal.CRON_JOB_FORBIDS)
    jobs = yield from read_all(collection_of("Job", order.workload.namespace))
    running = next((one for one in jobs if _is_of(one, cron) and not _has_ended(one)), None)
    if running is not None:
        told = f"job {text(section(running, 'metadata'), 'name')} has not ended"
        raise RefusedError(Refusal.STILL_RUNS, told)


def _is_of(job: JsonObject, cron: JsonObject) -> bool:
    """Tell whether a Job has a CronJob's template: by its owner, or by what we wrote on it."""
    owners = {uid_of({"metadata": one}) for one in sections(job, "metadata", "ownerReferences")}
    name = text(section(cron, "metadata"), "name")
    return uid_of(cron) in owners or annotations_of(job).get(CRON_JOB_ANNOTATION) == name


def _has_ended(job: JsonObject) -> bool:
    return any(text(condition(job, kind), "status") == "True" for kind in ("Complete", "Failed"))
