"""The cluster under test, and a namespace of its own for each test."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import itertools
import os
from collections.abc import Generator
from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import KUBECTL, Backend, backends, running, until

_NUMBERS = itertools.count(1)


def pytest_report_header() -> str:
    return f"clusters: {', '.join(backends())}; kubectl: {KUBECTL or 'not found, its test is left out'}"


@pytest.fixture(scope="session", params=backends())
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Backend]:
    with running(request.param, tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def api(backend: Backend) -> Generator[Any]:
    opened = backend.api()
    yield opened
    opened.close()


@pytest.fixture
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


@pytest.fixture
def apps(api: Any) -> Any:
    return client.AppsV1Api(api)


@pytest.fixture
def namespace(core: Any) -> Generator[str]:
    name = f"contract-{os.getpid()}-{next(_NUMBERS)}"
    core.create_namespace({"metadata": {"name": name}})
    until(lambda: any(one.metadata.name == "default" for one in core.list_namespaced_service_account(name).items))
    yield name
    core.delete_namespace(name)
