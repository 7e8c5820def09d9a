"""An API server, a proxy before it, or Prometheus that says what it should not: named, and asked again."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sandbox.cluster.__main__ import write_kubeconfig
from services.collector.adapters.prometheus import connect
from services.collector.adapters.watching import Kind
from services.collector.core.queries import Query
from services.collector.handlers import Collecting
from services.collector.main import follow
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.infra.kube import WATCH_GRACE, KubeClient, KubeError, WatchEvent, WatchExpiredError
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import ConfigError, UnavailableError
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.fakes.clock import FakeClock
from tests.integration.service_process import until

pytestmark = pytest.mark.integration
HTML = b"<html><body>502 Bad Gateway</body></html>"
POD: Any = {"metadata": {"name": "web-1", "namespace": "bank", "uid": "u1", "resourceVersion": "4"}}
LISTS = [
    HTML,
    b"",
    b"\xff\xfe",
    b'{"items": [{"metadata": {"name": "\\ud800"}}]}',
    b"[" * 100_000,
    b"9" * 5_000,
    b"[]",
    b"null",
    b'"text"',
    b"{}",
    b'{"items": []}',
    b'{"items": [], "metadata": null}',
    b'{"items": [], "metadata": {"resourceVersion": 7}}',
    b'{"items": {}, "metadata": {"resourceVersion": "7"}}',
    b'{"items": [7], "metadata": {"resourceVersion": "7"}}',
    b'{"items": [], "metadata": {"resourceVersion": "7", "continue": "again"}}',
]
EVENTS = [
    HTML,
    b"[]",
    b"{}",
    b'{"type": "ADDED"}',
    b'{"type": "ADDED", "object": null}',
    b'{"type": 7, "object": {}}',
    b'{"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}}',
]
Answer = Callable[[web.Request], web.Response | Awaitable[web.Response]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncGenerator[str]:
    async def handle(request: web.Request) -> web.Response:
        told = answer(request)
        return told if isinstance(told, web.Response) else await told

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def cluster(directory: Path, answer: Answer) -> AsyncGenerator[KubeClient]:
    async with answering(answer) as url:
        write_kubeconfig(directory / "kubeconfig", url)
        async with KubeClient(directory / "kubeconfig") as client:
            yield client


def saying(body: bytes, *, status: int = 200) -> Answer:
    return lambda _: web.Response(body=body, status=status, content_type="application/json")


@pytest.mark.parametrize("body", LISTS)
async def test_a_list_of_another_form_is_a_server_that_does_not_answer(tmp_path: Path, body: bytes) -> None:
    async with cluster(tmp_path, saying(body)) as client:
        with pytest.raises(UnavailableError, match="Kubernetes API"):
            await client.list("/api/v1/pods")


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("line", EVENTS)
async def test_a_line_of_another_form_ends_the_watch(tmp_path: Path, line: bytes, end: bytes) -> None:
    async with cluster(tmp_path, saying(line + end)) as client:
        with pytest.raises(UnavailableError, match="Kubernetes API"):
            await first_event(client)


async def test_the_deadline_of_a_watch_does_not_cancel_who_works_on_an_event(tmp_path: Path) -> None:
    line = json.dumps({"type": "ADDED", "object": POD}).encode() + b"\n"
    deadline = timedelta(milliseconds=100)
    worked: list[str] = []

    async def slowly(events: Sequence[WatchEvent], taking: timedelta) -> Sequence[WatchEvent]:
        await asyncio.sleep(taking.total_seconds())
        return events

    async with cluster(tmp_path, saying(line * 2)) as client:
        watch = client.watch("/api/v1/pods", resource_version="1", within=deadline - WATCH_GRACE)
        with suppress(UnavailableError):
            async with watch as changes:
                worked = [event.type async for events in changes for event in await slowly(events, 2 * deadline)]
    assert worked == ["ADDED", "ADDED"]


async def test_a_watch_whose_very_framing_is_garbage_ends_all_the_same(tmp_path: Path) -> None:
    line = json.dumps({"type": "ADDED", "object": POD}).encode() + b"\n"

    async def garble(request: web.Request) -> web.Response:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line)
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 404 Not Found\r\n\r\n")
        return await asyncio.get_running_loop().create_future()

    async with cluster(tmp_path, garble) as client:
        with pytest.raises(UnavailableError, match="Kubernetes API"):
            await asyncio.wait_for(all_events(client, within=timedelta(seconds=1) - WATCH_GRACE), 5)


async def all_events(client: KubeClient, *, within: timedelta) -> list[Sequence[WatchEvent]]:
    async with client.watch("/api/v1/pods", resource_version="1", within=within) as changes:
        return [events async for events in changes]


async def test_a_watch_that_ends_at_once_is_no_watch(tmp_path: Path) -> None:
    async with cluster(tmp_path, saying(b"")) as client:
        with pytest.raises(UnavailableError, match="ended as soon as it began"):
            await first_event(client)


async def first_event(client: KubeClient) -> object:
    async with client.watch("/api/v1/pods", resource_version="1", within=timedelta(seconds=1)) as changes:
        async for events in changes:
            return events
    return None


@pytest.mark.parametrize("status", [403, 404, 410, 429, 502])
@pytest.mark.parametrize("body", [HTML, b"Too many requests", b'{"message": "no healthy upstream"}', b""])
async def test_a_refusal_in_no_form_of_the_api_is_a_server_that_does_not_answer(
    tmp_path: Path, status: int, body: bytes
) -> None:
    async with cluster(tmp_path, saying(body, status=status)) as client:
        with pytest.raises(UnavailableError, match=f"{status}.*{body.decode()}"):
            await client.get("/api/v1/pods/x")


@pytest.mark.parametrize(("status", "error"), [(403, KubeError), (410, WatchExpiredError), (500, UnavailableError)])
async def test_a_refusal_in_the_form_of_the_api_is_told_by_its_code(
    tmp_path: Path, status: int, error: type[Exception]
) -> None:
    body = json.dumps({"kind": "Status", "metadata": {}, "reason": "Because", "message": "so it is"}).encode()
    async with cluster(tmp_path, saying(body, status=status)) as client:
        with pytest.raises(error, match="so it is"):
            await client.get("/api/v1/pods/x")


@pytest.mark.parametrize("body", [b"{}", b'{"message": "fine"}', b'{"metadata": "none"}'])
async def test_an_object_without_metadata_is_none_of_the_api(tmp_path: Path, body: bytes) -> None:
    async with cluster(tmp_path, saying(body)) as client:
        with pytest.raises(UnavailableError, match="Kubernetes API"):
            await client.get("/api/v1/pods/x")


@pytest.mark.parametrize(("status", "body"), [(200, b"ok"), (403, b'{"kind": "Status", "message": "no"}')])
async def test_a_server_that_is_ready_or_may_not_say_so_answers(tmp_path: Path, status: int, body: bytes) -> None:
    async with cluster(tmp_path, saying(body, status=status)) as client:
        await client.ask()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, HTML), (403, HTML), (401, b'{"kind": "Status", "message": "no"}'), (500, b"[-]etcd failed")],
)
async def test_what_is_not_ready_or_knows_us_no_more_does_not_answer(tmp_path: Path, status: int, body: bytes) -> None:
    async with cluster(tmp_path, saying(body, status=status)) as client:
        with pytest.raises(UnavailableError, match="Kubernetes API"):
            await client.ask()


async def test_a_server_that_takes_too_long_is_named_with_what_was_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.infra.kube.ANSWER_WITHIN", timedelta(seconds=0.05))

    async def keep_waiting(_: web.Request) -> web.Response:
        return await asyncio.get_running_loop().create_future()

    async with cluster(tmp_path, keep_waiting) as client:
        with pytest.raises(UnavailableError, match="GET /api/v1/pods/x: TimeoutError"):
            await client.get("/api/v1/pods/x")


@pytest.mark.parametrize("text", ["\x00", "[]", "7", "{}", "clusters: 7", "{contexts: [x], current-context: x}", "- ["])
async def test_a_kubeconfig_that_is_none_is_named_as_a_setting_to_mend(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ConfigError, match="no usable configuration"):
        async with KubeClient(path):
            pass


@pytest.mark.parametrize("body", [HTML, b"", b"[]", b"{}", b"null", b"[" * 100_000, b'{"status": "error"}'])
async def test_an_answer_of_prometheus_of_another_form_names_the_query(body: bytes) -> None:
    async with answering(saying(body)) as url, connect(url) as prometheus:
        with pytest.raises(UnavailableError, match="Prometheus: query restarts"):
            await prometheus.ask(Query(name="restarts", expr="up"))


async def test_a_collector_names_what_it_meets_and_goes_on_when_it_is_over(tmp_path: Path) -> None:
    listing = json.dumps({"metadata": {"resourceVersion": "7"}, "items": [POD]}).encode()
    bookmark = json.dumps({"type": "BOOKMARK", "object": POD}).encode() + b"\n"
    expired = json.dumps({"kind": "Status", "metadata": {}, "message": "too old"}).encode()
    told = iter([(410, expired), (200, HTML), (200, listing), (200, HTML)])
    reasons: list[str] = []
    broker, clock = MemoryBroker(FakeClock()), FakeClock()
    runtime = Runtime("collector", clock, Health("collector", "test"), asyncio.Event())
    check = runtime.health.watch("watch-pod")

    def answer(_: web.Request) -> web.Response:
        reasons.append(check.state.reason)
        status, body = next(told, (200, bookmark))
        return web.Response(body=body, status=status)

    async with cluster(tmp_path, answer) as client:
        collecting = Collecting(broker.publisher("collector"), client, cluster="test", clock=clock)
        following = asyncio.create_task(follow(Kind("Pod", "/api/v1/pods"), client, collecting, runtime=runtime))

        async def is_well_again() -> bool:
            return following.done() or (len(reasons) > 4 and check.state.ok)

        await until(is_well_again)
        runtime.stopping.set()
        await following
    assert any(broker.log(SIGNALS_KUBERNETES.name, number) for number in range(SIGNALS_KUBERNETES.partitions))
    assert "410 Expired" in reasons[1]
    assert "no JSON: '<html>" in reasons[2]
    assert "no JSON: '<html>" in reasons[4]


async def test_an_answer_of_the_api_server_is_no_cure_for_a_broker_that_is_away(tmp_path: Path) -> None:
    listing = json.dumps({"metadata": {"resourceVersion": "7"}, "items": []}).encode()
    change = json.dumps({"type": "MODIFIED", "object": POD}).encode() + b"\n"
    broker, clock = MemoryBroker(FakeClock()), FakeClock()
    runtime = Runtime("collector", clock, Health("collector", "test"), asyncio.Event())
    check = runtime.health.watch("watch-pod")
    reasons: list[str] = []

    def answer(request: web.Request) -> web.Response:
        if "watch" not in request.query:
            return web.Response(body=listing)
        broker.away = len(reasons) < 3
        reasons.append(check.state.reason)
        return web.Response(body=change)

    async with cluster(tmp_path, answer) as client:
        collecting = Collecting(broker.publisher("collector"), client, cluster="test", clock=clock)
        following = asyncio.create_task(follow(Kind("Pod", "/api/v1/pods"), client, collecting, runtime=runtime))

        async def is_well_again() -> bool:
            return following.done() or (len(reasons) > 3 and check.state.ok)

        await until(is_well_again)
        runtime.stopping.set()
        await following
    assert reasons[:4] == ["", *["the broker is away"] * 3]
