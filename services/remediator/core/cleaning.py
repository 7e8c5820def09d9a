"""Takes secrets and personal data out of evidence before it is published, whatever part of an object holds them."""

from shared.contracts.evidence import ContainerLog, EventLine
from shared.contracts.model import JsonObject, JsonValue
from shared.kernel.redaction import redact

_TEXT_CHARS = 2_000
_TAKEN_OUT = "[REDACTED:secret]"


class Cleaning:
    """Clean one evidence, and count what was taken out of it."""

    def __init__(self) -> None:
        self.count = 0

    def text(self, told: str) -> str:
        """Return a text without secrets."""
        cleaned = redact(told)
        self.count += cleaned.count
        return cleaned.text

    def log(self, log: ContainerLog) -> ContainerLog:
        """Return a log without secrets; looked at as a whole, since a private key has many lines."""
        return log.model_copy(update={"lines": tuple(self.text("\n".join(log.lines)).splitlines())})

    def event(self, event: EventLine) -> EventLine:
        """Return an event without secrets in its message."""
        return event.model_copy(update={"message": self.text(event.message)})

    def object(self, source: JsonObject) -> JsonObject:
        """Return an object without secrets, its texts bounded."""
        name, value = source.get("name"), source.get("value")
        if isinstance(name, str) and isinstance(value, str) and _is_secret(name, value):
            return {**source, "value": self._taken_out()}  # a header of a probe, say
        return {field: self._value(one) for field, one in source.items()}

    def _value(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self.text(value[:_TEXT_CHARS])
        if isinstance(value, list):
            return self._list(value)
        return self.object(value) if isinstance(value, dict) else value

    def _list(self, values: list[JsonValue]) -> list[JsonValue]:
        """Return a list without secrets, also those that an option before them names: `--password`, `hunter2`."""
        pairs = zip([None, *values], values, strict=False)
        return [self._taken_out() if _is_named_by(before, one) else self._value(one) for before, one in pairs]

    def _taken_out(self) -> str:
        self.count += 1
        return _TAKEN_OUT


def _is_named_by(option: JsonValue, value: JsonValue) -> bool:
    if not (isinstance(option, str) and isinstance(value, str) and option.startswith("-")):
        return False
    return not value.startswith("-") and "=" not in option and _is_secret(option, value)


def _is_secret(name: str, value: str) -> bool:
    """Tell whether a value is one that its name alone makes a secret."""
    bounded = value[:_TEXT_CHARS]
    return (
        bool(bounded)
        and redact(f"{name[:_TEXT_CHARS]}={bounded}").text.endswith(f"={_TAKEN_OUT}")
        and (redact(bounded).count == 0)
    )
