"""Roles: what each may do and nothing beyond, whose a secret is, and which files name people that can be told apart."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.api.core.people import (
    MAY,
    Deed,
    Holder,
    Person,
    Role,
    TokensWords,
    holder_of,
    holders_in,
    roles_for,
    who_brought,
)


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.mark.parametrize(
    ("roles", "deeds"),
    [
        ((), set[Deed]()),
        (("viewer",), set[Deed]()),
        (("database",), set[Deed]()),
        (("Admin",), set[Deed]()),
        (("operator",), {Deed.PAUSE, Deed.SILENCE}),
        (("approver",), {Deed.APPROVE}),
        (("alerts",), {Deed.ALERT}),
        (("operator", "approver", "database"), {Deed.PAUSE, Deed.SILENCE, Deed.APPROVE}),
        (("admin",), set(Deed)),
    ],
)
def test_roles_allow_their_deeds_and_no_others(roles: tuple[str, ...], deeds: set[Deed]) -> None:
    assert {deed for deed in Deed if Person("ann", roles).may(deed)} == deeds


@given(st.sets(st.sampled_from([*Role, "database"])), st.sampled_from([*Role, "database"]))
def test_a_further_role_takes_no_right_away(roles: set[str], further: str) -> None:
    before, after = Person("ann", tuple(roles)), Person("ann", (*roles, further))
    assert all(after.may(deed) for deed in Deed if before.may(deed))


def test_every_deed_has_a_role_beside_admin_but_acting_by_hand() -> None:
    assert {deed for deed in Deed if list(roles_for(deed)) == ["admin"]} == {Deed.ACT}
    assert set(MAY) == set(Role)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5, unique=True), st.text(max_size=5))
def test_a_secret_is_its_holders_alone(secrets: list[str], brought: str) -> None:
    holders = [Holder(Person(f"p{number}", ("admin",)), sha256(secret)) for number, secret in enumerate(secrets)]
    found = who_brought(brought, holders)
    assert found == (Person(f"p{secrets.index(brought)}", ("admin",)) if brought in secrets else None)


def test_a_secret_that_a_setting_gives_may_do_all() -> None:
    person = who_brought("s3cret", [holder_of("ann", "s3cret")])
    assert person is not None
    assert all(person.may(deed) for deed in Deed)


def tokens(*words: tuple[str, list[str], str]) -> Any:
    return {"tokens": [{"name": name, "roles": roles, "sha256": sha256(secret)} for name, roles, secret in words]}


def test_a_file_names_people_with_their_roles() -> None:
    words = TokensWords.model_validate(tokens(("ann", ["approver", "database"], "a"), ("prometheus", ["alerts"], "b")))
    holders = holders_in(words)
    assert who_brought("a", holders) == Person("ann", ("approver", "database"))
    assert who_brought("b", holders) == Person("prometheus", ("alerts",))
    assert who_brought("c", holders) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"tokens": []}, "at least 1 item"),
        (tokens(("ann", [], "a")), "at least 1 item"),
        (tokens(("an n", ["admin"], "a")), "pattern"),
        (tokens(("ann", ["admin"], "a"), ("ben", ["viewer"], "a")), "each hash once"),
        (tokens(("database", ["viewer"], "a"), ("ann", ["database"], "b")), "also a role: database"),
        (tokens(("admin", ["viewer"], "a")), "also a role: admin"),
        ({"tokens": [{"name": "ann", "roles": ["admin"], "sha256": "s3cret"}]}, "pattern"),
        ({"tokens": [{"name": "ann", "roles": ["admin"], "token": "s3cret"}]}, "Extra inputs|Field required"),
    ],
)
def test_a_file_in_which_people_cannot_be_told_apart_is_refused(words: Any, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        TokensWords.model_validate(words)
