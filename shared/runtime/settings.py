"""Settings: read once from the environment, checked, and named in the error when they are wrong."""

import os
import socket
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kernel.errors import ConfigError
from shared.runtime.variables import PREFIX, unknown_among


def _instance() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class ServiceSettings(BaseSettings):
    """What all services share; a service adds its own."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    kafka_bootstrap: str = "127.0.0.1:9092"
    cluster: str = "local"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65535)
    crash_at: str = ""
    stop_at: str = ""
    instance: str = Field(default_factory=_instance)


S = TypeVar("S", bound=BaseSettings)


def read_settings(model: type[S]) -> S:
    """Return the settings of the environment.

    Raises:
        ConfigError: with each variable that is wrong or missing, and what was expected, and each that nothing knows: a
            limit that is misspelled would not hold. Never with a value.
    """
    unknown = unknown_among(os.environ)
    try:
        settings = model()
    except ValidationError as invalid:
        faults = [*_faults(invalid), *unknown]
        raise ConfigError("; ".join(faults)) from None  # the cause holds the values, secrets among them
    if unknown:
        raise ConfigError("; ".join(unknown))
    return settings


def _faults(invalid: ValidationError) -> list[str]:
    faults = invalid.errors(include_url=False, include_input=False)
    return [f"{_variable(fault['loc'])}: {fault['msg']}" for fault in faults]


def _variable(location: tuple[int | str, ...]) -> str:
    name = ".".join(map(str, location))
    return name if name.isupper() else f"{PREFIX}{name.upper()}"
