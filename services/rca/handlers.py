"""The order of the doing: fetch the evidence, bundle and redact it, have it analyzed, publish the report."""

from services.rca.adapters.gemini import Gemini, ModelError
from services.rca.core.bundle import Bundle, bundle_of
from services.rca.core.rules import Analysis, analyze
from shared.contracts.codec import Envelope, decode
from shared.contracts.evidence import Evidence
from shared.contracts.reports import Analyzer, RcaRequest, Report
from shared.contracts.topics import EVIDENCE, RCA_REPORTS
from shared.infra.broker import Archive, Publisher
from shared.kernel.clock import Clock
from shared.kernel.errors import PoisonError
from shared.kernel.ids import derive

NO_KEY = "GEMINI_API_KEY is not set"


class Explaining:
    """Requests to reports; each request ends in a report, whatever becomes of the model."""

    def __init__(self, publisher: Publisher, archive: Archive, model: Gemini | None, *, clock: Clock) -> None:
        self._publisher = publisher
        self._archive = archive
        self._model = model
        self._clock = clock

    async def handle(self, envelope: Envelope) -> None:
        """Write the report that a request asks for.

        Raises:
            UnavailableError: the broker does not answer.
        """
        request = envelope.message
        if not isinstance(request, RcaRequest):
            return
        bundle = bundle_of(request, await self._evidence(request))
        report = await self._report(request, bundle)
        await self._publisher.publish(report, topic=RCA_REPORTS, traceparent=envelope.traceparent)

    async def _evidence(self, request: RcaRequest) -> Evidence | None:
        """Return the evidence of a request; None where it has aged out of its topic or cannot be read."""
        ref = request.evidence
        if ref is None:
            return None
        record = await self._archive.read_one(EVIDENCE, partition=ref.partition, offset=ref.offset)
        try:
            found = decode(record).message if record else None
        except PoisonError:
            return None
        return found if isinstance(found, Evidence) and found.id == ref.id else None

    async def _report(self, request: RcaRequest, bundle: Bundle) -> Report:
        fallback = NO_KEY
        if self._model is not None:
            try:
                analysis = await self._model.analyze(bundle)
                return self._written(request, bundle, analysis, model=self._model.model)
            except ModelError as failed:
                fallback = str(failed)
        return self._written(request, bundle, analyze(bundle, request.finding), fallback=fallback)

    def _written(
        self, request: RcaRequest, bundle: Bundle, analysis: Analysis, *, model: str = "", fallback: str = ""
    ) -> Report:
        return Report(
            id=derive("report", request.id),
            at=self._clock.now(),
            incident=request.incident.id,
            request=request.id,
            analyzer=Analyzer.GEMINI if model else Analyzer.RULES,
            model=model,
            fallback=fallback,
            summary=analysis.summary,
            root_cause=analysis.root_cause,
            confidence=analysis.confidence,
            claims=analysis.claims,
            proposals=analysis.proposals,
            citations=bundle.citations,
            redactions=bundle.redactions,
        )
