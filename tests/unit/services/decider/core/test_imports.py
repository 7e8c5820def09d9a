"""What reads and matches by a playbook loads little else: each start of a program waits for it."""

import subprocess
import sys

SOON = "services.decider.core.matching, services.decider.core.playbook"
NOT_NEEDED = {"aiokafka", "asyncio", "faust", "kubernetes", "prometheus_client", "redis", "rich", "typer"}
MESSAGES_OF_OTHERS = {"shared.contracts.codec", "shared.contracts.reports", "shared.contracts.topics"}


def test_matching_loads_nothing_of_brokers_clusters_and_command_lines() -> None:
    loaded = _loaded_by(f"import {SOON}")
    assert {"services.decider.core.language", "pydantic"} <= loaded
    assert loaded & (NOT_NEEDED | MESSAGES_OF_OTHERS) == set()


def test_the_words_of_a_playbook_are_no_source_that_is_parsed_when_they_are_imported() -> None:
    asked = "import services.decider.core.file_words as words; print(words.FileSpec.model_fields['rules'].description)"
    assert _told_by(asked) == "None"


def _loaded_by(code: str) -> set[str]:
    return set(_told_by(f"{code}; import sys; print(*sys.modules)").split())


def _told_by(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()
