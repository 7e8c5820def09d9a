"""Reads the tokens' file: JSON, as a Secret mounts it."""

from pathlib import Path

from pydantic import ValidationError

from services.api.core.people import Holder, TokensWords, holders_in
from shared.kernel.errors import ConfigError


def read_holders(path: Path) -> list[Holder]:
    """Return who holds the tokens of a file.

    Raises:
        ConfigError: it cannot be read, or is not of the form; nothing of what it holds is told.
    """
    try:
        return holders_in(TokensWords.model_validate_json(path.read_bytes()))
    except OSError as failed:
        raise ConfigError(f"{path}: expected the tokens' file: {failed.strerror}") from failed
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigError(f"{path}: {where}: {fault['msg']}") from None
