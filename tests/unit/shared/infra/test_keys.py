"""Pairs of keys in files: made once, each half apart, refused by name where a file is not what it must be."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.infra.keys import create_pair, read_checking_keys, read_signing_key
from shared.kernel.errors import ConfigError


def private_pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_what_one_half_signs_the_other_checks(tmp_path: Path) -> None:
    pair = create_pair(tmp_path)
    key, checks = read_signing_key(pair.signing), read_checking_keys(pair.checking)
    assert list(checks) == [pair.key_id] == [key.key_id]
    assert checks[pair.key_id](key.sign(b"text"), b"text")
    assert not checks[pair.key_id](key.sign(b"text"), b"another")
    assert not checks[pair.key_id](b"", b"text")


def test_the_private_half_is_for_its_owner_alone_and_never_told(tmp_path: Path) -> None:
    pair = create_pair(tmp_path)
    assert stat.S_IMODE(pair.signing.stat().st_mode) == 0o600
    assert b"PRIVATE" not in pair.checking.read_bytes()
    assert repr(read_signing_key(pair.signing)) == f"SigningKey({pair.key_id})"


def test_a_pair_that_is_there_is_kept(tmp_path: Path) -> None:
    first, text = create_pair(tmp_path), (tmp_path / "signing" / "private.pem").read_bytes()
    assert create_pair(tmp_path) == first
    assert first.signing.read_bytes() == text


@pytest.mark.parametrize("half", ["signing", "checking"])
def test_half_a_pair_is_not_completed(tmp_path: Path, half: str) -> None:
    pair = create_pair(tmp_path)
    (pair.signing if half == "signing" else pair.checking).unlink()
    with pytest.raises(ConfigError, match="both, or neither"):
        create_pair(tmp_path)


def test_halves_of_two_pairs_are_no_pair(tmp_path: Path) -> None:
    pair, other = create_pair(tmp_path / "one"), create_pair(tmp_path / "other")
    pair.checking.write_bytes(other.checking.read_bytes())
    with pytest.raises(ConfigError, match="does not hold the public half"):
        create_pair(tmp_path / "one")


def test_a_file_may_hold_several_keys_that_are_believed(tmp_path: Path) -> None:
    pairs = [create_pair(tmp_path / name) for name in ("old", "new")]
    both = tmp_path / "both.pem"
    both.write_bytes(b"# old, then new\n" + b"\n".join(pair.checking.read_bytes() for pair in pairs))
    assert list(read_checking_keys(both)) == [pair.key_id for pair in pairs]


ED25519, OTHER = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "found none"),
        (public_pem(ED25519), "found PUBLIC KEY"),
        (private_pem(ED25519) * 2, "found PRIVATE KEY, PRIVATE KEY"),
        (private_pem(OTHER), "expected a key of Ed25519"),
        (private_pem(ED25519).replace(b"MC4C", b"AAAA"), "cannot be read"),
        (b"\x00\xff garbage", "found none"),
    ],
)
def test_a_file_that_cannot_sign_is_refused_without_what_it_holds(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=told) as refused:
        read_signing_key(path)
    assert str(path) in str(refused.value)
    assert all(line.decode(errors="replace") not in str(refused.value) for line in text.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "found none"),
        (private_pem(ED25519), "found PRIVATE KEY"),
        (public_pem(ED25519) + private_pem(ED25519), "found PUBLIC KEY, PRIVATE KEY"),
        (public_pem(ED25519) + public_pem(OTHER), "public key 2 is not one of Ed25519"),
        (public_pem(ED25519).replace(b"MCow", b"AAAA"), "public key 1 cannot be read"),
    ],
)
def test_a_file_of_anything_but_public_keys_is_refused(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "keys.pem"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=told):
        read_checking_keys(path)


@pytest.mark.parametrize("read", [read_signing_key, read_checking_keys])
def test_a_file_that_is_missing_is_named_with_the_cure(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ConfigError, match=r"no\.pem: No such file or directory; make a pair by `sre-agent keys create"):
        read(tmp_path / "no.pem")
