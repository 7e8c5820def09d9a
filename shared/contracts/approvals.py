"""Who may approve a step: asked by the API before it takes a person's word, and by the decider, which decides."""

from collections.abc import Iterable
from enum import StrEnum

from shared.contracts.model import Value


class Terms(Value):
    """Who may approve: one of the names or roles of `by`, anybody where it names none; never `asked_by`, if set."""

    by: tuple[str, ...] = ()
    other_person: bool = False
    asked_by: str = ""


class Objection(StrEnum):
    """Why a person's approval does not count."""

    NOT_NAMED = "approver-not-named"
    SAME_PERSON = "approver-asked-for-it"


def objection_to(person: str, roles: Iterable[str], *, terms: Terms) -> Objection | None:
    """Return why an approval does not count; None where it does."""
    if terms.by and not {person, *roles} & set(terms.by):
        return Objection.NOT_NAMED
    if terms.other_person and person == terms.asked_by:
        return Objection.SAME_PERSON
    return None


def told(objection: Objection, *, terms: Terms) -> str:
    """Return an objection as people are told of it."""
    match objection:
        case Objection.NOT_NAMED:
            return f"the playbook lets approve it: {', '.join(terms.by)}"
        case Objection.SAME_PERSON:
            return f"{terms.asked_by} has asked for it, and another person is to approve it"
