"""Stops: who has stopped all writes, or those to a part of the cluster, why, since when and by which way."""

from enum import StrEnum
from typing import ClassVar

from shared.contracts.model import Message

EVERYTHING = "*"
"""The scope of a stop of all writes."""


class Way(StrEnum):
    """How a stop was put in force, and how it is lifted: by the API, or by an object in the cluster itself."""

    API = "api"
    ANNOTATION = "annotation"
    CONFIG_MAP = "config-map"


class Stop(Message):
    """Whether a stop holds since `at`; of a key the newest counts. Those of several people by the API add up.

    `scope` is `*`, a namespace, or the key of a workload. A stop by the API is in force by this message. One of the
    cluster is in force by the object that it stands on, and this message tells of it to those who have no access there.
    """

    TYPE: ClassVar[str] = "stop"

    way: Way
    scope: str = EVERYTHING
    holds: bool
    by: str
    cause: str = ""
    lifted_by: str = ""
    """Who ended a stop by the API, where that was another person than whose it is."""

    @property
    def key(self) -> str:
        """Return what the stop is known by: its way and its scope, and by the API whose it is."""
        place = stop_key(self.way, self.scope)
        return f"{place}:{self.by}" if self.way is Way.API else place

    @property
    def words(self) -> str:
        """Return the stop as people are told of it."""
        whom = "everything is" if self.scope == EVERYTHING else f"{self.scope} is"
        since = self.at.isoformat(timespec="seconds")
        return f"{whom} stopped by {self.by} ({self.way.value}, since {since}): {self.cause}"


def stop_key(way: Way, scope: str) -> str:
    """Return the key of the stops of a way over a scope."""
    return f"{way.value}:{scope}"
