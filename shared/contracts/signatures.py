"""What the signature of a record covers, and why one is not believed. The keys and their algorithm are the caller's.

A signature covers all that a record is: its topic, its key, its body, and each header in its order, among them the
cluster that it is for. What is copied elsewhere or changed in one byte is not what was signed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from shared.contracts.codec import Headers, Outgoing, Record
from shared.contracts.topics import AUDIT, COMMANDS, SPENDINGS

CLUSTER = "ce_cluster"
KEY_ID = "ce_keyid"
SIGNATURE = "ce_signature"
"""The last header of a signed record: hexadecimal, in small letters."""
_PURPOSE = b"sre-agent signature v1"
_ABSENT = b"\xff" * 8
"""Stands where a length would: no part is as long."""


class Doubt(StrEnum):
    """Why it is not believed that a record was written by who alone may write it, for this cluster."""

    UNSIGNED = "unsigned"
    KEY_UNKNOWN = "key-unknown"
    SIGNATURE_WRONG = "signature-wrong"
    OTHER_CLUSTER = "other-cluster"


class Signer(Protocol):
    """Signs with one key; the same text has the same signature."""

    @property
    def key_id(self) -> str:
        """Return what the key is known by."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text."""
        ...


Seal = Callable[[Outgoing], Outgoing]
"""What a publisher does to each record before it writes it."""
Check = Callable[[bytes, bytes], bool]
"""Tells whether the first is the signature of the second, by one key."""
Keys = Mapping[str, Check]
"""The keys that are believed, by their ids."""


def unsealed(out: Outgoing) -> Outgoing:
    """Return a record as it is."""
    return out


@dataclass(frozen=True, slots=True)
class TopicSeal:
    """Signs what is written to some topics for one cluster; all else stays as it is."""

    signer: Signer
    cluster: str
    topics: frozenset[str]

    def __call__(self, out: Outgoing) -> Outgoing:
        """Return a record of these topics with the cluster, the key's id and the signature."""
        if out.topic not in self.topics:
            return out
        headers = (*out.headers, (CLUSTER, self.cluster.encode()), (KEY_ID, self.signer.key_id.encode()))
        text = covered_text(out.topic, out.key, value=out.value, headers=headers)
        return replace(out, headers=(*headers, (SIGNATURE, self.signer.sign(text).hex().encode())))


def command_seal(signer: Signer, cluster: str) -> TopicSeal:
    """Return what the decider does to its commands."""
    return TopicSeal(signer, cluster, frozenset({COMMANDS.name}))


def record_seal(signer: Signer, cluster: str) -> TopicSeal:
    """Return what the remediator does to what it reads again itself: the audit trail, and the brake's account."""
    return TopicSeal(signer, cluster, frozenset({AUDIT.name, SPENDINGS.name}))


def doubt_about(record: Record, keys: Keys, *, cluster: str) -> Doubt | None:
    """Return why a record is not believed to be signed for this cluster; None if it is."""
    if all(name != SIGNATURE for name, _ in record.headers):
        return Doubt.UNSIGNED
    *before, (_, signature) = record.headers
    check = keys.get(key_id_of(record))
    if check is None:
        return Doubt.KEY_UNKNOWN
    text = covered_text(record.topic, record.key, value=record.value, headers=tuple(before))
    if not check(_bytes_of(signature), text):
        return Doubt.SIGNATURE_WRONG
    return None if dict(before).get(CLUSTER) == cluster.encode() else Doubt.OTHER_CLUSTER


def key_id_of(record: Record) -> str:
    """Return the key that a record says it was signed with; empty where it says none."""
    return (dict(record.headers).get(KEY_ID) or b"").decode(errors="replace")


def covered_text(topic: str, key: bytes | None, *, value: bytes | None, headers: Headers) -> bytes:
    """Return the text that is signed: other records have other texts, since each part goes behind its length."""
    named = [part for name, told in headers for part in (name.encode(), told)]
    return b"".join(map(_framed, (_PURPOSE, topic.encode(), key, value, *named)))


def _framed(part: bytes | None) -> bytes:
    return _ABSENT if part is None else len(part).to_bytes(8, "big") + part


def _bytes_of(signature: bytes | None) -> bytes:
    """Return what a header says in the one way that a signer writes it; nothing if it is written in another."""
    text = (signature or b"").decode(errors="replace")
    try:
        read = bytes.fromhex(text)
    except ValueError:
        return b""
    return read if read.hex() == text else b""
