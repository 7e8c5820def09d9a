"""Google Gemini through google-genai: a structured answer, one retry, a deadline; its failures become one error."""

from datetime import timedelta

import httpx
from google import genai
from google.genai import errors, types
from pydantic import SecretStr

from services.rca.core.answers import INSTRUCTION, AnswerWords, UnusableAnswerError, analysis_of, prompt_of
from services.rca.core.bundle import Bundle
from services.rca.core.rules import Analysis
from shared.kernel.errors import UnavailableError

_TRIES = 2
_MAX_TOKENS = 8_192


class ModelError(Exception):
    """Signal that the model gave no usable answer; the message says why, and never holds the key."""


class Gemini:
    """Ask a Gemini model for an analysis."""

    def __init__(self, key: SecretStr, *, model: str, base_url: str, timeout: timedelta) -> None:
        self.model = model
        self._is_doubted = False
        # given, or google-genai takes aiohttp where it happens to be installed, whose errors are others
        self._http = httpx.AsyncClient(timeout=timeout.total_seconds())
        options = types.HttpOptions(
            base_url=base_url or None,
            httpx_async_client=self._http,
            timeout=timeout // timedelta(milliseconds=1),
            retry_options=types.HttpRetryOptions(attempts=1),  # the retry is ours, and is bounded with the rest
        )
        self._client = genai.Client(api_key=key.get_secret_value(), http_options=options).aio

    async def analyze(self, bundle: Bundle) -> Analysis:
        """Return the model's analysis of a bundle; asked once more if the first answer cannot be used.

        Raises:
            ModelError: no usable answer came.
        """
        problem, self._is_doubted = "", True
        for _ in range(_TRIES):
            try:
                analysis = analysis_of(await self._ask(bundle), bundle)
            except UnusableAnswerError as unusable:
                problem = str(unusable)
            except errors.APIError as refused:
                problem = f"the model's API answered {refused.code} {refused.status or ''}".rstrip()
            except (httpx.HTTPError, TimeoutError, OSError) as failed:
                problem = f"the model's API does not answer: {type(failed).__name__}"
            except ValueError as broken:  # a body that is no JSON
                problem = f"the model's API answered nonsense: {type(broken).__name__}"
            else:
                self._is_doubted = False
                return analysis
        raise ModelError(problem)

    async def answers(self) -> None:
        """Ask whether the model is there, while an answer is waited for or after one that did not come; this is free.

        Raises:
            UnavailableError: it is not.
        """
        if not self._is_doubted:
            return
        try:
            await self._client.models.get(model=self.model)
        except errors.APIError as refused:
            raise UnavailableError(f"the model's API answered {refused.code} {refused.status or ''}".rstrip()) from None
        except (httpx.HTTPError, OSError, ValueError) as failed:
            raise UnavailableError(f"the model's API does not answer: {type(failed).__name__}") from None

    async def _ask(self, bundle: Bundle) -> str | None:
        answer = await self._client.models.generate_content(  # pyright: ignore[reportUnknownMemberType] - Pillow's types
            model=self.model,
            contents=prompt_of(bundle),
            config=types.GenerateContentConfig(
                system_instruction=INSTRUCTION,
                temperature=0.0,
                max_output_tokens=_MAX_TOKENS,
                response_mime_type="application/json",
                response_schema=AnswerWords,
            ),
        )
        return answer.text

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        await self._http.aclose()
