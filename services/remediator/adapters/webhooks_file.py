"""Reads which webhooks there are: JSON, as a ConfigMap mounts it, and the key of each, as a Secret does."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, HttpUrl, TypeAdapter, ValidationError, field_validator

from services.remediator.core.webhooks import Webhook, flaw_of, key_of
from shared.kernel.errors import ConfigError


class WebhookWords(BaseModel):
    """What the settings say of one webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: HttpUrl
    key_file: Path

    @field_validator("url")
    @classmethod
    def _is_fit(cls, url: HttpUrl) -> HttpUrl:
        flaw = flaw_of(url)
        if flaw is not None:
            raise ValueError(flaw)
        return url


_WORDS = TypeAdapter(dict[str, WebhookWords])


def read_webhooks(path: Path | None) -> Mapping[str, Webhook]:
    """Return the webhooks of a file by their names; none where no file is named.

    Raises:
        ConfigError: it or a key cannot be read, or is not of the form; nothing of a key is told.
    """
    if path is None:
        return {}
    try:
        words = _WORDS.validate_json(_text_of(path, "the webhooks' file"))
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigError(f"{path}: {where}: {fault['msg']}") from None
    return {name: Webhook(str(one.url), _key(one.key_file, name)) for name, one in words.items()}


def _key(path: Path, name: str) -> bytes:
    key = key_of(_text_of(path, f"the key of webhook {name}"))
    if isinstance(key, str):
        raise ConfigError(f"{path}: the key of webhook {name}: {key}")
    return key


def _text_of(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failed:
        raise ConfigError(f"{path}: expected {what}: {failed.strerror}") from failed
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected {what} as text") from None
