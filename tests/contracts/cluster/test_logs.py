"""Logs: whose, how many lines, how many bytes, and of which life."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract

SAYS = ["sh", "-c", "echo one; echo two; echo three; trap 'exit' TERM; sleep 3600 & wait"]


@pytest.fixture(scope="module")
def pods(api: Any, backend: Backend, home: str) -> str:
    """Start pods that say something, and return their path."""
    wire = Wire(api)
    path = f"/api/v1/namespaces/{home}/pods"
    side = backend.container("side", command=["sh", "-c", "echo aside; trap 'exit' TERM; sleep 3600 & wait"])
    for pod in (
        backend.pod("talker", backend.container(command=SAYS)),
        backend.pod("pair", backend.container(command=SAYS), side),
        backend.pod("mortal", backend.container(command=["sh", "-c", "echo last words; exit 1"])),
        backend.pod("silent", backend.container(image="localhost/server:missing-v2", imagePullPolicy="Never")),
        backend.pod("begun", initContainers=[backend.container("first", command=["sh", "-c", "echo ready; exit 0"])]),
    ):
        assert wire.post(path, pod).code == 201
    return path


def log(wire: Wire, pods: str, name: str, query: str = "") -> str:
    """Return a log once there is one."""
    until(lambda: wire.get(f"{pods}/{name}/log?{query}").text.strip() != "" and _is_told(wire, pods, name, query))
    return wire.get(f"{pods}/{name}/log?{query}").text


def _is_told(wire: Wire, pods: str, name: str, query: str) -> bool:
    return wire.get(f"{pods}/{name}/log?{query}").code == 200


def test_a_log_is_what_the_container_said(wire: Wire, pods: str) -> None:
    until(lambda: log(wire, pods, "talker").count("\n") == 3)
    assert log(wire, pods, "talker") == "one\ntwo\nthree\n"


@pytest.mark.parametrize(("tail", "text"), [("2", "two\nthree\n"), ("0", ""), ("9", "one\ntwo\nthree\n")])
def test_a_log_can_be_cut_to_its_last_lines(wire: Wire, pods: str, tail: str, text: str) -> None:
    until(lambda: log(wire, pods, "talker").count("\n") == 3)
    assert wire.get(f"{pods}/talker/log?tailLines={tail}").text == text


def test_a_log_can_be_cut_to_its_first_bytes(wire: Wire, pods: str) -> None:
    until(lambda: log(wire, pods, "talker").count("\n") == 3)
    assert wire.get(f"{pods}/talker/log?limitBytes=5").text == "one\nt"


def test_lines_can_carry_their_moments(wire: Wire, pods: str) -> None:
    stamp, _, line = log(wire, pods, "talker", "timestamps=true&tailLines=1").strip().partition(" ")
    assert (stamp[4], stamp[-1], line) == ("-", "Z", "three")


def test_of_several_containers_one_must_be_named(wire: Wire, pods: str) -> None:
    refused = wire.get(f"{pods}/pair/log")
    assert refused.refusal == (400, "BadRequest")
    told = "a container name must be specified for pod pair, choose one of: [server side]"
    assert refused.document["message"] == told
    assert log(wire, pods, "pair", "container=side") == "aside\n"


def test_a_container_that_is_not_there_has_no_log(wire: Wire, pods: str) -> None:
    refused = wire.get(f"{pods}/talker/log?container=none")
    assert refused.refusal == (400, "BadRequest")
    assert refused.document["message"] == "container none is not valid for pod talker"


def test_a_pod_that_is_not_there_has_no_log(wire: Wire, pods: str) -> None:
    assert wire.get(f"{pods}/none/log").refusal == (404, "NotFound")


def test_the_log_of_the_life_before_stays(wire: Wire, pods: str) -> None:
    assert log(wire, pods, "mortal", "previous=true") == "last words\n"


def test_a_container_in_its_first_life_has_no_log_of_the_life_before(wire: Wire, pods: str) -> None:
    log(wire, pods, "talker")
    refused = wire.get(f"{pods}/talker/log?previous=true")
    assert refused.refusal == (400, "BadRequest")
    assert refused.document["message"] == 'previous terminated container "server" in pod "talker" not found'


def test_what_prepared_a_pod_has_a_log_too(wire: Wire, pods: str) -> None:
    assert log(wire, pods, "begun", "container=first") == "ready\n"


def test_a_container_that_has_not_started_has_no_log(wire: Wire, pods: str) -> None:
    told = 'container "server" in pod "silent" is waiting to start: ErrImageNeverPull'
    until(lambda: wire.get(f"{pods}/silent/log").document.get("message") == told)
    assert wire.get(f"{pods}/silent/log").refusal == (400, "BadRequest")
