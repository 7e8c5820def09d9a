"""Who may change what: people and programs by name and roles, known by the hash of a secret. Pure."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Deed(StrEnum):
    """What a token may be used for; reading takes none."""

    PAUSE = "pausing and resuming"
    SILENCE = "silencing"
    APPROVE = "approving and rejecting"
    ACT = "asking for actions"
    ALERT = "sending alerts"


class Role(StrEnum):
    """The roles that give rights; any other is a name by which a playbook may call people."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"
    ALERTS = "alerts"


MAY: Mapping[str, frozenset[Deed]] = {
    Role.VIEWER: frozenset(),
    Role.OPERATOR: frozenset({Deed.PAUSE, Deed.SILENCE}),
    Role.APPROVER: frozenset({Deed.APPROVE}),
    Role.ADMIN: frozenset(Deed),
    Role.ALERTS: frozenset({Deed.ALERT}),
}
"""What each role may do; who has several may do all that any of them may."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who brought a token: the name under which a change is written down, and the roles."""

    name: str
    roles: tuple[str, ...]

    def may(self, deed: Deed) -> bool:
        """Tell whether a role of the person's allows a deed."""
        return any(deed in MAY.get(role, ()) for role in self.roles)


@dataclass(frozen=True, slots=True)
class Holder:
    """A person, and the SHA-256 of the secret that this person brings, in hexadecimal digits."""

    person: Person
    sha256: str


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.@]*[A-Za-z0-9])?$", max_length=63)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenWords(_Words):
    """One token of the tokens' file; of the token itself the file has no more than its hash."""

    name: _Name
    roles: tuple[_Name, ...] = Field(min_length=1, max_length=20)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class TokensWords(_Words):
    """The tokens' file."""

    tokens: tuple[TokenWords, ...] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _be_told_apart(self) -> "TokensWords":
        hashes = [one.sha256 for one in self.tokens]
        names = {one.name for one in self.tokens}
        roles = {role for one in self.tokens for role in one.roles} | set(Role)
        if len(set(hashes)) < len(hashes):
            raise ValueError("expected each hash once: one token is one person")
        if shared := sorted(names & roles):  # a playbook calls people by either
            raise ValueError(f"expected no name that is also a role: {', '.join(shared)}")
        return self


def holders_in(words: TokensWords) -> list[Holder]:
    """Return the holders of a file's tokens."""
    return [Holder(Person(one.name, one.roles), one.sha256) for one in words.tokens]


def holder_of(name: str, secret: str) -> Holder:
    """Return who holds a secret that was given by itself, by a setting: may do all."""
    return Holder(Person(name, (Role.ADMIN,)), _hash_of(secret))


def who_brought(secret: str, holders: Sequence[Holder]) -> Person | None:
    """Return whose secret it is; None if it is nobody's.

    Every hash is compared, each in constant time, so that the answer's delay tells nothing.
    """
    brought = _hash_of(secret)
    found = [holder.person for holder in holders if hmac.compare_digest(holder.sha256, brought)]
    return found[0] if found else None


def roles_for(deed: Deed) -> Iterable[str]:
    """Return the roles that allow a deed."""
    return sorted(role for role, deeds in MAY.items() if deed in deeds)


def _hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
