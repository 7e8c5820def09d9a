"""Kubernetes' own programs, built from the Go module proxy by pinned modules; built once, kept for later starts."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sandbox.stack.cache import cache_dir, exclusive
from sandbox.stack.errors import InstallError
from sandbox.stack.process import tail_of
from sandbox.stack.progress import Report

_MODULES = Path(__file__).with_name("modules")
_VERSION_PACKAGE = "k8s.io/component-base/version"
_STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)
_LOOK_S, _REPORT_EVERY_S = 0.5, 30
_GO_FLAGS = "-buildvcs=false -trimpath -mod=readonly"


@dataclass(frozen=True, slots=True)
class Binary:
    """One program: its module under `modules/`, its package, and how long its cold build took on two cores."""

    name: str
    module: str
    package: str
    cold_s: int


BINARIES = (
    Binary("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", 62),
    Binary("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 194),
    Binary("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 46),
    Binary("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 4),
    Binary("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", 37),
    Binary("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 60),
    Binary("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 60),
)


def kubernetes_version() -> str:
    """Return the version that is built, as the pinned module says it ("v1.35.4")."""
    return _required(_MODULES / "kubernetes" / "go.mod", "k8s.io/kubernetes")


def bin_dir() -> Path:
    """Return where the programs of today's pins are kept; nothing need be there yet."""
    pins = b"".join(file.read_bytes() for file in sorted(_MODULES.rglob("go.*")))
    return cache_dir() / f"kubernetes-{kubernetes_version()}-{sha256(pins).hexdigest()[:8]}"


def missing_binaries() -> list[Binary]:
    """Return the programs that are not built yet."""
    return [binary for binary in BINARIES if not (bin_dir() / binary.name).is_file()]


def install_kubernetes(report: Report) -> Path:
    """Return the directory of the programs; build what is missing. Blocking; safe in several processes.

    A program enters the directory only when it is whole, so that an interrupted build goes on where it stopped.

    Raises:
        InstallError: there is no Go compiler that is new enough, or a build failed.
    """
    target = bin_dir()
    with exclusive(target.with_name(f"{target.name}.lock")):
        missing = missing_binaries()
        if missing:
            _build_all(missing, target, report=report)
    return target


def _build_all(missing: Sequence[Binary], target: Path, *, report: Report) -> None:
    _check_go()
    target.mkdir(parents=True, exist_ok=True)
    total_s = sum(binary.cold_s for binary in missing)
    report(
        f"Building Kubernetes {kubernetes_version()} from the Go module proxy: {len(missing)} programs, once, "
        f"into {target}; about {max(1, round(total_s / 60))} min on 2 cores, with the modules still to be fetched more"
    )
    for number, binary in enumerate(missing, start=1):
        _build(binary, target, report=lambda told, n=number: report(f"  {n} of {len(missing)}: {told}"))
    _write_stages(target)


def _check_go() -> None:
    found, needed = _go_version(), max(_go_needed(module) for module in {binary.module for binary in BINARIES})
    if found < needed:
        wanted = ".".join(map(str, needed))
        had = ".".join(map(str, found)) or "none"
        raise InstallError(f"Kubernetes is built with Go {wanted} or newer, found {had}; install it and put it on PATH")


def _go_version() -> tuple[int, ...]:
    go = shutil.which("go")
    if go is None:
        return ()
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=_environment())
    return _numbers(told.stdout)


def _go_needed(module: str) -> tuple[int, ...]:
    return _numbers(_required(_MODULES / module / "go.mod", "go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _required(mod_file: Path, name: str) -> str:
    found = re.search(rf"^(?:require )?{re.escape(name)} (\S+)$", mod_file.read_text(), re.MULTILINE)
    if found is None:
        raise InstallError(f"{mod_file} does not say which {name} it needs")
    return found[1]


def _build(binary: Binary, target: Path, *, report: Report) -> None:
    began, log_path = time.monotonic(), target / f"{binary.name}.log"
    unfinished = target / f"{binary.name}.new"
    command = ["go", "build", f"-ldflags={_linker_flags(binary)}", "-o", str(unfinished), binary.package]
    report(f"{binary.name} (cold about {binary.cold_s} s)")
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=_MODULES / binary.module, env=_environment(), stdout=log, stderr=log)
        try:
            _wait(process, binary.name, began=began, report=report)
        finally:
            process.kill()
    if process.returncode:
        raise InstallError(f"{binary.name} could not be built; the end of {log_path}:\n{tail_of(log_path)}")
    unfinished.replace(target / binary.name)
    log_path.unlink()
    size_mb = (target / binary.name).stat().st_size / 1_000_000
    report(f"{binary.name} built in {time.monotonic() - began:.0f} s, {size_mb:.0f} MB")


def _wait(process: "subprocess.Popen[bytes]", name: str, *, began: float, report: Report) -> None:
    told = began
    while process.poll() is None:
        time.sleep(_LOOK_S)
        if time.monotonic() - told > _REPORT_EVERY_S:
            told = time.monotonic()
            report(f"{name}: still building after {told - began:.0f} s")


def _linker_flags(binary: Binary) -> str:
    if not binary.package.startswith("k8s.io/kubernetes/"):
        return "-s -w"
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in facts.items())])


def _environment() -> Mapping[str, str]:
    # the compiler that is here builds what is pinned, or says so; it fetches no other compiler
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": _GO_FLAGS}


def _write_stages(target: Path) -> None:
    """Put KWOK's usual stages (how its pods and nodes live) beside it: since 0.8 it has none built in."""
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"]
    told = subprocess.run(
        command, cwd=_MODULES / "kwok", env=_environment(), capture_output=True, text=True, check=False
    )
    root = Path(told.stdout.strip()) / "kustomize" / "stage"
    if told.returncode or not root.is_dir():
        raise InstallError(f"the module of KWOK holds no stages: {told.stderr.strip() or root}")
    stages = [(root / f"{name}.yaml").read_text() for name in _STAGES]
    (target / "kwok-stages.yaml").write_text("\n---\n".join(stages))
