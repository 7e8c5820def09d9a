"""Redis or Valkey: a lease with a fencing token, and claims; each is one Lua script, which happens whole or not at all.

redis-py's own lock has no fencing token (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/).
"""

import asyncio
from collections.abc import Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import redis.asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.kernel.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ANSWER_WITHIN = timedelta(seconds=2)
_CLAIM_KEPT = timedelta(days=8)
"""Longer than the commands topic keeps a command, so that none can be delivered after its claim is forgotten."""

_ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local token = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[2])) + 1
redis.call('SET', KEYS[2], string.format('%d', token))
redis.call('SET', KEYS[1], ARGV[1] .. '|' .. string.format('%d', token), 'PX', ARGV[3])
return token
"""
_NEW = 2
"""What `_CLAIM` says of a command that nobody had taken up."""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
_CLAIM = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, ''} end
local before = redis.call('GET', KEYS[2])
if before then return {1, before} end
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
return {2, ''}
"""
_SETTLE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, ''} end
local before = redis.call('GET', KEYS[2])
if before and before ~= '' then return {1, before} end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return {1, ARGV[3]}
"""


@asynccontextmanager
async def connect(url: str) -> "AsyncGenerator[Redis]":
    """Open a store; nothing is asked of it yet."""
    raw: Any = redis_asyncio.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        socket_timeout=ANSWER_WITHIN.total_seconds(),
        socket_connect_timeout=ANSWER_WITHIN.total_seconds(),
        retry=Retry(NoBackoff(), 0),  # the loops retry, and health says so meanwhile
        decode_responses=True,
    )
    try:
        yield Redis(raw)
    finally:
        await raw.aclose()


class Redis:
    """A store whose errors are ours and whose answers come in time."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401
        self._raw = raw

    async def run(self, command: str, *arguments: str | int) -> Any:  # noqa: ANN401
        """Return the answer to a command.

        Raises:
            UnavailableError: the store does not answer, or not as it should.
        """
        with _translated():
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds() * 2):
                return await self._raw.execute_command(command, *arguments)

    async def ask(self) -> None:
        """Ask whether the store answers.

        Raises:
            UnavailableError: it does not, or something else does in its place.
        """
        if await self.run("PING") is not True:  # which redis-py makes of PONG
            raise UnavailableError("Redis: what answers is no store")

    async def script(self, text: str, *, keys: list[str], arguments: list[str | int]) -> Any:  # noqa: ANN401
        """Return the answer of a Lua script, which happens whole or not at all.

        Raises:
            UnavailableError: the store does not answer; it may have happened.
        """
        return await self.run("EVAL", text, len(keys), *keys, *arguments)


@dataclass(frozen=True, slots=True)
class Term:
    """One holding of the lease: who holds it, and the token that no later holder's is below."""

    owner: str
    token: int

    @property
    def value(self) -> str:
        """Return what the lease's key holds."""
        return f"{self.owner}|{self.token}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A command that was taken up. `result` is what it came to; empty while that is not known."""

    is_new: bool
    result: str


class Lease:
    """One holder at a time, each with a higher token than all before it."""

    def __init__(self, redis: Redis, name: str, *, ttl: timedelta) -> None:
        self._redis = redis
        self._key = f"sre:lease:{name}"
        self._ttl_ms = ttl // timedelta(milliseconds=1)

    async def is_free(self) -> bool:
        """Tell whether nobody holds the lease.

        Raises:
            UnavailableError: the store does not answer.
        """
        return not _number(await self._redis.run("EXISTS", self._key))

    async def acquire(self, owner: str, *, floor: int) -> Term | None:
        """Return a new term, or None while somebody holds the lease; its token is above `floor`.

        `floor` is a number that only grows and does not live in the store, so that a store that was wiped, or restored
        from an old copy, gives no token a second time.

        Raises:
            UnavailableError: the store does not answer.
        """
        keys = [self._key, f"{self._key}:token"]
        token = await self._redis.script(_ACQUIRE, keys=keys, arguments=[owner, floor, self._ttl_ms])
        return Term(owner, number) if (number := _number(token)) else None

    async def renew(self, term: Term) -> bool:
        """Hold on; False when the lease is somebody else's by now.

        Raises:
            UnavailableError: the store does not answer.
        """
        return bool(_number(await self._redis.script(_RENEW, keys=[self._key], arguments=[term.value, self._ttl_ms])))

    async def release(self, term: Term) -> None:
        """Let go at once; nothing happens when the lease is somebody else's.

        Raises:
            UnavailableError: the store does not answer.
        """
        await self._redis.script(_RELEASE, keys=[self._key], arguments=[term.value])

    async def claim(self, term: Term, command: str) -> Claim | None:
        """Take a command up; None when the lease is somebody else's by now.

        Raises:
            UnavailableError: the store does not answer.
        """
        kept_ms = _CLAIM_KEPT // timedelta(milliseconds=1)
        keys, arguments = [self._key, _claim_key(command)], [term.value, kept_ms]
        found, result = _pair(await self._redis.script(_CLAIM, keys=keys, arguments=arguments))
        return Claim(is_new=found == _NEW, result=result) if found else None

    async def settle(self, term: Term, command: str, result: str) -> str | None:
        """Note what a claimed command came to and return it; None when the lease is somebody else's by now.

        What was noted first stays: it is what is returned, whatever is noted later.

        Raises:
            UnavailableError: the store does not answer; it may have been noted.
        """
        kept_ms = _CLAIM_KEPT // timedelta(milliseconds=1)
        keys = [self._key, _claim_key(command)]
        is_ours, kept = await self._redis.script(_SETTLE, keys=keys, arguments=[term.value, kept_ms, result])
        return str(kept) if int(is_ours) else None


def _number(answer: Any) -> int:  # noqa: ANN401
    """Return a script's number; what is none was not said by a script, and nothing may follow from it."""
    if not isinstance(answer, int):
        raise UnavailableError("Redis: the answer is no number")
    return answer


def _pair(answer: Any) -> tuple[int, str]:  # noqa: ANN401
    match answer:
        case [int(number), str(text)]:
            return number, text
        case _:
            raise UnavailableError("Redis: the answer is no number with a text")


def _claim_key(command: str) -> str:
    return f"sre:claim:{command}"


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError, ValueError) as failed:  # the last where the answer is in no form
        raise UnavailableError(f"Redis: {str(failed) or type(failed).__name__}") from failed
