"""Manifests with roles and bindings, as what they grant to the remediator."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import yaml

from services.decider.adapters.playbook_file import text_of
from services.decider.core.reaching import Grants
from shared.contracts.model import JsonObject
from shared.contracts.rights import granted_to
from shared.kernel.errors import ConfigError

ACCOUNT = "remediator"
"""The service account that acts."""


def read_grants(paths: Iterable[Path]) -> Grants:
    """Return what the manifests grant to the remediator's account, by namespace.

    Raises:
        ConfigError: a file cannot be read, is no YAML, or binds the account to nothing.
    """
    files = list(paths)
    grants = granted_to(ACCOUNT, [document for path in files for document in _documents(path)])
    if not grants:
        listed = ", ".join(map(str, files))
        raise ConfigError(f"{listed}: expected a binding of the service account {ACCOUNT!r} to a role")
    return grants


def _documents(path: Path) -> Iterator[JsonObject]:
    try:
        found = cast("list[object]", list(yaml.safe_load_all(text_of(path, what="manifest"))))
    except yaml.YAMLError as broken:
        raise ConfigError(f"{path}: expected YAML: {broken}") from broken
    yield from (cast("JsonObject", one) for one in found if isinstance(one, dict))
