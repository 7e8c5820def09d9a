"""rollback: the template of the revision before, for a Deployment whose rollout fails."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError, read_all
from shared.contracts.actions.disruption import READS_BUDGETS, check_budgets_of_rollout
from shared.contracts.actions.marks import change_of, operations_of
from shared.contracts.actions.ownership import TEMPLATE, in_words
from shared.contracts.actions.preconditions import check_not_undone, check_unowned, path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import (
    annotations_of,
    condition,
    containers_of,
    controller_of,
    section,
    text,
    uid_of,
    version_of,
)
from shared.contracts.paths import collection_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import ContainerSignal, Signal
from shared.kernel.quantities import parse_whole

_REVISION = "deployment.kubernetes.io/revision"
_TEMPLATE_HASH = "pod-template-hash"
REVISION_ANNOTATION = "sre-agent.dev/revision"
"""Names the ReplicaSet whose template comes back: the API server holds the two against each other."""


class Rollback(ActionBase):
    """Give the workload the template of its last revision before the failing one, or that of the `revision` named.

    A revision that a rollback of ours has left is no earlier one: a second rollback goes further back, or nowhere.

    With `unfinished`, only while the failing revision has never been there whole: what broke after that, as where a
    registry or a Secret is away, is not the rollout's doing, and the revision before would break alike.
    """

    HEALS: ClassVar[str] = "a rollout whose new pods do not come up: a wrong image, a crash at start, a failing probe"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(["deployments"], verbs=["get", "patch"], group="apps") | {
        Right("apps", "replicasets", "list"),
        *READS_BUDGETS,
    }

    kind: Literal["rollback"] = "rollback"
    from_template_hash: str = ""
    revision: int = Field(default=0, ge=0, exclude_if=lambda revision: not revision)
    unfinished: bool = Field(default=False, exclude_if=lambda unfinished: not unfinished)

    def course(self, order: Order) -> Course:
        """Put the template of the ReplicaSet before, or of the one named, in place of the Deployment's."""
        path = path_to(order.workload, kinds=self.KINDS)
        deployment = yield from read_unprotected(path, order)
        known = yield from read_all(collection_of("ReplicaSet", order.workload.namespace))
        present, target = self._revisions(deployment, known)
        if self.unfinished and _is_rolled_out(deployment):
            raise RefusedError(Refusal.ROLLED_OUT)
        before, after = _template_hash_of(present), _template_hash_of(target)
        check_not_undone(deployment, TEMPLATE, present=before)
        check_unowned(deployment, TEMPLATE)
        yield from check_budgets_of_rollout(deployment, order)
        marks = order.marks_with(in_words(TEMPLATE), before=before, after=after)
        operations: list[JsonValue] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(deployment)},  # another: 409
            {"op": "replace", "path": "/spec/template", "value": _template_of(target)},
            *operations_of({**marks, REVISION_ANNOTATION: text(section(target, "metadata"), "name")}),
        ]
        yield Patch(path, operations, PatchType.JSON)
        return Done(tuple(_lines(deployment, present, target)))

    def in_words(self) -> str:
        """Say where to."""
        return f"roll back to {f'revision {self.revision}' if self.revision else 'the revision before'}"

    def _revisions(self, deployment: JsonObject, known: Sequence[JsonObject]) -> tuple[JsonObject, JsonObject]:
        """Return the ReplicaSet of the present revision, and that of the one to go back to."""
        owned = [one for one in known if _is_owned(one, deployment)]
        history = sorted(owned, key=_revision_of, reverse=True)
        if not history:
            raise RefusedError(Refusal.NO_EARLIER_REVISION)
        present, *earlier = history
        if self.from_template_hash not in {"", _template_hash_of(present)}:
            raise RefusedError(Refusal.CHANGED_MEANWHILE)
        if not earlier:
            raise RefusedError(Refusal.NO_EARLIER_REVISION)
        return present, self._named(earlier) if self.revision else _last_before(present, earlier, deployment)

    def _named(self, earlier: Sequence[JsonObject]) -> JsonObject:
        named = next((one for one in earlier if _revision_of(one) == self.revision), None)
        if named is None:
            raise RefusedError(Refusal.NO_SUCH_REVISION)
        return named


class RollbackRung(ActionRungBase):
    """Give the workload back the template it had before the failing rollout."""

    action: Literal["rollback"]
    """Give a Deployment the template of the revision before the failing one."""
    unfinished: bool = False
    """Whether to take back only a rollout that has never been there whole, as where its image cannot be got."""

    def aimed(self, signal: Signal) -> Rollback:
        """Roll back from the template of the pod that was found, or from whichever is present."""
        failing = signal.template_hash if isinstance(signal, ContainerSignal) else ""
        return Rollback(from_template_hash=failing, unfinished=self.unfinished)

    def in_words(self) -> str:
        """Say where to."""
        return f"roll back to the revision before{', unless it is rolled out' if self.unfinished else ''}"


def _is_rolled_out(deployment: JsonObject) -> bool:
    """Tell whether the present revision was there whole at least once.

    The Deployment controller says `NewReplicaSetAvailable` from then on, whatever becomes of the pods, until another
    rollout begins (kubernetes.io, Deployments, "Complete Deployment"). It says nothing where no deadline is set
    (`progressDeadlineSeconds` at its maximum): there no pod of another revision may be left.
    """
    progress = condition(deployment, "Progressing")
    if progress:
        return text(progress, "reason") == "NewReplicaSetAvailable"
    status = section(deployment, "status")
    return status.get("updatedReplicas") == status.get("replicas")


def _is_owned(replica_set: JsonObject, deployment: JsonObject) -> bool:
    owner = controller_of(replica_set)
    return owner is not None and owner.get("uid") == uid_of(deployment)


def _last_before(present: JsonObject, earlier: Sequence[JsonObject], deployment: JsonObject) -> JsonObject:
    """Return the last revision before the present one that no rollback of ours has left.

    A rollback makes its target the newest revision, so that what it left counts as the one before: a second one would
    go forward again. The mark names that one alone; what rollbacks before it left was made later than the present one.

    Raises:
        RefusedError: there is none.
    """
    ours = change_of(deployment)
    if ours is None or ours.field != in_words(TEMPLATE):
        return earlier[0]
    is_brought_back = ours.after == _template_hash_of(present)
    for one in earlier:
        is_later = is_brought_back and _created_at(one) > _created_at(present)
        if not is_later and _template_hash_of(one) != ours.before:
            return one
    raise RefusedError(Refusal.NO_EARLIER_REVISION, f"command {ours.command} and those before left the others")


def _created_at(replica_set: JsonObject) -> str:
    """Return when a ReplicaSet was made; as the API server writes it, what is later is larger."""
    return text(section(replica_set, "metadata"), "creationTimestamp")


def _revision_of(replica_set: JsonObject) -> int:
    """Return the number of a ReplicaSet's revision; 0 if it has none."""
    told = str(annotations_of(replica_set).get(_REVISION) or "")
    return parse_whole(told) or 0


def _template_hash_of(replica_set: JsonObject) -> str:
    """Return the hash that labels a ReplicaSet's pods."""
    return str(section(replica_set, "metadata", "labels").get(_TEMPLATE_HASH) or "")


def _template_of(replica_set: JsonObject) -> JsonObject:
    template = dict(section(replica_set, "spec", "template"))
    metadata = dict(section(template, "metadata"))
    labels = {name: value for name, value in section(metadata, "labels").items() if name != _TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _lines(deployment: JsonObject, present: JsonObject, target: JsonObject) -> Iterator[str]:
    yield f"revision: {_revision_of(present)} → template of revision {_revision_of(target)}"
    before = {one.get("name"): one.get("image") for one in containers_of(deployment)}
    for container in containers_of(target):
        image = before.get(container.get("name"))
        if image != container.get("image"):
            yield f"container {container.get('name')}: image: {image} → {container.get('image')}"
