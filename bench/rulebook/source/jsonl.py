"""An event source of ansible-rulebook: the lines of a file, each an event."""

import json
from pathlib import Path
from typing import Any


async def main(queue: Any, args: dict[str, Any]) -> None:  # noqa: ANN401 - the signature is the peer's
    """Put each line into the peer's queue, which takes the next one when the last was handled."""
    with Path(args["path"]).open() as lines:  # noqa: ASYNC230 - the quickest way, and the peer's
        for line in lines:
            await queue.put(json.loads(line))
