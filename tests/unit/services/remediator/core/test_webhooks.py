"""What is sent to a webhook, what its answer means, and where nothing may be sent at all."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import HttpUrl, TypeAdapter, ValidationError

from services.remediator.core.webhooks import (
    Meaning,
    Webhook,
    body_of,
    flaw_of,
    headers_of,
    key_of,
    meaning_of,
    told_of,
)

KEY = bytes(range(24))
AT = datetime(2030, 1, 1, tzinfo=UTC)
URL = TypeAdapter(HttpUrl)


def test_a_call_is_signed_as_a_receiver_that_follows_the_specification_checks_it() -> None:
    body = body_of({"b": 1, "a": "ü"})
    headers = headers_of(body, key=KEY, name="cmd-1", at=AT)
    assert body == '{"a":"ü","b":1}'.encode()
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("cmd-1", "1893456000")
    version, _, signature = headers["webhook-signature"].partition(",")
    expected = hmac.new(KEY, b"cmd-1.1893456000." + body, hashlib.sha256).digest()
    assert (version, base64.b64decode(signature)) == ("v1", expected)


@given(body=st.binary(max_size=200), name=st.text(max_size=20), other=st.binary(min_size=24, max_size=64))
def test_another_id_moment_body_or_key_is_another_signature(body: bytes, name: str, other: bytes) -> None:
    def signed(body: bytes, *, name: str = name, at: datetime = AT, key: bytes = KEY) -> str:
        return headers_of(body, key=key, name=name, at=at)["webhook-signature"]

    assert signed(body) == signed(body)
    assert signed(body) != signed(body + b" ")
    assert signed(body) != signed(body, name=f"{name}x")
    assert signed(body) != signed(body, at=AT.replace(second=1))
    assert other == KEY or signed(body) != signed(body, key=other)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Meaning.DONE),
        (202, Meaning.DONE),
        (299, Meaning.DONE),
        (301, Meaning.REFUSED),
        (308, Meaning.REFUSED),
        (400, Meaning.REFUSED),
        (404, Meaning.REFUSED),
        (429, Meaning.REFUSED),
        (500, Meaning.UNKNOWN),
        (503, Meaning.UNKNOWN),
        (101, Meaning.UNKNOWN),
        (999, Meaning.UNKNOWN),
    ],
)
def test_a_status_means_done_refused_or_neither(status: int, meaning: Meaning) -> None:
    assert meaning_of(status) is meaning


def test_a_redirect_is_told_as_what_it_is() -> None:
    assert told_of(302) == "it answered 302, which is not followed"
    assert told_of(404) == "it answered 404"


@pytest.mark.parametrize(
    "url", ["https://a.example/x?y=1", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost"]
)
def test_to_these_addresses_may_be_sent(url: str) -> None:
    assert flaw_of(URL.validate_python(url)) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "http://10.0.0.1/",
        "http://localhost.a.example/",
        "http://127.0.0.1.a.example/",
        "http://169.254.169.254/latest",
        "https://user@a.example/",
        "https://user:secret@a.example/",
        "https://a.example/#part",
        "ftp://a.example/",
        "file:///etc/passwd",
        "a.example",
        "",
    ],
)
def test_to_others_may_not(url: str) -> None:
    try:
        flaw = flaw_of(URL.validate_python(url))
    except ValidationError:
        return
    assert flaw is not None
    assert "secret" not in flaw


def test_a_key_is_one_of_the_specification_and_its_fault_does_not_tell_it() -> None:
    for size in (24, 64):
        key = bytes(size)
        assert key_of(f"whsec_{base64.b64encode(key).decode()}\n") == key
        assert key_of(base64.b64encode(key).decode()) == key
    for text in (
        "",
        "whsec_",
        "whsec_not base64!",
        base64.b64encode(bytes(23)).decode(),
        base64.b64encode(bytes(65)).decode(),
    ):
        flaw = key_of(text)
        assert isinstance(flaw, str)
        assert not text or text not in flaw
    assert "key" not in repr(Webhook("https://a.example", KEY))
