"""Prometheus' HTTP API and the file of the queries that are asked of it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import yaml
from pydantic import TypeAdapter, ValidationError

from services.collector.core.queries import Queries, Query, problem_of
from shared.contracts.model import JsonObject
from shared.kernel.errors import ConfigError, UnavailableError

_JSON_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_ANSWER_WITHIN = timedelta(seconds=10)


ALIVE = Query(name="alive", expr="1")
"""Costs nothing, and every server that speaks Prometheus' API answers it, whatever it is put together from."""


class Prometheus:
    """Ask instant queries."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def answers(self) -> None:
        """Ask whether there is an answer at all.

        Raises:
            UnavailableError: there is none.
        """
        await self.ask(ALIVE)

    async def ask(self, query: Query) -> JsonObject:
        """Return the answer to a query.

        Raises:
            UnavailableError: it does not answer, or refuses the query; the message names the query.
        """
        try:
            async with self._session.get(f"{self._url}/api/v1/query", params={"query": query.expr}) as response:
                answer = _JSON_OBJECT.validate_json(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
            raise UnavailableError(
                f"Prometheus: query {query.name}: {str(failed) or type(failed).__name__}"
            ) from failed
        problem = problem_of(answer)
        if problem:
            raise UnavailableError(f"Prometheus: query {query.name}: {problem}")
        return answer


@asynccontextmanager
async def connect(url: str) -> AsyncGenerator[Prometheus]:
    """Open a client; nothing is asked yet."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN.total_seconds())
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Prometheus(session, url)


def read_queries(path: Path) -> Queries:
    """Return the queries of a file.

    Raises:
        ConfigError: it cannot be read; the message names file, and line or field, and what was expected.
    """
    try:
        return Queries.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as failed:
        raise ConfigError(f"{path}: {failed.strerror}") from failed
    except yaml.YAMLError as wrong:
        raise ConfigError(f"{path}: {wrong}") from wrong
    except ValidationError as invalid:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in invalid.errors()]
        raise ConfigError(f"{path}: {'; '.join(faults)}") from invalid
