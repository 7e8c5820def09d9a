"""Leading without a store: a cluster as the leader of a token may change it, for tests of single actions."""

from services.remediator.adapters.cluster import Cluster
from services.remediator.adapters.fencing import FencedCluster
from services.remediator.adapters.register import Register
from services.remediator.tenure import Tenure
from shared.infra.redis import Term


def led(client: Cluster, *, token: int) -> FencedCluster:
    """Return a cluster behind the fence of a tenure that does not end."""
    tenure = Tenure(Term("test", token), until=float("inf"))
    return FencedCluster(client, tenure=tenure, register=Register(client))
