"""The register: the highest token that a leader ever had, kept in the cluster that the tokens are to guard.

It is a Lease object, by which nothing is leased: the API server's policies compare each write of the remediator with
its annotation, and no store or broker that is lost takes it along (docs/adr/0012).
"""

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.fencing import Reading, first_register, raised, reading_of
from shared.contracts.actions.marks import TOKEN_ANNOTATION
from shared.contracts.requests import PatchType
from shared.infra.kube import KubeError
from shared.infra.redis import Term
from shared.kernel.errors import UnavailableError

NAMESPACE, NAME = "sre-agent", "sre-agent-remediator"
_COLLECTION = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_PATH = f"{_COLLECTION}/{NAME}"
_NOT_FOUND, _CONFLICT = 404, 409


class Register:
    """Read and raise the highest token."""

    def __init__(self, client: Cluster) -> None:
        self._client = client

    async def read(self) -> Reading:
        """Return what it says.

        Raises:
            UnavailableError: it cannot be read, or says no token: which one was the highest is not known then.
        """
        try:
            reading = reading_of(await self._client.get(_PATH))
        except KubeError as refused:
            if refused.status == _NOT_FOUND:
                return Reading(0, "")
            raise _unusable("read", refused) from refused
        if isinstance(reading, str):
            raise UnavailableError(f"the register {NAMESPACE}/{NAME} says {TOKEN_ANNOTATION}={reading!r}, no token")
        return reading

    async def raise_to(self, term: Term, *, over: Reading) -> bool:
        """Raise it to a term's token; False where it is not as it was read, so that another leader was before us.

        Raises:
            UnavailableError: it cannot be written, or may have been.
        """
        try:
            if over.version:
                patch = raised(over, token=term.token, owner=term.owner)
                await self._client.patch(_PATH, patch, kind=PatchType.MERGE)
            else:
                first = first_register(NAMESPACE, NAME, token=term.token, owner=term.owner)
                await self._client.create(_COLLECTION, first)
        except KubeError as refused:
            if refused.status == _CONFLICT:
                return False
            raise _unusable("written", refused) from refused
        return True


def _unusable(what: str, refused: KubeError) -> UnavailableError:
    return UnavailableError(f"the register {NAMESPACE}/{NAME} cannot be {what}: {refused}")
