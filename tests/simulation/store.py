"""The store of the simulation: the few commands that a lease and claims need, and their very scripts, run by Lua."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lupa import lua51

from tests.simulation.weather import Weather

_STORE = "Redis"
_RESTORED_LIVE_MS = 5_000
Answer = str | int | list[str | int] | None


@dataclass(slots=True)
class _Kept:
    value: str
    until_ms: float


@dataclass(slots=True)
class SimulatedStore:
    """What redis-py's client is to `Redis`: it answers commands, by keys that expire by the loop's time."""

    weather: Weather = field(default_factory=Weather)
    _kept: dict[str, _Kept] = field(default_factory=dict[str, _Kept])
    _scripts: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    _lua: Any = field(default_factory=lambda: lua51.LuaRuntime(unpack_returned_tuples=False))

    async def execute_command(self, command: str, *arguments: str | int) -> Answer:
        """Return the answer to a command.

        Raises:
            UnavailableError: the store does not answer; it may have happened.
        """
        await self.weather.request(_STORE)
        words = list(map(str, arguments))
        answer = self._script(words) if command == "EVAL" else self._run(command, words)
        await self.weather.answer(_STORE)
        return answer

    def forget(self, key: str) -> None:
        """Lose a key, as a store that was restored from an old copy does."""
        self._kept.pop(key, None)

    def copy(self) -> dict[str, str]:
        """Return a copy of all that is kept now."""
        return {key: kept.value for key, kept in self._kept.items() if self._value(key) is not None}

    def restore(self, copy: dict[str, str]) -> None:
        """Hold what a copy held and nothing else, for as long as keys live that were set just now."""
        until = self._now_ms() + _RESTORED_LIVE_MS
        self._kept = {key: _Kept(value, until) for key, value in copy.items()}

    def _script(self, words: list[str]) -> Answer:
        text, count, *rest = words
        if text not in self._scripts:
            self._scripts[text] = self._lua.eval(f"function(redis, KEYS, ARGV) {text} end")
        keys, arguments = self._lua.table_from(rest[: int(count)]), self._lua.table_from(rest[int(count) :])
        redis = self._lua.table_from({"call": self._call})
        answered = self._scripts[text](redis, keys, arguments)
        return list(answered.values()) if lua51.lua_type(answered) == "table" else _whole(answered)

    def _call(self, command: str, *words: str | float) -> Answer | bool:
        answer = self._run(command, [_text(word) for word in words])
        return False if answer is None else answer  # a script meets nothing as false

    def _run(self, command: str, words: list[str]) -> Answer:
        key = words[0] if words else ""
        match command.upper():
            case "GET":
                return self._value(key)
            case "EXISTS":
                return int(self._value(key) is not None)
            case "DEL":
                return int(self._kept.pop(key, None) is not None)
            case "SET":
                self._kept[key] = _Kept(words[1], self._now_ms() + int(words[3]) if words[2:] else float("inf"))
                return "OK"
            case "PEXPIRE":
                return self._expire(key, int(words[1]))
            case "FLUSHALL":
                self._kept.clear()
                return "OK"
            case _:
                raise NotImplementedError(f"the simulated store does not know {command}")

    def _value(self, key: str) -> str | None:
        kept = self._kept.get(key)
        return kept.value if kept is not None and kept.until_ms > self._now_ms() else None

    def _expire(self, key: str, within_ms: int) -> int:
        if self._value(key) is None:
            return 0
        self._kept[key].until_ms = self._now_ms() + within_ms
        return 1

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000


def _whole(answered: Any) -> Answer:
    return int(answered) if isinstance(answered, float) else answered


def _text(word: str | float) -> str:
    return str(int(word)) if isinstance(word, float) else str(word)
