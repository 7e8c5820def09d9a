"""Keys for tests: a fixed pair for what runs in one process, and files of it for what runs as its own."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contracts.signatures import record_seal
from shared.infra.keys import SigningKey, checks_of, create_pair

__all__ = ["KEY", "OTHER_KEY", "RECORDS_KEY", "RECORDS_SEAL", "UNUSED", "checks_of", "key_settings"]

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
RECORDS_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(64, 96))))
RECORDS_SEAL = record_seal(RECORDS_KEY, "local")
"""By which remediators sign their records, as their settings name the cluster where nothing else is said."""
UNUSED = Path("/no/such/file")
"""A setting of what is wired by hand."""


@cache
def key_settings() -> dict[str, str]:
    """Return the settings of deciders and remediators that belong together, with one pair for the whole test run."""
    directory = Path(tempfile.mkdtemp(prefix="sre-agent-keys-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    pair, records = create_pair(directory), create_pair(directory / "records")
    return {
        "SRE_SIGNING_KEY_FILE": str(pair.signing),
        "SRE_CHECKING_KEYS_FILE": str(pair.checking),
        "SRE_RECORDS_KEY_FILE": str(records.signing),
    }
