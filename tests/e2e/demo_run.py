"""The demo as a user runs it: a process that prints, with its stack's state and audit log to look into."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_COMMAND = re.compile(r'sre-agent\.dev(?:/|~1)command"(?:, "value")?: "([^"]+)"')
ENDS_WITHIN = timedelta(minutes=5)


@dataclass
class DemoRun:
    """One run in a directory of its own."""

    directory: Path
    lines: list[str] = field(default_factory=list[str])
    code: int | None = None
    _pid: int = 0
    pids: dict[str, int] = field(default_factory=dict[str, int])

    async def follow(self) -> AsyncIterator[str]:
        """Start the demo and yield its lines; its exit code is known at the end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shared.runtime.cli", "demo", "--directory", str(self.directory)),
            *("--playbook", str(ROOT / "healing-playbook.yaml")),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        self._pid = process.pid
        async with asyncio.timeout(ENDS_WITHIN.total_seconds()):
            async for raw in process.stdout:
                self.lines.append(raw.decode().rstrip())
                self._note_pids()
                yield self.lines[-1]
            self.code = await process.wait()

    async def to_end(self) -> None:
        """Run without doing anything to it."""
        async for _ in self.follow():
            pass

    def interrupt(self, number: signal.Signals) -> None:
        """Send the demo itself a signal, as Ctrl-C does."""
        os.kill(self._pid, number)

    def kill(self, name: str) -> None:
        """Kill a process of the stack as `kill -9` does."""
        os.kill(self._state()["pids"][name], signal.SIGKILL)

    def left_behind(self) -> list[str]:
        """Return the processes of the stack that still run."""
        return [name for name, pid in self.pids.items() if Path(f"/proc/{pid}").exists()]

    def effects(self) -> dict[str, list[str]]:
        """Return what the remediator changed in the cluster, by the id of the command; from the cluster's audit log."""
        log = self.directory / "cluster" / "audit.jsonl"
        found: dict[str, list[str]] = {}
        marked = ""
        for entry in map(json.loads, log.read_text().splitlines()):
            if entry["code"] >= 300 or "dryRun" in entry["query"]:
                continue
            marked = _command_of(entry["body"]) or marked
            if entry["path"].endswith("/eviction"):  # the pod was marked by the write before
                found.setdefault(marked, []).append(f"evict {entry['path'].split('/')[-2]}")
            elif _command_of(entry["body"]) and "/pods/" not in entry["path"]:
                found.setdefault(marked, []).append(f"patch {entry['path'].split('/')[-1]}")
        return found

    def _note_pids(self) -> None:
        state = self.directory / "state.json"
        if state.exists():
            self.pids |= {f"{name} {pid}": pid for name, pid in self._state()["pids"].items()}

    def _state(self) -> dict[str, Any]:
        return json.loads((self.directory / "state.json").read_text())


def _command_of(body: Any) -> str:
    """Return the command id that a write carries: in a merged annotation, or in an operation of a JSON patch."""
    found = _COMMAND.search(json.dumps(body))
    return found[1] if found else ""
