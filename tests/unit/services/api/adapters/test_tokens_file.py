"""The tokens' file: what is wrong with it is told by its place, and nothing of what it holds."""

import hashlib
import json
from pathlib import Path

import pytest

from services.api.adapters.tokens_file import read_holders
from services.api.core.people import Person, who_brought
from shared.kernel.errors import ConfigError


def test_a_file_is_read_as_it_is_mounted(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = {"name": "ann", "roles": ["approver"], "sha256": hashlib.sha256(b"s3cret").hexdigest()}
    path.write_text(json.dumps({"tokens": [token]}))
    assert who_brought("s3cret", read_holders(path)) == Person("ann", ("approver",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "the file: Invalid JSON"),
        ('{"tokens": [{"name": "ann", "roles": ["admin"], "sha256": "s3cret"}]}', "tokens.0.sha256: "),
        ('{"token": "s3cret"}', "tokens: Field required"),
    ],
)
def test_a_fault_is_told_by_its_place_without_the_secret(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_holders(path)
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokens\.json: expected the tokens' file: No such file"):
        read_holders(tmp_path / "tokens.json")
