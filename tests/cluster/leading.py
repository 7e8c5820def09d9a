"""Leading without a store: a cluster as the leader of a token may change it, for tests of single actions."""

from services.remediator.adapters.acting import Actor, Refused
from services.remediator.adapters.cluster import Cluster
from services.remediator.adapters.fencing import FencedCluster
from services.remediator.adapters.register import Register
from services.remediator.tenure import Tenure
from shared.contracts.actions.base import Done
from shared.contracts.commands import Command
from shared.infra.redis import Term

TOKEN_NOW = 7
"""The leader's own, which the objects of the tests carry already."""


def led(client: Cluster, *, token: int) -> FencedCluster:
    """Return a cluster behind the fence of a tenure that does not end."""
    tenure = Tenure(Term("test", token), until=float("inf"))
    return FencedCluster(client, tenure=tenure, register=Register(client))


async def live(actor: Actor, ordered: Command) -> Done | Refused:
    """Carry a command out."""
    return await actor.act(ordered, token=TOKEN_NOW, dry_run=False)


async def preview(actor: Actor, ordered: Command) -> Done | Refused:
    """Ask what a command would do."""
    return await actor.act(ordered, token=TOKEN_NOW, dry_run=True)
