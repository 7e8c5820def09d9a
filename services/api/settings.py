"""The API's settings, read once from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from shared.runtime.settings import ServiceSettings


def _pairs(written: object) -> object:
    """Return `name<separator>value` pairs as a mapping; the separator is the first ":" or "=" after the name."""
    if not isinstance(written, str):
        return written
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in written.split(","))):
        separator = "=" if "=" in pair.split(":")[0] else ":"
        name, found, value = pair.partition(separator)
        if not found or not name.strip() or not value.strip():
            raise ValueError("expected name:secret pairs, or name=url pairs, with commas between them")
        pairs[name.strip()] = value.strip()
    return pairs


class ApiSettings(ServiceSettings):
    """Adds the store, the address to serve at, who may change something, and whose health to show.

    `SRE_API_TOKEN` is `name:secret,name:secret…`: a change is written down under the name; who has one may do all.
    `SRE_API_TOKENS_FILE` names people with their roles. Without either nothing can be changed. `SRE_API_SERVICES` is
    `name=url,…` of the services' health servers.
    """

    redis_url: str = "redis://127.0.0.1:6379/0"
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)
    api_token: Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_pairs)] = Field(
        default_factory=dict[str, SecretStr]
    )
    api_tokens_file: Path | None = None
    api_services: Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)] = Field(default_factory=dict[str, str])
    api_max_streams: int = Field(default=100, ge=1, le=10_000)
