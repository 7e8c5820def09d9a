"""Label and field selectors, parsed once and asked often."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sandbox.cluster.documents import ReadOnly, labels_of, rows, text, texts, truth, words
from sandbox.cluster.errors import StatusError, bad_request
from sandbox.cluster.resources import EVENTS, NAMESPACES, NODES, PODS, Resource


class Relation(StrEnum):
    """How a requirement compares a label's value."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    ABSENT = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    relation: Relation
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether these labels meet the condition."""
        match self.relation:
            case Relation.IN:
                return labels.get(self.key) in self.values
            case Relation.NOT_IN:
                return labels.get(self.key) not in self.values
            case Relation.EXISTS:
                return self.key in labels
            case Relation.ABSENT:
                return self.key not in labels


LabelSelector = tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One condition on one field: equal, or not."""

    field: str
    value: str
    equal: bool

    def holds(self, document: ReadOnly) -> bool:
        """Tell whether the object meets the condition."""
        return (field_of(document, self.field) == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list or a watch asks for: a namespace, labels, fields."""

    namespace: str = ""
    labels: LabelSelector = ()
    fields: tuple[FieldRequirement, ...] = ()

    def holds(self, document: ReadOnly) -> bool:
        """Tell whether the object belongs to the selection."""
        if self.namespace and text(document, "metadata", "namespace") != self.namespace:
            return False
        labels = labels_of(document)
        return all(one.holds(labels) for one in self.labels) and all(one.holds(document) for one in self.fields)


_SET = re.compile(r"(?P<key>[\w./-]+)\s+(?P<relation>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[\w./-]+)\s*(?P<relation>==|=|!=)\s*(?P<value>[\w.-]*)")
_BARE = re.compile(r"(?P<absent>!?)\s*(?P<key>[\w./-]+)")
_COMMA_OUTSIDE = re.compile(r",(?![^(]*\))")

_COMMON_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS: dict[Resource, tuple[str, ...]] = {
    PODS: (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    NODES: ("spec.unschedulable",),
    NAMESPACES: ("status.phase",),
    EVENTS: (
        *(
            f"involvedObject.{key}"
            for key in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        ),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}


def parse_labels(written: str) -> LabelSelector:
    """Return the requirements of a label selector.

    Raises:
        StatusError: it cannot be read (400).
    """
    parts = (part.strip() for part in _COMMA_OUTSIDE.split(written))
    return tuple(_requirement(part, written) for part in parts if part)


def parse_fields(written: str, resource: Resource) -> tuple[FieldRequirement, ...]:
    """Return the requirements of a field selector.

    Raises:
        StatusError: it cannot be read, or names a field that cannot be selected (400).
    """
    return tuple(_field_requirement(part, resource) for part in written.split(",") if part)


def selector_of(document: ReadOnly, *path: str) -> LabelSelector:
    """Return the requirements of a LabelSelector object (matchLabels and matchExpressions)."""
    equal = [
        Requirement(key, Relation.IN, frozenset({value}))
        for key, value in texts(document, *path, "matchLabels").items()
    ]
    expressions = [
        Requirement(text(row, "key"), Relation(text(row, "operator")), frozenset(words(row, "values")))
        for row in rows(document, *path, "matchExpressions")
    ]
    return (*equal, *expressions)


def selects(selector: LabelSelector, document: ReadOnly) -> bool:
    """Tell whether an object's labels meet every requirement."""
    labels = labels_of(document)
    return all(requirement.holds(labels) for requirement in selector)


def field_of(document: ReadOnly, field: str) -> str:
    """Return the value that a field selector compares."""
    if field == "source":
        return text(document, "source", "component")
    if field == "spec.unschedulable":
        return "true" if truth(document, "spec", "unschedulable") else "false"
    return text(document, *field.split("."))


def _requirement(part: str, written: str) -> Requirement:
    readers: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Requirement]]] = [
        (_SET, _of_set),
        (_EQUAL, _of_equality),
        (_BARE, _of_presence),
    ]
    for pattern, read in readers:
        matched = pattern.fullmatch(part)
        if matched:
            return read(matched)
    raise _unreadable(written)


def _of_set(matched: re.Match[str]) -> Requirement:
    values = frozenset(value.strip() for value in matched["values"].split(","))
    return Requirement(matched["key"], Relation.IN if matched["relation"] == "in" else Relation.NOT_IN, values)


def _of_equality(matched: re.Match[str]) -> Requirement:
    relation = Relation.NOT_IN if matched["relation"] == "!=" else Relation.IN
    return Requirement(matched["key"], relation, frozenset({matched["value"]}))


def _of_presence(matched: re.Match[str]) -> Requirement:
    return Requirement(matched["key"], Relation.ABSENT if matched["absent"] else Relation.EXISTS)


def _field_requirement(part: str, resource: Resource) -> FieldRequirement:
    matched = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", part)
    if matched is None:
        raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    field, relation, value = matched.groups()
    if field not in (*_COMMON_FIELDS, *_FIELDS.get(resource, ())):
        raise bad_request(
            f'Unable to find "{resource.group_version}, Resource={resource.plural}" that match label selector "", '
            f'field selector "{part}": field label not supported: {field}'
        )
    return FieldRequirement(field, value, relation != "!=")


def _unreadable(written: str) -> StatusError:
    return bad_request(f"unable to parse requirement: found '{written}', expected: a label selector")
