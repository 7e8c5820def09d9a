"""Rights in a cluster: verbs on resources, as roles grant them and actions need them (rbac.authorization.k8s.io/v1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import section, sections, text

EVERYWHERE = "*"
"""In place of a namespace: wherever a ClusterRoleBinding grants."""
_ANY = "*"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource; `resource` names a subresource after a slash."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        """Return the right as a person reads it: `patch deployments.apps`."""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"

    def allows(self, other: "Right") -> bool:
        """Tell whether a granted right is this one, `*` standing for any."""
        pairs = ((self.group, other.group), (self.resource, other.resource), (self.verb, other.verb))
        return all(mine in {_ANY, theirs} for mine, theirs in pairs)


WORKLOADS = ("deployments", "statefulsets", "daemonsets")
"""The resources of the group `apps` that have a template of pods, and a status of their own."""


def rights_on(resources: Iterable[str], *, verbs: Iterable[str], group: str = "") -> frozenset[Right]:
    """Return each verb on each resource of a group."""
    asked = list(verbs)
    return frozenset(Right(group, resource, verb) for resource in resources for verb in asked)


def granted_to(account: str, documents: Iterable[JsonObject]) -> dict[str, frozenset[Right]]:
    """Return what manifests grant to a service account, by the namespace in which it is bound, or `EVERYWHERE`.

    A binding to a role that the manifests do not hold grants nothing here.
    """
    known = list(documents)
    roles = {(text(one, "kind"), text(section(one, "metadata"), "name")): one for one in known}
    found: dict[str, frozenset[Right]] = {}
    for binding in known:
        if text(binding, "kind") in {"RoleBinding", "ClusterRoleBinding"} and _is_bound(binding, account):
            role = roles.get((text(section(binding, "roleRef"), "kind"), text(section(binding, "roleRef"), "name")))
            place = text(section(binding, "metadata"), "namespace") or EVERYWHERE
            found[place] = found.get(place, frozenset()) | frozenset(_rights_of(role or {}))
    return found


def _is_bound(binding: JsonObject, account: str) -> bool:
    return any(
        (text(subject, "kind"), text(subject, "name")) == ("ServiceAccount", account)
        for subject in sections(binding, "subjects")
    )


def _rights_of(role: JsonObject) -> Iterator[Right]:
    for rule in sections(role, "rules"):
        for group in _texts(rule.get("apiGroups")):
            for resource in _texts(rule.get("resources")):
                yield from (Right(group, resource, verb) for verb in _texts(rule.get("verbs")))


def _texts(value: JsonValue) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
