"""How the CLI asks the API: by its address, with a person's secret; a refusal is one line for people."""

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

import httpx
import typer

from shared.kernel.errors import SreAgentError

LOCAL = "http://127.0.0.1:8080"
_ANSWER_WITHIN_S = 10.0


class Output(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


class RequestError(SreAgentError):
    """Signal that the API refused, or did not answer."""


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="A table for people, JSON for programs.")]
ApiOption = Annotated[str, typer.Option("--api", envvar="SRE_API_URL", help="The API's address.")]
TokenOption = Annotated[
    str,
    typer.Option("--token", envvar="SRE_TOKEN", help="Your secret, which the API knows.", show_default=False),
]


def get(api: str, path: str, **query: str) -> str:
    """Return what is asked for."""
    return _asked(api, "GET", path, params=query)


def post(api: str, path: str, *, token: str, body: dict[str, Any]) -> str:
    """Return what became of a change."""
    return _asked(api, "POST", path, json=body, headers=_bearing(token))


def delete(api: str, path: str, *, token: str) -> str:
    """Return what became of an end."""
    return _asked(api, "DELETE", path, headers=_bearing(token))


def _bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _asked(api: str, method: str, path: str, **request: Any) -> str:  # noqa: ANN401 - passed on to httpx
    try:
        answer = httpx.request(method, f"{api}{path}", timeout=_ANSWER_WITHIN_S, **request)
    except httpx.HTTPError as failed:
        raise RequestError(f"{api} does not answer ({failed}); give its address by --api or SRE_API_URL") from failed
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        raise RequestError(_refusal(answer))
    return answer.text


def _refusal(answer: httpx.Response) -> str:
    try:
        told = answer.json()
        return f"{told['reason']}: {told['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:200]}"
