"""What is sent to a webhook, and what its answer means, as https://www.standardwebhooks.com has it; pure."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from pydantic import HttpUrl

from shared.contracts.model import JsonObject

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
"""How long a key is, by that specification."""
_DONE, _ELSEWHERE, _REFUSED = range(200, 300), range(300, 400), range(400, 500)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a webhook is, and the key that both sides know."""

    url: str
    key: bytes = field(repr=False)


class Meaning(Enum):
    """What an answer means."""

    DONE = auto()
    REFUSED = auto()
    UNKNOWN = auto()


def meaning_of(status: int) -> Meaning:
    """Return what a status means: neither 5xx nor what is no answer tells whether it was done."""
    if status in _DONE:
        return Meaning.DONE
    return Meaning.REFUSED if status in _ELSEWHERE or status in _REFUSED else Meaning.UNKNOWN


def told_of(status: int) -> str:
    """Return a status in words."""
    return f"it answered {status}, which is not followed" if status in _ELSEWHERE else f"it answered {status}"


def body_of(told: JsonObject) -> bytes:
    """Return the bytes that are signed and sent; the same for the same words."""
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()


def headers_of(body: bytes, *, key: bytes, name: str, at: datetime) -> Mapping[str, str]:
    """Return the headers of one try; the id is the same for all, the moment is not, or the last would be too old."""
    moment = str(int(at.timestamp()))
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{_signature(b'.'.join((name.encode(), moment.encode(), body)), key)}",
    }


def key_of(text: str) -> bytes | str:
    """Return the key of a file's text, or what is wrong with it, without the text itself."""
    try:
        key = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return f"expected {_PREFIX} and a key in base64"
    if len(key) not in _KEY_BYTES:
        return f"expected a key of {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} bytes, found {len(key)}"
    return key


def flaw_of(url: HttpUrl) -> str | None:
    """Return why nothing may be sent to an address; None where it may: https, or http to this very machine."""
    if url.scheme == "http" and not _is_loopback(url.host or ""):
        return "expected https; http is for addresses of this machine alone"
    if url.username is not None or url.password is not None or url.fragment is not None:
        return "expected no user, password or fragment in the address"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _signature(signed: bytes, key: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
