"""Crash points: a process ends or stands still at the passing that its environment names, and never without it."""

import os
import signal
import subprocess
import sys

import pytest

from shared.infra.crashing import CrashPoint, arm, at_points, pass_by
from shared.kernel.errors import ConfigError

PASSING = """
from shared.infra.crashing import CrashPoint, arm, pass_by
arm({setting!r}, {stops!r})
for number in range(3):
    pass_by(CrashPoint.OUTPUT_PUBLISHED)
    pass_by(CrashPoint.ROW_SET)
    print(number, flush=True)
"""


def passed(setting: str) -> tuple[int, str]:
    """Return how a process ended that passes two points three times, and what it said."""
    ran = subprocess.run(
        [sys.executable, "-c", PASSING.format(setting=setting, stops="")], capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("setting", "ended", "said"),
    [
        ("", 0, "012"),
        ("before-commit", 0, "012"),
        ("row-set", -signal.SIGKILL, ""),
        ("row-set:3", -signal.SIGKILL, "01"),
        ("row-set:4", 0, "012"),
    ],
)
def test_a_process_ends_at_the_passing_that_is_asked_for(setting: str, ended: int, said: str) -> None:
    assert passed(setting) == (ended, said)


def test_a_process_stands_still_at_one_place_after_the_other_until_it_is_continued() -> None:
    text = PASSING.format(setting="", stops="row-set:2, output-published")
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(2):
            _, how = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(how)
            process.send_signal(signal.SIGCONT)
        said, _ = process.communicate()
    assert (process.returncode, said.replace("\n", "")) == (0, "012")


def test_something_else_happens_at_points_while_it_is_asked_for() -> None:
    passed_by: list[CrashPoint] = []
    with at_points(passed_by.append):
        pass_by(CrashPoint.CLAIMED)
    pass_by(CrashPoint.SETTLED)
    assert passed_by == [CrashPoint.CLAIMED]


@pytest.mark.parametrize("setting", ["tea-time", "row-set:0", "row-set:often", ":2"])
def test_what_names_no_passing_is_refused_with_all_points(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"SRE_CRASH_AT.*row-set, .*committed") as refused:
        arm(setting)
    assert all(point in str(refused.value) for point in CrashPoint)
    with pytest.raises(ConfigError, match="SRE_STOP_AT"):
        arm("", f"row-set,{setting}")
