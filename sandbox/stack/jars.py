"""The broker's class path: pinned jars, fetched once and kept for every later start."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.stack.cache import cache_dir, exclusive
from sandbox.stack.errors import InstallError
from sandbox.stack.progress import Report

_PINS = Path(__file__).with_name("kafka-jars.sha256")
_BROKER = "kafka_2.13"


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned file of the class path."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Return the name that Maven gives the file."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars(pins: Path = _PINS) -> list[Jar]:
    """Return the jars of a pin file: a line each, `sha256  group:artifact:version`."""
    lines = [line for line in pins.read_text().splitlines() if line and not line.startswith("#")]
    return [_parse(line) for line in lines]


def kafka_version(jars: Sequence[Jar]) -> str:
    """Return the version of the broker among the jars."""
    return next(jar.version for jar in jars if jar.artifact == _BROKER)


def install_kafka(report: Report) -> Path:
    """Return the directory of the pinned jars; fetch what is missing. Blocking; safe in several processes.

    A jar enters the directory only when its checksum holds, so that an interrupted download goes on where it
    stopped and never leaves half a file.

    Raises:
        InstallError: a jar could not be fetched, or is not the one that was pinned.
    """
    jars = pinned_jars()
    target = cache_dir() / f"kafka-{kafka_version(jars)}"
    if not missing_jars(jars, target):
        return target
    with exclusive(target.with_name(f"{target.name}.lock")):
        missing = missing_jars(jars, target)
        if missing:
            _fetch(missing, target, report=report)
    return target


def missing_jars(jars: Sequence[Jar], target: Path) -> list[Jar]:
    """Return the jars that are not in the directory yet."""
    return [jar for jar in jars if not (target / jar.filename).is_file()]


def _fetch(missing: Sequence[Jar], target: Path, *, report: Report) -> None:
    from sandbox.stack.maven import fetch_jars  # noqa: PLC0415 - jgo takes 0.3 s to import, and is needed once

    version = kafka_version(pinned_jars())
    report(f"Fetching Apache Kafka {version} from Maven Central: {len(missing)} jars, once, into {target}")
    fetch_jars(missing, target, report=report)
    report(f"Apache Kafka {version} is complete, every checksum holds")


def _parse(line: str) -> Jar:
    try:
        sha256, coordinate = line.split()
        group, artifact, version = coordinate.split(":")
    except ValueError as exc:
        raise InstallError(f"{line!r} is no `sha256  group:artifact:version`") from exc
    return Jar(group, artifact, version, sha256)
