"""The three ways to change an object by a patch, as pure functions: JSON patch, merge patch, strategic merge."""

from typing import cast

import jsonpatch
import jsonpointer

from sandbox.cluster.documents import Document, Json, ReadOnly, copied, copy_of

# Lists that strategic merge joins by a key; every other list is replaced whole, as the API types declare it.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "port"),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "addresses": ("type",),
    "podIPs": ("ip",),
    "secrets": ("name",),
}
_SET_LISTS = frozenset({"finalizers"})
_DIRECTIVE = "$patch"
_ORDER = "$setElementOrder/"
_DROP = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"


class PatchError(ValueError):
    """A patch that cannot be read."""


class PatchTestError(PatchError):
    """A patch that reads well and does not fit the object."""


def json_patched(document: ReadOnly, operations: Json) -> Document:
    """Return the document after a list of JSON patch operations.

    Raises:
        PatchError: the operations are malformed.
        PatchTestError: a test failed, or a path is not there.
    """
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    try:
        return cast(
            "Document", jsonpatch.JsonPatch(cast("list[dict[str, object]]", operations)).apply(copy_of(document))
        )
    except (jsonpatch.JsonPatchTestFailed, jsonpatch.JsonPatchConflict, jsonpointer.JsonPointerException) as exc:
        raise PatchTestError(str(exc)) from exc
    except (jsonpatch.InvalidJsonPatch, TypeError) as exc:
        raise PatchError(str(exc)) from exc


def merged(document: Json, patch: Json) -> Json:
    """Return the document after a merge patch (RFC 7386): null removes, lists are replaced."""
    if not isinstance(patch, dict):
        return copied(patch)
    result: Document = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def strategically_merged(document: ReadOnly, patch: ReadOnly) -> Document:
    """Return the document after a strategic merge patch: keyed lists are joined element by element."""
    if patch.get(_DIRECTIVE) == "replace":
        return {key: copied(value) for key, value in patch.items() if key != _DIRECTIVE}
    if patch.get(_DIRECTIVE) == "delete":
        return {}
    result = _retained(document, patch)
    for key, value in patch.items():
        if key.startswith(_DROP):
            _drop_words(result, key.removeprefix(_DROP), value)
        elif not key.startswith("$"):
            _merge_field(result, key, value)
    for key, order in patch.items():
        if key.startswith(_ORDER):
            _reorder(result, key.removeprefix(_ORDER), order)
    return result


def _retained(document: ReadOnly, patch: ReadOnly) -> Document:
    retained = patch.get(_RETAIN)
    if not isinstance(retained, list):
        return copy_of(document)
    return {key: copied(value) for key, value in document.items() if key in retained}


def _drop_words(result: Document, key: str, dropped: Json) -> None:
    kept = result.get(key)
    if isinstance(kept, list) and isinstance(dropped, list):
        result[key] = [word for word in kept if word not in dropped]


def _merge_field(result: Document, key: str, value: Json) -> None:
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        _merge_mapping(result, key, value)
    elif isinstance(value, list):
        result[key] = _merged_list(key, result.get(key), value)
    else:
        result[key] = value


def _merge_mapping(result: Document, key: str, value: Document) -> None:
    present = result.get(key)
    if value.get(_DIRECTIVE) == "delete":
        result.pop(key, None)
        return
    result[key] = strategically_merged(present if isinstance(present, dict) else {}, value)


def _merged_list(key: str, present: Json, patch: list[Json]) -> Json:
    kept = present if isinstance(present, list) else []
    if key in _SET_LISTS:
        return [*kept, *(word for word in patch if word not in kept)]
    merge_key = _merge_key_of(key, patch)
    if merge_key is None:
        return [copied(value) for value in patch]
    rows = [row for row in patch if isinstance(row, dict)]
    if {_DIRECTIVE: "replace"} in rows:
        return [copied(row) for row in rows if _DIRECTIVE not in row]
    return _joined(kept, rows, merge_key)


def _merge_key_of(key: str, patch: list[Json]) -> str | None:
    if not all(isinstance(row, dict) for row in patch):
        return None
    for merge_key in _MERGE_KEYS.get(key, ()):
        if any(isinstance(row, dict) and (merge_key in row) for row in patch):
            return merge_key
    return _MERGE_KEYS[key][0] if key in _MERGE_KEYS else None


def _joined(kept: list[Json], patch: list[Document], merge_key: str) -> Json:
    result = [copy_of(row) for row in kept if isinstance(row, dict)]
    for row in patch:
        place = next((i for i, one in enumerate(result) if one.get(merge_key) == row.get(merge_key)), None)
        if row.get(_DIRECTIVE) == "delete":
            result = [one for one in result if one.get(merge_key) != row.get(merge_key)]
        elif place is None:
            result.append(strategically_merged({}, row))
        else:
            result[place] = strategically_merged(result[place], row)
    return cast("Json", result)


def _reorder(result: Document, key: str, order: Json) -> None:
    kept = result.get(key)
    if not isinstance(kept, list) or not isinstance(order, list):
        return
    ranks = [_identity(key, one) for one in order]
    known = sorted(
        (one for one in kept if _identity(key, one) in ranks), key=lambda one: ranks.index(_identity(key, one))
    )
    result[key] = [*known, *(one for one in kept if _identity(key, one) not in ranks)]


def _identity(key: str, row: Json) -> Json:
    if not isinstance(row, dict):
        return row
    return next((row[merge_key] for merge_key in _MERGE_KEYS.get(key, ()) if merge_key in row), None)
