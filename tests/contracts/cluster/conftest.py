"""The cluster under test, and a namespace of its own for each test."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import itertools
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import KUBECTL, REAL, Backend, backends, running, until
from tests.contracts.cluster.wire import Wire

_NUMBERS = itertools.count(1)

# With a real cluster kubectl must be there; without one its tests are left out where it is not at hand, and both lines
# below say so.
collect_ignore = [] if KUBECTL or REAL in os.environ else ["test_kubectl.py"]


_LEFT_OUT = "not found" if REAL in os.environ else "not found, its tests are left out"


def pytest_report_header() -> str:
    return f"clusters: {', '.join(backends())}; kubectl: {KUBECTL or _LEFT_OUT}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many behaviours held on each cluster; the cases of one behaviour count once."""
    held = {kind: _behaviours(terminalreporter.stats.get("passed", []), kind) for kind in backends()}
    counts = ", ".join(f"{count} on {kind}" for kind, count in held.items()).replace(" on", " behaviours on", 1)
    terminalreporter.write_line(f"cluster contract: {counts}; kubectl: {KUBECTL or _LEFT_OUT}")


def _behaviours(reports: Iterable[pytest.TestReport], kind: str) -> int:
    ours = (one for one in reports if one.when == "call" and "contracts/cluster/" in one.nodeid)
    cases = (one.nodeid.partition("[") for one in ours)
    return len({name for name, _, case in cases if case.startswith(kind)})


@pytest.fixture(scope="session", params=backends())
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Backend]:
    with running(request.param, tmp_path_factory.mktemp("cluster")) as found:
        yield found
        _clear(found)


def _clear(backend: Backend) -> None:
    """Delete the namespaces that are left; a real cluster takes long for each, so that nobody waits for it."""
    with backend.api() as opened:
        core = client.CoreV1Api(opened)
        for one in core.list_namespace(field_selector="status.phase=Active").items:
            if one.metadata.name.startswith(f"contract-{os.getpid()}-"):
                core.delete_namespace(one.metadata.name)


@pytest.fixture(scope="session")
def api(backend: Backend) -> Generator[Any]:
    opened = backend.api()
    yield opened
    opened.close()


@pytest.fixture
def wire(api: Any) -> Wire:
    return Wire(api)


@pytest.fixture
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


@pytest.fixture
def apps(api: Any) -> Any:
    return client.AppsV1Api(api)


@pytest.fixture
def namespace(core: Any) -> Generator[str]:
    with _namespace(core) as name:
        yield name


@pytest.fixture(scope="module")
def home(api: Any) -> Generator[str]:
    """Return a namespace for the objects that the tests of a module share."""
    with _namespace(client.CoreV1Api(api)) as name:
        yield name


@contextmanager
def _namespace(core: Any) -> Generator[str]:
    name = f"contract-{os.getpid()}-{next(_NUMBERS)}"
    core.create_namespace({"metadata": {"name": name}})
    until(lambda: any(one.metadata.name == "default" for one in core.list_namespaced_service_account(name).items))
    yield name
    if core.list_namespaced_pod(name, limit=1).items:
        core.delete_namespace(name)  # its pods would take the node's time from the tests to come
