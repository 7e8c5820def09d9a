"""What the tests on a real cluster share: the cluster, and the one campaign that several of them judge."""

import pytest

from tests.cluster.campaign import Campaign, run_campaign, table_of
from tests.cluster.real import Real, the_cluster

_TABLE = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def real() -> Real:
    """Return the cluster that the tests were started on."""
    return the_cluster()


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest, real: Real, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Return what became of every fault; broken and healed once for all tests."""
    done = run_campaign(real, tmp_path_factory.mktemp("campaign"))
    request.config.stash[_TABLE] = table_of(done)
    return done


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the times of the campaign beside what plain Kubernetes did."""
    if table := config.stash.get(_TABLE, None):
        terminalreporter.section("real faults on a real cluster, seconds from the signal")
        terminalreporter.write_line(table)
