"""An eviction, as every action asks for it: of the pod that was seen, within its own grace."""

from shared.contracts.paths import collection_of
from shared.contracts.requests import Create


def eviction_of(pod: str, namespace: str, *, uid: str) -> Create:
    """Return the request that evicts a pod under its uid."""
    return Create(
        f"{collection_of('Pod', namespace)}/{pod}/eviction",
        {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        },
    )
