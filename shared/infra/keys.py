"""Keys of Ed25519 (RFC 8032) in PEM files, by cryptography: one that signs, and those that are believed.

A key's id derives from its public half, so that none is ever called by another's name.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from shared.contracts.signatures import Check
from shared.kernel.errors import ConfigError

SIGNING_FILE = Path("signing") / "private.pem"
CHECKING_FILE = Path("checking") / "public.pem"
_ID_CHARS = 16
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_HOW = "make a pair by `sre-agent keys create --to DIR`"


class SigningKey:
    """The private half of a pair; it signs."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._key_id = _id_of(private.public_key())

    @property
    def key_id(self) -> str:
        """Return what the key is known by."""
        return self._key_id

    @property
    def public(self) -> Ed25519PublicKey:
        """Return the other half."""
        return self._private.public_key()

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text, always the same."""
        return self._private.sign(text)

    def __repr__(self) -> str:
        return f"SigningKey({self._key_id})"


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a pair lies, and what it is known by."""

    key_id: str
    signing: Path
    checking: Path


def read_signing_key(path: Path) -> SigningKey:
    """Return the one key of a file.

    Raises:
        ConfigError: there is no such file, or not one private key of Ed25519 in it; never with what it holds.
    """
    blocks = _blocks(path)
    if [kind for kind, _ in blocks] != [b"PRIVATE KEY"]:
        raise ConfigError(f"{path}: expected one PEM block PRIVATE KEY, found {_told(blocks)}; {_HOW}")
    try:
        private = load_pem_private_key(blocks[0][1], None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: the private key cannot be read; {_HOW}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{path}: expected a key of Ed25519; {_HOW}")
    return SigningKey(private)


def read_checking_keys(path: Path) -> dict[str, Check]:
    """Return the keys of a file by their ids; it holds one public key after the other.

    Raises:
        ConfigError: there is no such file, no key in it, or anything else; above all a private key.
    """
    blocks = _blocks(path)
    if not blocks or any(kind != b"PUBLIC KEY" for kind, _ in blocks):
        raise ConfigError(f"{path}: expected PEM blocks PUBLIC KEY alone, found {_told(blocks)}; {_HOW}")
    return checks_of([_public(block, path, number) for number, (_, block) in enumerate(blocks, 1)])


def read_former_keys(path: Path | None) -> dict[str, Check]:
    """Return the keys of a file that there need not be.

    Raises:
        ConfigError: as `read_checking_keys`.
    """
    return read_checking_keys(path) if path is not None else {}


def checks_of(keys: list[Ed25519PublicKey]) -> dict[str, Check]:
    """Return what checks a signature, by the id of each key."""
    return {_id_of(key): _check(key) for key in keys}


def create_pair(directory: Path) -> Pair:
    """Make a pair in a directory and return it; one that is there is kept.

    Raises:
        ConfigError: one half is there and the other is not, or a half cannot be read.
        OSError: the files cannot be written.
    """
    signing, checking = directory / SIGNING_FILE, directory / CHECKING_FILE
    if signing.exists() != checking.exists():
        there, missing = (signing, checking) if signing.exists() else (checking, signing)
        raise ConfigError(f"{there} is there and {missing} is not; name a directory that has both, or neither")
    if not signing.exists():
        _write_pair(Ed25519PrivateKey.generate(), signing, checking)
    key = read_signing_key(signing)
    if key.key_id not in read_checking_keys(checking):
        raise ConfigError(f"{checking} does not hold the public half of {signing}")
    return Pair(key.key_id, signing, checking)


def _write_pair(private: Ed25519PrivateKey, signing: Path, checking: Path) -> None:
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for path, text, mode in ((signing, secret, 0o600), (checking, public, 0o644)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb", opener=lambda name, flags, mode=mode: os.open(name, flags, mode)) as made:
            made.write(text)


def _blocks(path: Path) -> list[tuple[bytes, bytes]]:
    try:
        text = path.read_bytes()
    except OSError as missing:
        raise ConfigError(f"{path}: {missing.strerror}; {_HOW}") from None
    return [(found[1], found[0]) for found in _BLOCK.finditer(text)]


def _told(blocks: list[tuple[bytes, bytes]]) -> str:
    return ", ".join(kind.decode() for kind, _ in blocks) or "none"


def _public(block: bytes, path: Path, number: int) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: public key {number} cannot be read; {_HOW}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: public key {number} is not one of Ed25519; {_HOW}")
    return key


def _check(key: Ed25519PublicKey) -> Check:
    def is_signature(signature: bytes, text: bytes) -> bool:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return is_signature


def _id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_ID_CHARS]
