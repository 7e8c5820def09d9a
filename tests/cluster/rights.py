"""Rights: what the shipped roles grant to each account, as a set that can be compared with what was used."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.kubernetes.accounts import ACCOUNTS

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
"""The accounts that are shipped, one per service."""
AGENT = "sre-agent"
"""The namespace that the accounts live in."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource; `resource` names a subresource after a slash."""

    group: str
    resource: str
    verb: str


def granted() -> dict[str, set[Right]]:
    """Return what the roles bound to each shipped account grant, wherever they are bound."""
    documents = list(shipped())
    roles = {one["metadata"]["name"]: one for one in documents if one["kind"] in {"Role", "ClusterRole"}}
    rights: dict[str, set[Right]] = {account: set() for account in ACCOUNTS}
    for binding in documents:
        if binding["kind"] in {"RoleBinding", "ClusterRoleBinding"}:
            for subject in binding["subjects"]:
                rights[subject["name"]] |= set(_rights_of(roles[binding["roleRef"]["name"]]))
    return rights


def shipped() -> Iterator[Any]:
    """Yield the documents of the shipped manifests."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def _rights_of(role: Any) -> Iterator[Right]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from (Right(group, resource, verb) for verb in rule["verbs"])
