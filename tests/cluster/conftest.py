"""What the tests on a real cluster share: the cluster, the shipped rights in force on it, and the one campaign."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from sandbox.kubernetes.accounts import ACCOUNTS
from services.remediator.adapters.acting import Actor
from shared.infra.kube import KubeClient
from tests.cluster.accounts import (
    REAL,
    apply,
    apply_rights,
    ask,
    connect,
    connect_as,
    required,
)
from tests.cluster.audit import AuditLog
from tests.cluster.bank import Bank
from tests.cluster.campaign import Campaign, run_campaign, table_of
from tests.cluster.jobs import JOBS, job, jobs
from tests.cluster.leaders import Led, lead_all
from tests.cluster.leaders import table_of as table_of_leaders
from tests.cluster.leading import TOKEN_NOW
from tests.cluster.leading import led as behind_the_fence
from tests.cluster.objects import laid_out as objects
from tests.cluster.objects import path_of, register
from tests.cluster.real import Real, the_cluster
from tests.cluster.rights import KUBERNETES
from tests.contracts.cluster.backend import until

_TABLES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def real() -> Real:
    """Return the cluster that the tests were started on."""
    return the_cluster()


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest, real: Real, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Return what became of every fault; broken and healed once for all tests."""
    done = run_campaign(real, tmp_path_factory.mktemp("campaign"))
    _show(request.config, "real faults on a real cluster, seconds from the signal", table_of(done))
    return done


@pytest.fixture(scope="session")
def led(request: pytest.FixtureRequest, real: Real, tmp_path_factory: pytest.TempPathFactory) -> Led:
    """Return what became of every round of two leaders; played once for all tests."""
    done = lead_all(real, tmp_path_factory.mktemp("leaders"))
    apply(real.api, register())  # their tokens are above those that other tests write under
    _show(request.config, "leaders that stand still or are killed at a step", table_of_leaders(done.rounds))
    return done


def _show(config: pytest.Config, title: str, table: str) -> None:
    config.stash.setdefault(_TABLES, {})[title] = table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was measured: the times of the campaign beside what plain Kubernetes did, and the leaders' rounds."""
    for title, table in config.stash.get(_TABLES, {}).items():
        terminalreporter.section(title)
        terminalreporter.write_line(table)


@pytest.fixture(scope="session")
def admin() -> Generator[client.ApiClient]:
    """Yield an administrator's client, the shipped rights being in force."""
    api = connect(required(REAL))
    apply_rights(api)
    yield api
    api.close()


@pytest.fixture(scope="session")
def kubeconfigs(admin: client.ApiClient, real: Real) -> dict[str, Path]:
    """Return a kubeconfig of each shipped account."""
    return {account: real.account(account) for account in ACCOUNTS}


@pytest.fixture(scope="session")
def clients(kubeconfigs: dict[str, Path]) -> Generator[dict[str, client.ApiClient]]:
    """Yield a client of each shipped account."""
    opened = {account: connect(path) for account, path in kubeconfigs.items()}
    yield opened
    for api in opened.values():
        api.close()


@pytest.fixture(scope="session")
def rogue(admin: client.ApiClient) -> Generator[client.ApiClient]:
    """Yield a remediator whose roles let everything through."""
    api = connect_as("remediator")
    yield api
    api.close()


@pytest.fixture(scope="session")
def laid_out(admin: client.ApiClient) -> Generator[None]:
    """Lay the objects out that are asked for, and take them away again; namespaces stay, they take long to go."""
    for document in (*objects(), register()):
        apply(admin, document)
    yield
    for document in (one for one in objects() if one["kind"] != "Namespace"):
        ask(admin, "DELETE", path_of(document), body={"gracePeriodSeconds": 0})


@pytest.fixture
async def actor(kubeconfigs: dict[str, Path]) -> AsyncGenerator[Actor]:
    """Yield what carries commands out, with the remediator's own account."""
    async with KubeClient(kubeconfigs["remediator"]) as opened:
        yield Actor(behind_the_fence(opened, token=TOKEN_NOW))


@pytest.fixture
def bank(admin: client.ApiClient) -> Generator[Bank]:
    """Yield the healed namespace, and take away what the test laid out there."""
    apply(admin, register())  # a remediator that ran before may have raised it above the tests' own token
    opened = Bank(admin)
    yield opened
    opened.clear()


@pytest.fixture(scope="module")
def rights_on_jobs(admin: client.ApiClient, clients: dict[str, client.ApiClient]) -> Generator[None]:
    """Bind what is shipped as an option, and take it away again."""
    bindings = list(yaml.safe_load_all((KUBERNETES / "optional" / "jobs.yaml").read_text()))
    dry = f"{JOBS}?dryRun=All"
    for one in bindings:
        apply(admin, one)
    until(lambda: "cannot create" not in ask(clients["remediator"], "POST", dry, body=job("any")).message)
    yield
    for one in bindings:
        ask(admin, "DELETE", path_of(one))


@pytest.fixture
def clean(bank: Bank, rights_on_jobs: None) -> Generator[Bank]:
    """Yield the bank, and take away the Jobs that were run in it."""
    yield bank
    for name in jobs(bank):
        ask(bank.admin, "DELETE", f"{JOBS}/{name}", body={"propagationPolicy": "Background"})
    until(lambda: jobs(bank) == [])


@pytest.fixture(scope="session")
def log(real: Real) -> AuditLog:
    """Return the API server's audit log."""
    return AuditLog(real.directory / "audit.jsonl")
