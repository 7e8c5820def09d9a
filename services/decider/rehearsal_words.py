"""What another playbook would have done, as it is shown: tables for people, JSON for programs."""

from collections import Counter
from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from services.decider.adapters.rehearsing import Rehearsed
from services.decider.core.divergence import Change, Divergence, IncidentChange, Parting, tallies_of
from services.decider.core.playbook import Playbook
from services.decider.core.rehearsal import Chosen
from shared.contracts.model import JsonObject

_SIGNS = {Change.ADDED: "+", Change.LOST: "-", Change.CHANGED: "~"}


def rules_table(parting: Parting) -> Table:
    """Return how much is different, by rule."""
    table = Table("rule", "incidents", "decisions", "actions", title="Differences by rule")
    for rule, tally in tallies_of(parting).items():
        table.add_row(escape(rule), *map(_counted, (tally.incidents, tally.decisions, tally.actions)))
    return table


def decision_lines(parting: Parting) -> Iterator[str]:
    """Yield the differences that rest on no earlier one, each with what was decided and what would have been."""
    unknown = {one.incident for one in parting.incidents if one.unknown}
    for one in parting.decisions:
        if not one.follows:
            yield _line(one, is_unknown=one.incident in unknown)


def document_of(rehearsed: Rehearsed, parting: Parting, *, playbook: Playbook) -> JsonObject:
    """Return all differences for programs."""
    return {
        "playbook": {"name": playbook.words.metadata.name, "hash": playbook.hash},
        "begins": {str(partition): offset for partition, offset in rehearsed.begins.items()},
        "signals_from": rehearsed.signals_from.isoformat() if rehearsed.signals_from else None,
        "rules": [
            {
                "rule": rule,
                "incidents": _counts(tally.incidents),
                "decisions": _counts(tally.decisions),
                "actions": _counts(tally.actions),
            }
            for rule, tally in tallies_of(parting).items()
        ],
        "incidents": [_incident(one) for one in parting.incidents],
        "decisions": [_divergence(one) for one in parting.decisions],
    }


def notes_on(rehearsed: Rehearsed, parting: Parting) -> Iterator[str]:
    """Yield what a person should know about the differences."""
    following = sum(one.follows for one in parting.decisions)
    if following:
        yield f"{following} more follow from these: the cluster, or a person, would have said something else"
    unknown = sum(one.unknown for one in parting.incidents)
    if unknown:
        yield f"{unknown} incidents end in what nobody knows: their last command was never carried out, or asked about"
    if rehearsed.signals_from is not None:
        moment = rehearsed.signals_from.isoformat(timespec="seconds")
        yield f"signals that met no rule are known from {moment} on; before, only those that met one"


def _line(one: Divergence, *, is_unknown: bool) -> str:
    names = {side.decision.incident: None for side in (one.before, one.after) if side and side.decision.incident}
    moment = one.at.isoformat(timespec="milliseconds")
    sides = " → ".join(_told(side) for side in (one.before, one.after) if side is not None)
    end = " (how it ends is not known)" if is_unknown and one.after else ""
    about = " ".join([one.workload, one.rule, *map(str, names)])
    return f"{_SIGNS[one.change]} {moment} {about}: {sides}{end}"


def _told(side: Chosen) -> str:
    decision = side.decision
    step = f" step {decision.step}" if decision.step is not None else ""
    action = f": {side.action.in_words()}" if side.action is not None else ""
    return f"{decision.reason.value}{step}{action}"


def _counted(counts: Counter[Change]) -> str:
    return " ".join(f"{_SIGNS[change]}{counts[change]}" for change in Change if counts[change])


def _counts(counts: Counter[Change]) -> JsonObject:
    return {change.value: counts[change] for change in Change}


def _incident(one: IncidentChange) -> JsonObject:
    workload, rule, cause = one.incident
    return {
        "change": one.change.value,
        "at": one.at.isoformat(),
        "workload": workload,
        "rule": rule,
        "cause": cause,
        "before": one.before,
        "after": one.after,
        "unknown": one.unknown,
    }


def _divergence(one: Divergence) -> JsonObject:
    return {
        "change": one.change.value,
        "at": one.at.isoformat(),
        "workload": one.workload,
        "rule": one.rule,
        "before": _side(one.before),
        "after": _side(one.after),
        "follows": one.follows,
    }


def _side(side: Chosen | None) -> JsonObject | None:
    if side is None:
        return None
    decision = side.decision
    return {
        "reason": decision.reason.value,
        "at": decision.at.isoformat(),
        "incident": decision.incident,
        "step": decision.step,
        "attempt": decision.attempt,
        "action": side.action.model_dump(mode="json") if side.action is not None else None,
        "detail": decision.detail,
        "cause": side.cause,
        "offset": side.offset,
    }
