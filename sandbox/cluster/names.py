"""Names that the cluster invents: uids, generated suffixes, template hashes; repeatable from a seed."""

import json
import uuid
from hashlib import blake2b

from sandbox.cluster.documents import ReadOnly

_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, as in the real thing: no words by accident
_SUFFIX_LENGTH = 5
_HASH_LENGTH = 10


class Names:
    """Hand out names that never repeat within one cluster."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def uid(self) -> str:
        """Return a new object's uid."""
        return str(uuid.UUID(bytes=self._next(), version=4))

    def suffix(self) -> str:
        """Return the five letters after a generateName."""
        return _letters(self._next(), _SUFFIX_LENGTH)

    def hexadecimal(self) -> str:
        """Return 64 hexadecimal digits, as a container id has them."""
        return (self._next() + self._next()).hex()

    def _next(self) -> bytes:
        self._count += 1
        return blake2b(f"{self._seed}/{self._count}".encode(), digest_size=16).digest()


def template_hash(template: ReadOnly, collisions: int) -> str:
    """Return the pod-template-hash of a template."""
    written = json.dumps([template, collisions], sort_keys=True)
    return _letters(blake2b(written.encode(), digest_size=16).digest(), _HASH_LENGTH)


def image_id(image: str) -> str:
    """Return the digest under which a node keeps an image."""
    repository = image.partition("@")[0].rpartition(":")[0] or image
    return f"{repository}@sha256:{blake2b(image.encode(), digest_size=32).hexdigest()}"


def _letters(digest: bytes, length: int) -> str:
    return "".join(_SAFE[byte % len(_SAFE)] for byte in digest[:length])
