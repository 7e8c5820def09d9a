"""Dead letters: inputs that could not be handled, kept with their coordinates so that they can be driven again."""

from typing import ClassVar

from shared.contracts.model import Message, Moment


class DeadLetter(Message):
    """One poisonous record: where it lay, what it held (base64), which service refused it, and why."""

    TYPE: ClassVar[str] = "deadletter"

    service: str
    error: str
    topic: str
    partition: int
    offset: int
    timestamp: Moment
    key_base64: str | None = None
    value_base64: str | None = None
    headers_base64: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Return the coordinates of the original."""
        return f"{self.topic}/{self.partition}/{self.offset}"
