"""The brake as the remediator uses it: a verdict before anything is captured, the spending right before the act."""

from datetime import datetime, timedelta

from services.remediator.adapters.ledger import Ledger
from services.remediator.adapters.surveying import Survey
from services.remediator.core.brake import Census, Limits, Line, Verdict, judge
from shared.contracts.actions import RestartPod
from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal
from shared.runtime.metrics import BRAKED, HEALINGS_OPEN

NODE_LOOKED_AT_AGAIN = timedelta(minutes=1)


class Brake:
    """Judge commands, one after the other, and keep what they took."""

    def __init__(self, ledger: Ledger, survey: Survey, limits: Limits) -> None:
        self._ledger = ledger
        self._survey = survey
        self._limits = limits
        self._line = Line()

    async def judge(self, command: Command, *, now: datetime) -> tuple[Verdict, Census]:
        """Return whether a command must wait, and where it would act.

        Raises:
            UnavailableError: broker or API server do not answer.
        """
        spendings = await self._ledger.spendings()
        HEALINGS_OPEN.set(spendings.open_count)
        census = await self._survey.census(command, now=now)
        verdict = await self._node_verdict(command, census) or judge(
            spendings, command, limits=self._limits, census=census, now=now, line=self._line
        )
        if not command.dry_run:
            self._line = self._line.after(command, verdict, now)
        if verdict.refusal is not None:
            BRAKED.labels(reason=verdict.refusal.value, dry_run=str(command.dry_run).lower()).inc()
        return verdict, census

    async def spend(self, command: Command, census: Census) -> None:
        """Take from the budgets what a command costs; what undoes a harm costs nothing.

        Raises:
            UnavailableError: the broker does not answer; it may have been taken.
        """
        if not command.eases:
            await self._ledger.spend(command, census.place)

    async def give_back(self, command: Command) -> None:
        """Give back what a command took that changed nothing; nothing where it took nothing.

        Raises:
            UnavailableError: the broker does not answer; it may have been given back.
        """
        await self._ledger.give_back(command)

    async def _node_verdict(self, command: Command, census: Census) -> Verdict | None:
        """Return that a pod is to be left where it is while its node is in trouble.

        One that has ended, or is stuck, goes all the same: a node in trouble is the reason as a rule.
        """
        node = census.place.node
        if not isinstance(command.action, RestartPod) or command.reverts or not node:
            return None
        if node in self._ledger.nodes_in_trouble:
            figures = f"an incident is open on node {node}"
        elif not await self._survey.is_ready(node):
            figures = f"node {node} does not say that it is ready"
        else:
            return None
        return Verdict(refusal=Refusal.NODE_IN_TROUBLE, figures=figures, retry_after=NODE_LOOKED_AT_AGAIN, line=node)
