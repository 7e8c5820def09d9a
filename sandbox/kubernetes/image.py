"""The container image of a real node's pods: busybox and the bank's server, as an archive that containerd imports."""

import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

BUSYBOX_TAG = "localhost/busybox:1"
_BANK = (
    "accounts-db balancereader contacts frontend ledger-db ledgerwriter loadgenerator transactionhistory userservice"
)
BANK_TAGS = tuple(f"bank/{name}:{version}" for name in _BANK.split() for version in ("v1", "v2"))
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SERVER = "bin/bank-server"
_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "var")
_FILES = {"etc/passwd": "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", "etc/group": "root:x:0:\n"}


def write_images(path: Path, *, busybox: Path) -> None:
    """Write an archive in Docker's format with the plain image and the bank's, which share their one layer."""
    layer = _layer(busybox)
    images = [_image(layer, ["/bin/sleep", "2147483647"], [BUSYBOX_TAG]), _image(layer, [f"/{_SERVER}"], BANK_TAGS)]
    with tarfile.open(path, "w") as archive:
        _add(archive, f"{_digest(layer)}.tar", layer)
        for configuration, _ in images:
            _add(archive, f"{_digest(configuration)}.json", configuration)
        _add(archive, "manifest.json", json.dumps([manifest for _, manifest in images]).encode())


def _image(layer: bytes, command: list[str], tags: Iterable[str]) -> tuple[bytes, "JsonObject"]:
    root = {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]}
    run = {"Cmd": command, "Env": ["PATH=/bin"]}
    architecture = _ARCHITECTURES[platform.machine()]
    described = {"architecture": architecture, "os": "linux", "config": run, "rootfs": root}
    configuration = json.dumps(described).encode()
    named: JsonObject = {
        "Config": f"{_digest(configuration)}.json",
        "RepoTags": list(tags),
        "Layers": [f"{_digest(layer)}.tar"],
    }
    return configuration, named


def _layer(busybox: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        for name in _DIRECTORIES:
            layer.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
        layer.addfile(_entry("tmp", tarfile.DIRTYPE, 0o1777))
        _add(layer, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for applet in _applets(busybox):
            link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            layer.addfile(link)
        _add(layer, _SERVER, Path(__file__).with_name("server.sh").read_bytes(), mode=0o755)
        for name, text in _FILES.items():
            _add(layer, name, text.encode())
    return packed.getvalue()


def _applets(busybox: Path) -> Iterator[str]:
    told = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout
    yield from (applet for applet in told.split() if applet != "busybox")


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
