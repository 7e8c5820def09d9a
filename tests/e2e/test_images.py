"""Each service runs on the packages of its own requirements alone, as its image holds them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.demo_run import ROOT

pytestmark = pytest.mark.e2e
FOREIGN = {
    "collector": ("cryptography", "fastapi", "faust", "google.genai", "redis"),
    "decider": ("fastapi", "google.genai", "kubernetes", "redis"),
    "remediator": ("fastapi", "faust", "google.genai"),
    "rca": ("fastapi", "faust", "kubernetes", "redis"),
    "api": ("cryptography", "faust", "google.genai", "kubernetes"),
}
PROBE = """
import importlib.util, sys
import services.{service}.main
print([name for name in sys.argv[1:] if importlib.util.find_spec(name.partition(".")[0]) is not None])
"""


@pytest.mark.parametrize("service", sorted(FOREIGN))
def test_a_service_starts_on_its_own_packages_and_holds_no_others(service: str, tmp_path: Path) -> None:
    uv, python = str(Path(sys.executable).with_name("uv")), str(tmp_path / "venv" / "bin" / "python")
    pins = str(ROOT / "requirements" / f"{service}.txt")
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(tmp_path / "venv")], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", python, "--require-hashes", "-r", pins], check=True)
    probe = [python, "-c", PROBE.format(service=service), *FOREIGN[service]]
    told = subprocess.run(probe, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout.strip()) == (0, "[]"), told.stderr
