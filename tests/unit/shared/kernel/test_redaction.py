"""Redaction: no secret survives, and what is none stays."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.redaction import redact

SECRETS = [
    ("password=hunter2hunter2", "hunter2hunter2"),
    ('"db_password": "two words here"', "two words here"),
    ("POSTGRES_PASSWORD='s3cr3t value'", "s3cr3t value"),
    ("jdbc:postgresql://app:topsecret@db:5432/x", "topsecret"),
    ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    ("token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.s1gnature-x", "eyJzdWIiOiIxMjM0In0"),
    ("key AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSyA1234567890"),
    ("aws AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("mail to jane.doe@bank.example now", "jane.doe@bank.example"),
    ("card 4111 1111 1111 1111 declined", "4111 1111 1111 1111"),
    ("iban DE89 3704 0044 0532 0130 00", "3704 0044"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "MIIabc"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_does_not_survive(text: str, secret: str) -> None:
    cleaned = redact(text)
    assert not any(word in cleaned.text for word in (secret, *secret.split()))
    assert cleaned.count >= 1


@pytest.mark.parametrize("text", ["exit code 3", "4111 1111 1111 1112", "pod web-1 restarted 12 times", "limit=128Mi"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text).text == text


@given(st.lists(st.sampled_from([text for text, _ in SECRETS]) | st.text(max_size=20), max_size=6))
def test_a_second_pass_changes_nothing_more(pieces: list[str]) -> None:
    once = redact(" \n ".join(pieces)).text
    assert redact(once).text == once


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "pass",
        "a-",
        "a.",
        "a@",
        "a@b.",
        "1 ",
        "eyJaaaaaaaa-",
        "token=",
        'password="',
        "bearer ",
        "a+",
        "password   ",
    ],
)
def test_no_text_takes_long_whatever_a_container_writes(piece: str) -> None:
    """What takes time by the square of the length takes most of a minute here, and what does not some hundredths."""
    hostile = piece * (32_768 // len(piece))
    began = process_time()
    redact(hostile)
    assert process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=[REDACTED:secret]"),
        ("spring.datasource.password: hunter2", "spring.datasource.password: [REDACTED:secret]"),
        ("see x.password-file = hunter2 now", "see x.password-file = [REDACTED:secret] now"),
        ('{"password":"hunter2"}', '{"password":[REDACTED:secret]}'),
        ("<anna.b+c@bank.example>", "<[REDACTED:email]>"),
        ("jdbc:postgresql://anna:hunter2@db/x", "jdbc:postgresql://anna:[REDACTED:url-password]@db/x"),
    ],
)
def test_a_word_that_holds_a_name_is_taken_as_a_whole(text: str, kept: str) -> None:
    assert redact(text).text == kept
