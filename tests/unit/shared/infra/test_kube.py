"""What an answer of the API server that is no success means: it refuses, it failed at this write, or it is away."""

from typing import Any

import pytest

from shared.infra.kube import KubeError, WatchExpiredError, WriteFailedError, error_of
from shared.kernel.errors import UnavailableError


def meaning(code: int, *, is_write: bool, cause: str = "") -> tuple[type, str]:
    """Return of what kind the error is, and what is said in it."""
    details: Any = {"details": {"causes": [{"reason": cause, "message": "why"}]}} if cause else {}
    error = error_of(code, {"kind": "Status", "reason": "Reason", "message": "words", **details}, is_write=is_write)
    return type(error), str(error)


@pytest.mark.parametrize("code", [500, 504])
def test_a_failure_at_a_write_is_told_from_one_at_a_reading(code: int) -> None:
    assert meaning(code, is_write=True) == (WriteFailedError, f"Kubernetes API: {code} Reason: words")
    assert meaning(code, is_write=False) == (UnavailableError, f"Kubernetes API: {code} Reason: words")


@pytest.mark.parametrize("code", [429, 502, 503])
@pytest.mark.parametrize("is_write", [True, False])
def test_who_has_no_time_is_away(code: int, is_write: bool) -> None:
    assert meaning(code, is_write=is_write)[0] is UnavailableError


def test_too_soon_for_a_budget_is_a_refusal() -> None:
    assert meaning(429, is_write=True, cause="DisruptionBudget") == (KubeError, "429 Reason: words")


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422])
def test_what_the_server_refuses_is_no_failure_of_it(code: int) -> None:
    assert meaning(code, is_write=True) == (KubeError, f"{code} Reason: words")


def test_a_version_that_is_too_old_is_told_apart() -> None:
    assert meaning(410, is_write=False)[0] is WatchExpiredError
