"""What is built: pinned versions, one place for each set of pins, nothing that names where it comes from."""

import re
from pathlib import Path

from sandbox.kubernetes.binaries import BINARIES, bin_dir, kubernetes_version

MODULES = Path("sandbox/kubernetes/modules")


def test_the_version_is_that_of_the_pinned_module() -> None:
    assert re.fullmatch(r"v1\.\d+\.\d+", kubernetes_version())
    assert f"k8s.io/kubernetes {kubernetes_version()}" in (MODULES / "kubernetes" / "go.mod").read_text()


def test_programs_of_other_pins_are_kept_elsewhere() -> None:
    assert bin_dir().name.startswith(f"kubernetes-{kubernetes_version()}-")
    assert bin_dir() == bin_dir()


def test_each_program_belongs_to_a_module_that_is_pinned_with_checksums() -> None:
    for binary in BINARIES:
        assert (MODULES / binary.module / "go.sum").stat().st_size > 1000


def test_no_module_is_fetched_from_a_named_host() -> None:
    for file in MODULES.rglob("go.mod"):
        assert "://" not in file.read_text()
