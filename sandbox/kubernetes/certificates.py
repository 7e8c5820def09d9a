"""The keys of a cluster: one authority, a certificate for each who speaks, kubeconfigs that lead to the API server."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

ADMINS = "system:masters"
NODES = "system:nodes"


class Keys:
    """Keys and certificates as files in a directory of their own, readable by their owner alone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, mode=0o700)
        self._directory = directory
        self._authority = trustme.CA(organization_name="sre-agent sandbox")
        self._authority.cert_pem.write_to_path(str(self.authority))
        # tokens of service accounts are signed with a key of their own
        accounts = trustme.CA(organization_name="sre-agent sandbox accounts")
        accounts.cert_pem.write_to_path(str(self.certificate("accounts")))
        self._write_key("accounts", accounts.private_key_pem)

    @property
    def authority(self) -> Path:
        """Return the certificate that all others are signed by."""
        return self._directory / "authority.crt"

    def certificate(self, name: str) -> Path:
        """Return where the certificate of a name is."""
        return self._directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return where the key of a name is."""
        return self._directory / f"{name}.key"

    def issue(self, name: str, *, common_name: str, group: str = "", hosts: tuple[str, ...] = ("localhost",)) -> None:
        """Make key and certificate of a name; to Kubernetes its common name is a user, its group that user's group."""
        made = self._authority.issue_cert(*hosts, common_name=common_name, organization_name=group or None)
        made.cert_chain_pems[0].write_to_path(str(self.certificate(name)))
        self._write_key(name, made.private_key_pem)

    def kubeconfig(self, path: Path, *, server: str, name: str) -> Path:
        """Write the kubeconfig of who has a name's key, and return its path."""
        user: JsonObject = {"client-certificate": str(self.certificate(name)), "client-key": str(self.key(name))}
        return write_kubeconfig(path, server=server, authority=self.authority, user=user)

    def _write_key(self, name: str, pem: trustme.Blob) -> None:
        self.key(name).touch(mode=0o600)
        pem.write_to_path(str(self.key(name)))


def write_kubeconfig(path: Path, *, server: str, authority: Path, user: "JsonObject") -> Path:
    """Write a kubeconfig (as JSON, which is YAML) with one cluster, one user and one context; return its path."""
    cluster: JsonObject = {"server": server, "certificate-authority": str(authority)}
    document: JsonObject = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": path.stem, "user": user}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": path.stem}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))
    return path
