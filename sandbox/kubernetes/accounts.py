"""The service accounts of our services: what `deploy/` ships is applied, each gets a kubeconfig with its token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sandbox.kubernetes.certificates import write_kubeconfig
from sandbox.kubernetes.control_plane import ControlPlane
from sandbox.manifests import collection_of, create_missing, documents
from shared.infra.kube import KubeClient

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

AGENT_NAMESPACE = "sre-agent"
ACCOUNTS = ("collector", "decider", "remediator", "rca", "api")
SPEAKERS = ("collector", "remediator")
"""The services that speak to a cluster; the others have an account that may do nothing there."""
HEALED_NAMESPACE = "bank"
_DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
_RIGHTS = ("rbac.yaml", "admission.yaml")
_TOKEN_LIVES_S = 86_400


async def install_accounts(plane: ControlPlane, directory: Path, names: Sequence[str] = ACCOUNTS) -> Mapping[str, Path]:
    """Apply the rights that are shipped; return the kubeconfig of each account.

    Raises:
        KubeError: the server refuses what is shipped.
        UnavailableError: it does not answer.
    """
    healed: JsonObject = {"kind": "Namespace", "metadata": {"name": HEALED_NAMESPACE}}
    async with KubeClient(plane.kubeconfig) as client:
        await create_missing(client, [healed, *documents(*(_DEPLOY / name for name in _RIGHTS))])
        return {name: await _kubeconfig(client, plane, directory / f"{name}.kubeconfig") for name in names}


async def _kubeconfig(client: KubeClient, plane: ControlPlane, path: Path) -> Path:
    request: JsonObject = {"spec": {"expirationSeconds": _TOKEN_LIVES_S}}
    account = f"{collection_of('ServiceAccount', AGENT_NAMESPACE)}/{path.stem}"
    answer = await client.create(f"{account}/token", request)
    user: JsonObject = {"token": cast("JsonObject", answer["status"])["token"]}
    return write_kubeconfig(path, server=plane.url, authority=plane.keys.authority, user=user)
