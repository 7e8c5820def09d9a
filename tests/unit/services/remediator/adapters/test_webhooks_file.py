"""The file of webhooks: what is wrong with it is told at once, and never with a key."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from services.remediator.adapters.webhooks_file import read_webhooks
from services.remediator.core.webhooks import Webhook
from shared.kernel.errors import ConfigError

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


def written(directory: Path, *, key: str = SECRET, **words: Any) -> Path:
    (directory / "pipeline.key").write_text(f"{key}\n", encoding="utf-8")
    usual = {"url": "https://ci.example/hooks/heal", "key_file": str(directory / "pipeline.key")}
    path = directory / "webhooks.json"
    path.write_text(json.dumps({"pipeline": usual | words}), encoding="utf-8")
    return path


def test_each_webhook_has_its_address_and_its_key(tmp_path: Path) -> None:
    assert read_webhooks(written(tmp_path)) == {"pipeline": Webhook("https://ci.example/hooks/heal", KEY)}


def test_without_a_file_there_are_none() -> None:
    assert read_webhooks(None) == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"url": "http://ci.example/"}, "pipeline.url"),
        ({"url": "https://me:word@ci.example/"}, "pipeline.url"),
        ({"key_file": "/nowhere"}, "the key of webhook pipeline"),
        ({"key": "whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ({"key": "plain words"}, "base64"),
        ({"header": "x"}, "pipeline.header"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is_told(words: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        read_webhooks(written(tmp_path, **words))
    assert expected in str(told.value)
    assert not any(secret in str(told.value) for secret in (SECRET, "c2hvcnQ", "plain words", "me:word"))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.json"
    with pytest.raises(ConfigError, match="expected the webhooks' file"):
        read_webhooks(path)
    path.write_text("no json", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"webhooks.json"):
        read_webhooks(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="as text"):
        read_webhooks(path)
