"""How many copies of a topic are made: as many as there are brokers, three at the most, and one may be away."""

import pytest

from shared.infra.kafka import Copies, copies_on
from shared.kernel.errors import ConfigError


@pytest.mark.parametrize(
    ("brokers", "replicas", "copies"),
    [
        (1, None, Copies(replicas=1, in_sync=1)),
        (2, None, Copies(replicas=2, in_sync=1)),
        (3, None, Copies(replicas=3, in_sync=2)),
        (9, None, Copies(replicas=3, in_sync=2)),
        (9, 5, Copies(replicas=5, in_sync=4)),
        (3, 1, Copies(replicas=1, in_sync=1)),
        (3, 3, Copies(replicas=3, in_sync=2)),
    ],
)
def test_copies_follow_the_brokers_unless_told(brokers: int, replicas: int | None, copies: Copies) -> None:
    assert copies_on(brokers, replicas=replicas) == copies


def test_more_copies_than_brokers_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 replicas are asked for; expected at most 3"):
        copies_on(3, replicas=4)
