"""The OpenAPI document of the REST API, made without a store or a broker behind it."""

from typing import Any

from services.api.adapters.read_model import ReadModel
from services.api.handlers import Alerts, Interventions, Questions
from services.api.routes import build_app
from services.api.silences import Silences
from shared.infra.memory import MemoryBroker
from shared.infra.redis import Redis
from shared.runtime.clock import SystemClock


def document() -> dict[str, Any]:
    """Return the document; it depends on the routes and their models alone."""
    model, clock = ReadModel(Redis(None)), SystemClock()
    publisher = MemoryBroker(clock).publisher("api")
    app = build_app(
        Questions(model, {}),
        Interventions(model, publisher, clock),
        silences=Silences(model, publisher, clock),
        alerts=Alerts(publisher, cluster="", clock=clock),
        holders=[],
        max_streams=1,
        is_stopping=lambda: True,
    )
    return app.openapi()
