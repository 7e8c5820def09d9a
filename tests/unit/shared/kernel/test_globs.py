"""Globs: what they stand for, and that no text makes them slow."""

from fnmatch import fnmatchcase
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.globs import compile_glob, is_glob


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("bank", "bank"),
        ("bank-*", "bank-"),
        ("bank-*", "bank-prod"),
        ("*-db", "ledger-db"),
        ("*", ""),
        ("a**c", "abc"),
        ("web-?", "web-1"),
        ("*a?c*", "xxabcxx"),
        ("*ab", "aab"),
        ("a.b[c]", "a.b[c]"),
        ("?", "\n"),
    ],
)
def test_a_glob_matches_what_it_stands_for(glob: str, text: str) -> None:
    assert compile_glob(glob).matches(text)


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("bank", "Bank"),
        ("bank", "bank-prod"),
        ("bank-*", "my-bank-prod"),
        ("*-db", "ledger-db-1"),
        ("", "a"),
        ("web-?", "web-"),
        ("web-?", "web-12"),
        ("ab*ba", "aba"),
        ("a.b", "acb"),
        ("[ab]", "a"),
        ("bank", "bank\n"),
    ],
)
def test_a_glob_matches_nothing_else(glob: str, text: str) -> None:
    assert not compile_glob(glob).matches(text)


@given(st.text("ab*?\n", max_size=12), st.text("ab\n", max_size=20))
def test_a_glob_matches_as_the_shell_does(glob: str, text: str) -> None:
    assert compile_glob(glob).matches(text) == fnmatchcase(text, glob)


def test_only_what_holds_a_wildcard_is_a_glob() -> None:
    assert is_glob("bank-*")
    assert is_glob("web-?")
    assert not is_glob("bank.[prod]")


def test_a_hostile_glob_takes_no_longer_than_its_lengths_allow() -> None:
    glob, text = compile_glob("*a" * 120 + "*b"), "a" * 250
    begun = process_time()
    assert not any(glob.matches(text) for _ in range(100))
    assert process_time() - begun < 1  # trying every place of every star would take longer than the universe is old
