"""Where in a cluster a stop may stand, and what it says there. Pure."""

from dataclasses import dataclass

from shared.contracts.actions.marks import STOP_ANNOTATION
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.contracts.stops import EVERYTHING, Stop, Way, stop_key
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef

AGENT_NAMESPACE = "sre-agent"
"""What is annotated there, or its ConfigMap, stops everything."""
STOP_CONFIG_MAP = "sre-agent-stop"
_NOBODY, _NO_CAUSE = "somebody who left no name", "no reason was left"
_WORD_CHARS = 500


@dataclass(frozen=True, slots=True)
class Place:
    """An object that may say that what lies in its scope is stopped."""

    way: Way
    scope: str

    @property
    def key(self) -> str:
        """Return the key of the stops that stand here."""
        return stop_key(self.way, self.scope)


@dataclass(frozen=True, slots=True)
class Word:
    """Whose stop it is, and why."""

    by: str
    cause: str


OVER_ALL = (Place(Way.CONFIG_MAP, EVERYTHING), Place(Way.ANNOTATION, EVERYTHING))


def places_over(workload: WorkloadRef) -> tuple[Place, ...]:
    """Return where stops may stand that hold for a workload, the widest first."""
    own = Place(Way.ANNOTATION, workload.key)
    if workload.namespace == CLUSTER_SCOPE:
        return (*OVER_ALL, own)
    return (*OVER_ALL, Place(Way.ANNOTATION, workload.namespace), own)


def place_of(stop: Stop) -> Place | None:
    """Return the object by which a stop is in force; None of one that is in force by its message alone."""
    return None if stop.way is Way.API else Place(stop.way, stop.scope)


def word_at(place: Place, source: JsonObject) -> Word | None:
    """Return the stop that an object says, if it says one: that it is there counts, whatever is written in it."""
    if place.way is Way.CONFIG_MAP:
        told = section(source, "data")
        return _word(text(told, "owner"), text(told, "reason"))
    annotations = section(source, "metadata", "annotations")
    if STOP_ANNOTATION not in annotations:
        return None
    owner, colon, cause = text(annotations, STOP_ANNOTATION).partition(":")
    return _word(owner, cause) if colon else _word("", owner)


def _word(by: str, cause: str) -> Word:
    return Word(by.strip()[:_WORD_CHARS] or _NOBODY, cause.strip()[:_WORD_CHARS] or _NO_CAUSE)
