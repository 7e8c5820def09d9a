"""What a leader's write must say of itself, and how the register of tokens is read and raised; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.actions.marks import COMMAND_ANNOTATION, TOKEN_ANNOTATION
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import annotations_of, version_of

_MOST_DIGITS = 15
"""Of a token: the store's scripts count in doubles, which hold whole numbers up to sixteen digits."""
_VERSION, _UID = "/metadata/resourceVersion", "/metadata/uid"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the register said: the highest token so far, 0 before the first; its version, "" where it is not there."""

    token: int
    version: str


def reading_of(register: JsonObject) -> Reading | str:
    """Return what a register says, or what stands there instead of a token."""
    told = annotations_of(register).get(TOKEN_ANNOTATION, "0")
    if not isinstance(told, str) or not told.isdecimal() or not told.isascii() or len(told) > _MOST_DIGITS:
        return str(told)
    return Reading(int(told), version_of(register))


def raised(over: Reading, *, token: int, owner: str) -> JsonObject:
    """Return the patch that raises a register from what it said, and from nothing else."""
    return {
        "metadata": {"resourceVersion": over.version, "annotations": {TOKEN_ANNOTATION: str(token)}},
        "spec": {"holderIdentity": owner},
    }


def first_register(namespace: str, name: str, *, token: int, owner: str) -> JsonObject:
    """Return a register that is to be created."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace, "annotations": {TOKEN_ANNOTATION: str(token)}},
        "spec": {"holderIdentity": owner},
    }


def with_token(body: Mapping[str, JsonValue], token: int) -> JsonObject:
    """Return what is to be created, an eviction too, with a leader's token among its own annotations."""
    metadata = body.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    annotations = known.get("annotations")
    marked = {**(annotations if isinstance(annotations, dict) else {}), TOKEN_ANNOTATION: str(token)}
    return {**body, "metadata": {**known, "annotations": marked}}


def flaw_of(patch: JsonValue, *, token: int) -> str | None:
    """Return what a patch lacks that a leader's must have: the marks, and the version or uid it was made for."""
    said = _said(patch)
    if said.get(TOKEN_ANNOTATION) != str(token):
        return f"it does not carry the token {token}"
    if not said.get(COMMAND_ANNOTATION):
        return "it does not carry its command"
    if not said.get(_VERSION) and not said.get(_UID):
        return "it names neither the version nor the uid of what it changes"
    return None


def _said(patch: JsonValue) -> Mapping[str, JsonValue]:
    if isinstance(patch, list):
        return {_key(str(one.get("path"))): one.get("value") for one in patch if isinstance(one, dict)}
    metadata = patch.get("metadata") if isinstance(patch, dict) else None
    if not isinstance(metadata, dict):
        return {}
    annotations = metadata.get("annotations")
    marks = annotations if isinstance(annotations, dict) else {}
    return {**marks, _VERSION: metadata.get("resourceVersion"), _UID: metadata.get("uid")}


def _key(pointer: str) -> str:
    return pointer.removeprefix("/metadata/annotations/").replace("~1", "/")
