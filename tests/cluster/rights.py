"""Rights: what the shipped roles grant to each account, as a set that can be compared with what was used."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from sandbox.kubernetes.accounts import ACCOUNTS
from shared.contracts.rights import Right, granted_to

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
"""The accounts that are shipped, one per service."""
AGENT = "sre-agent"
"""The namespace that the accounts live in."""


def granted() -> dict[str, set[Right]]:
    """Return what the roles bound to each shipped account grant, wherever they are bound."""
    documents = list(shipped())
    return {account: {*chain(*granted_to(account, documents).values())} for account in ACCOUNTS}


def shipped() -> Iterator[Any]:
    """Yield the documents of the shipped manifests."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())
