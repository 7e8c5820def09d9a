"""What is said of dependencies, while nothing else asks them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.kernel.errors import ConfigError, UnavailableError
from shared.runtime.dependencies import depending
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.fakes.clock import FakeClock


def starting() -> Runtime:
    return Runtime("remediator", FakeClock(), Health("remediator", "one"), asyncio.Event())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another task
            await asyncio.sleep(0)


class Store:
    """Answers or not, as it is told."""

    def __init__(self) -> None:
        self.is_away = False

    async def ask(self) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise UnavailableError("Redis: refused")


async def test_one_that_goes_away_is_named_and_well_again_when_it_is_back() -> None:
    runtime, store = starting(), Store()
    check = runtime.health.watch("redis")
    async with depending(runtime, redis=store.ask):
        await until(lambda: check.state.ok)
        store.is_away = True
        await until(lambda: check.state.reason == "Redis: refused")
        assert not runtime.health.is_ready
        store.is_away = False
        await until(lambda: check.state.ok)


async def test_one_that_never_answers_is_named_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.dependencies.ANSWER_WITHIN", timedelta(seconds=0.01))
    runtime = starting()

    async def silence() -> None:
        await asyncio.get_running_loop().create_future()

    async with depending(runtime, redis=silence):
        await until(lambda: "redis: no answer" in runtime.health.watch("redis").state.reason)


async def test_one_that_is_away_does_not_keep_the_others_from_being_asked() -> None:
    runtime, store = starting(), Store()

    async def silence() -> None:
        await asyncio.get_running_loop().create_future()

    async with depending(runtime, kafka=silence, redis=store.ask):
        await until(lambda: runtime.health.watch("redis").state.ok)
        assert not runtime.health.is_ready


async def test_what_is_raised_inside_means_outside_what_it_meant() -> None:
    with pytest.raises(ConfigError, match="wrong file"):
        async with depending(starting(), redis=Store().ask):
            raise ConfigError("wrong file")


async def test_nobody_is_asked_when_it_is_over() -> None:
    store, asked = Store(), 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        await store.ask()

    async with depending(starting(), redis=ask):
        await until(lambda: asked > 1)
    before = asked
    await asyncio.sleep(0.01)
    assert asked == before
