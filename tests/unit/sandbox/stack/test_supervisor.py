"""The supervisor: what others need is stopped after them; what is halted stays down until it is resumed."""

import asyncio
import sys
from pathlib import Path

import pytest

from sandbox.stack.errors import ProcessDiedError
from sandbox.stack.process import ServiceSpec
from sandbox.stack.progress import silent
from sandbox.stack.supervisor import Supervisor

LASTING = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('{name} ends', flush=True), sys.exit()))"
WAITING = f"{LASTING}; print('{{name}} runs', flush=True); signal.pause()"


def spec(name: str, log: Path, *depends: str, program: str = WAITING) -> ServiceSpec:
    async def is_ready() -> bool:
        return await asyncio.to_thread(lambda: f"{name} runs" in log.read_text())

    argv = [sys.executable, "-c", program.format(name=name)]
    return ServiceSpec(name=name, argv=argv, log_path=log, ready=is_ready, depends=depends)


async def test_what_others_need_ends_after_them(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor(tmp_path / "state.json", report=silent)
    await supervisor.start([spec("third", log, "second"), spec("second", log, "first"), spec("first", log)])
    await supervisor.stop()
    ends = [line.split()[0] for line in log.read_text().splitlines() if line.endswith("ends")]
    assert ends == ["third", "second", "first"]
    assert not (tmp_path / "state.json").exists()


async def test_what_dies_is_started_again_but_not_what_is_halted(tmp_path: Path) -> None:
    log, told = tmp_path / "log", asyncio.Event()
    supervisor = Supervisor(tmp_path / "state.json", report=silent)
    await supervisor.start([spec("one", log), spec("other", log)])
    supervisor.watch(lambda _: told.set())
    try:
        await supervisor.halt("one")
        before = supervisor.pid("one")
        await supervisor.resume("one")
        assert supervisor.pid("one") != before
        assert (told.is_set(), supervisor.restarts) == (False, {})
    finally:
        await supervisor.stop()


async def test_what_ends_before_it_is_ready_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "state.json", report=silent)
    broken = spec("broken", tmp_path / "log", program="print('no such {name}'); raise SystemExit(3)")
    with pytest.raises(ProcessDiedError, match="no such broken"):
        await supervisor.start([broken])
    await supervisor.stop()
