"""HTTP to a cluster without a client's opinions: what was asked, and what was answered."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import json
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
MERGE, STRATEGIC, JSON_PATCH, APPLY = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)


@dataclass(frozen=True)
class Answer:
    """One answer: its status code, and its text."""

    code: int
    text: str

    @property
    def document(self) -> Any:
        """Return the object that it is."""
        return json.loads(self.text)

    @property
    def lines(self) -> list[Any]:
        """Return the objects of a stream, one a line."""
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def refusal(self) -> tuple[int, str]:
        """Return code and reason of a Status object that refuses."""
        status = self.document
        assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
        assert status["code"] == self.code
        return self.code, status.get("reason", "")


class Wire:
    """Ask a cluster over HTTP, with the identity of a client."""

    def __init__(self, api: Any) -> None:
        self._host = api.configuration.host
        self._pool = api.rest_client.pool_manager

    def ask(self, method: str, path: str, *, body: Any = None, media: str = JSON, accept: str = JSON) -> Answer:
        """Return the answer; a body that is no text is sent as JSON."""
        sent = body if isinstance(body, str | None) else json.dumps(body)
        headers = {"Accept": accept} | ({"Content-Type": media} if sent is not None else {})
        response = self._pool.request(method, self._host + path, body=sent, headers=headers, timeout=30)
        return Answer(response.status, response.data.decode())

    def get(self, path: str, accept: str = JSON) -> Answer:
        """Return what lies at a path."""
        return self.ask("GET", path, accept=accept)

    def watch(self, path: str, *, events: int) -> list[Any]:
        """Return the first events of a watch, without waiting for its end."""
        response = self._pool.request("GET", self._host + path, headers={"Accept": JSON}, preload_content=False)
        told = b""
        try:
            for chunk in response.stream():
                told += chunk
                if told.count(b"\n") >= events:
                    break
        finally:
            response.close()
        return [json.loads(line) for line in told.splitlines()[:events]]

    def post(self, path: str, body: Any) -> Answer:
        """Create an object."""
        return self.ask("POST", path, body=body)

    def put(self, path: str, body: Any) -> Answer:
        """Write an object anew."""
        return self.ask("PUT", path, body=body)

    def patch(self, path: str, body: Any, media: str = MERGE) -> Answer:
        """Change an object."""
        return self.ask("PATCH", path, body=body, media=media)

    def delete(self, path: str, body: Any = None) -> Answer:
        """Delete an object, or all of a path."""
        return self.ask("DELETE", path, body=body)


def causes(answer: Answer) -> dict[str, str]:
    """Return the fields that a refusal names, each with its machine-readable reason."""
    return {one["field"]: one["reason"] for one in answer.document["details"].get("causes", [])}
