"""What is held against leaders, by the API server's audit log and the results alone; pure.

Stale is a write that was let through under a token below one by which another leader had already written. A change is a
write that carries a command out; what lies beside it is the mark of a pod before its eviction, which a second leader
makes anew, and Events, which carry no token.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

from shared.contracts.actions.marks import COMMAND_ANNOTATION, TOKEN_ANNOTATION
from shared.contracts.inbox import Outcome, Result
from tests.cluster.audit import COMPLETE, username

_WRITING = frozenset({"create", "update", "patch", "delete"})
_ANNOTATIONS = "/metadata/annotations/"
_REFUSED_FROM = 400


class Kind(StrEnum):
    """What a write is to a command."""

    REGISTER = "register"
    MARK = "mark"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a remediator, let through or not."""

    kind: Kind
    what: str
    token: int
    command: str
    code: int
    at: str

    @property
    def is_accepted(self) -> bool:
        """Tell whether the API server let it through."""
        return self.code < _REFUSED_FROM

    def __str__(self) -> str:
        """Return it as a line of a story."""
        return f"{self.at} token {self.token}: {self.kind} {self.what} for {self.command or '-'}: {self.code}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found: stale writes that were let through and that were not, and all that must not be."""

    stale: Sequence[str]
    denied: Sequence[str]
    violations: Sequence[str]


def judged(ordered: Iterable[str], writes: Sequence[Write], results: Iterable[Result]) -> Judgement:
    """Hold what was written and told against what was ordered."""
    late = list(_late(writes))
    stale = [f"stale: {write}" for write in late if write.is_accepted]
    denied = [str(write) for write in late if not write.is_accepted]
    commands = dict.fromkeys(ordered)
    found = [*_fallen(writes), *_strange(commands, writes), *_twice(writes), *_told(commands, writes, results)]
    return Judgement(stale, denied, [*stale, *found])


def writes_of(entries: Iterable[Mapping[str, Any]]) -> list[Write]:
    """Return the writes of remediators that audit entries tell, in their order."""
    found: list[Write] = []
    marked: dict[str, str] = {}  # an eviction does not say its command: the mark of its pod did
    for entry in filter(_is_write, entries):
        write = _write_of(entry)
        name = str(entry["objectRef"].get("name", ""))
        if write.kind is Kind.MARK:
            marked[name] = write.command
        found.append(write if write.command else replace(write, command=marked.get(name, "")))
    return found


def _late(writes: Iterable[Write]) -> Iterator[Write]:
    highest = 0
    for write in (one for one in writes if one.kind is not Kind.REGISTER):
        if write.token < highest:
            yield write
        elif write.is_accepted:
            highest = write.token


def _fallen(writes: Iterable[Write]) -> Iterator[str]:
    """Yield where the register did not rise."""
    highest = 0
    for write in (one for one in writes if one.kind is Kind.REGISTER and one.is_accepted):
        if write.token <= highest:
            yield f"the register did not rise above {highest}: {write}"
        highest = max(highest, write.token)


def _strange(ordered: Mapping[str, None], writes: Iterable[Write]) -> Iterator[str]:
    for write in writes:
        if write.kind is not Kind.REGISTER and write.command not in ordered:
            yield f"nobody ordered it: {write}"


def _twice(writes: Iterable[Write]) -> Iterator[str]:
    accepted = [one for one in writes if one.is_accepted and one.kind is not Kind.REGISTER]
    same = Counter((one.command, one.token, one.what) for one in accepted)
    for (command, token, what), times in same.items():
        if times > 1:
            yield f"{command}: {what} was written {times} times under token {token}"


def _told(ordered: Iterable[str], writes: Iterable[Write], results: Iterable[Result]) -> Iterator[str]:
    changes = Counter(one.command for one in writes if one.is_accepted and one.kind is Kind.CHANGE)
    told: dict[str, set[str]] = defaultdict(set)
    outcomes: dict[str, set[Outcome]] = defaultdict(set)
    for result in results:  # one told again, word by word, is the same one
        told[result.command].add(result.model_dump_json())
        outcomes[result.command].add(result.outcome)
    for command in ordered:
        if len(told[command]) != 1:
            yield f"{command} has {len(told[command])} results: {sorted(told[command])}"
        expected = 1 if Outcome.APPLIED in outcomes[command] else 0
        if changes[command] != expected:
            said = ", ".join(sorted(outcomes[command])) or "nothing"
            yield f"{command} was carried out {changes[command]} times, and told as {said}"


def _is_write(entry: Mapping[str, Any]) -> bool:
    is_ours = entry["stage"] == COMPLETE and entry["user"]["username"] == username("remediator")
    is_writing = entry["verb"] in _WRITING and "dryRun" not in entry["requestURI"]
    return is_ours and is_writing and entry["objectRef"]["resource"] != "events"


def _write_of(entry: Mapping[str, Any]) -> Write:
    about, marks = entry["objectRef"], _annotations_of(entry.get("requestObject") or {})
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    return Write(
        kind={"leases": Kind.REGISTER, "pods": Kind.MARK}.get(resource, Kind.CHANGE),
        what=f"{entry['verb']} {resource} {about.get('name', '')}",
        token=int(marks.get(TOKEN_ANNOTATION, "0")),
        command=str(marks.get(COMMAND_ANNOTATION, "")),
        code=int(entry["responseStatus"]["code"]),
        at=str(entry["stageTimestamp"]),
    )


def _annotations_of(body: Any) -> Mapping[str, Any]:
    if isinstance(body, list):
        operations = cast("Sequence[Mapping[str, Any]]", body)
        named = {str(one["path"]): one.get("value") for one in operations}
        return {path.removeprefix(_ANNOTATIONS).replace("~1", "/"): value for path, value in named.items()}
    return body.get("metadata", {}).get("annotations", {})
