"""The API server's audit log: who asked for what, and whether it was let through.

Read are JSON lines of audit.k8s.io/v1 Events, level Metadata, stage ResponseComplete. A watch is told when it ends:
stop what watches before reading. A request is told after its answer: `AuditLog.settle` waits for what came before.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.cluster.rights import AGENT, Right

COMPLETE = "ResponseComplete"
_SETTLES_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One kind of request; `resource` names a subresource after a slash, or is the path of what is no resource.

    `authorized` is the authorizer's word: it may be true where admission then refused by 403.
    """

    user: str
    verb: str
    group: str
    resource: str
    namespace: str
    code: int
    authorized: bool

    @property
    def right(self) -> Right:
        """Return the right that the request needs."""
        return Right(self.group, self.resource, self.verb)


@dataclass(frozen=True, slots=True)
class AuditLog:
    """An audit log that is being written."""

    path: Path

    def end(self) -> int:
        """Return the position to read from for what comes next."""
        return self.path.stat().st_size

    def accesses(self, *, since: int = 0) -> set[Access]:
        """Return the accesses told since a position; a line that is not whole yet is left for the next reading."""
        with self.path.open("rb") as log:
            log.seek(since)
            *whole, _rest = log.read().split(b"\n")
        events = (json.loads(line) for line in whole if line)
        return {access_of(event) for event in events if event.get("stage") == COMPLETE}

    def settle(self, ask: Callable[[str], object], *, within: timedelta = _SETTLES_WITHIN) -> None:
        """Return when the log tells a request made now: `ask` gets a path that nobody else asks for.

        Raises:
            TimeoutError: it is not told in time.
        """
        marker = f"/api/v1/namespaces/audit-{time.monotonic_ns()}"
        before, deadline = self.end(), time.monotonic() + within.total_seconds()
        ask(marker)
        while marker.encode() not in self.path.read_bytes()[before:]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path} does not tell {marker}")
            time.sleep(0.05)


def access_of(event: Any) -> Access:
    """Return the access that an audit event tells."""
    about = event.get("objectRef", {})
    parts = (about.get("resource"), about.get("subresource"))
    path = str(event["requestURI"]).partition("?")[0]
    return Access(
        user=event["user"]["username"],
        verb=event["verb"],
        group=about.get("apiGroup", ""),
        resource="/".join(part for part in parts if part) or path,
        namespace=about.get("namespace", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        authorized=event.get("annotations", {}).get("authorization.k8s.io/decision") == "allow",
    )


def used(accesses: Iterable[Access], account: str) -> set[Right]:
    """Return the rights that a service's account has used, on resources."""
    ours = (one for one in accesses if one.user == username(account) and one.authorized)
    return {one.right for one in ours if not one.resource.startswith("/")}


def forbidden(accesses: Iterable[Access], account: str) -> set[Access]:
    """Return what an account tried and was refused, by its roles or by a policy."""
    return {one for one in accesses if one.user == username(account) and one.code == 403}


def username(account: str) -> str:
    """Return the name that the API server knows an account by."""
    return f"system:serviceaccount:{AGENT}:{account}"
