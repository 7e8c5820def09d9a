"""The alert rules in Prometheus' own words: they are read, and each is told of its trouble and of nothing else."""

import subprocess
from pathlib import Path

import pytest

from sandbox.kubernetes.debian import MONITORING_PACKAGES, install_packages

pytestmark = pytest.mark.integration
DIRECTORY = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"


@pytest.mark.parametrize(
    ("words", "file"), [(("check", "rules"), "alerts.yaml"), (("test", "rules"), "alerts.test.yaml")]
)
def test_prometheus_reads_and_plays_the_rules(words: tuple[str, str], file: str) -> None:
    promtool = install_packages(MONITORING_PACKAGES, print) / "usr" / "bin" / "promtool"
    done = subprocess.run([promtool, *words, file], cwd=DIRECTORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout + done.stderr
