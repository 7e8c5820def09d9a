"""What a container's spec says of its fate: what its command plainly does, what it cannot start without; pure."""

import re
from collections.abc import Iterator

from sandbox.cluster.documents import ReadOnly, rows, section, text, truth, words
from sandbox.cluster.resources import CONFIG_MAPS, SECRETS, Resource

_EXITS = re.compile(r"(?:^|[\s;&|])exit (\d+)")
_SAYS = re.compile(r"(?:^|[;&|]|\bdo\b|\bthen\b)\s*echo\s+(?:'([^']*)'|\"([^\"]*)\"|([^;&|<>]*))")
_PLAIN = {"false": "1", "true": "0"}


def is_missing(image: str) -> bool:
    """Tell whether an image cannot be pulled: its tag begins with `missing`."""
    return image.rpartition("/")[2].rpartition(":")[2].startswith("missing")


def exit_code_of(spec: ReadOnly) -> str:
    """Return the code that a container's command plainly exits with; empty for one that runs on."""
    return _exit_code([*words(spec, "command"), *words(spec, "args")])


def probe_fails(probe: ReadOnly) -> bool:
    """Tell whether the command of a probe plainly fails."""
    return _exit_code(words(probe, "exec", "command")) not in {"", "0"}


def said_by(spec: ReadOnly) -> list[str]:
    """Return the lines that a container's command plainly says."""
    parts = [*words(spec, "command"), *words(spec, "args")]
    return ["".join(filter(None, found.groups())).strip() for part in parts for found in _SAYS.finditer(part)]


def sources_of(spec: ReadOnly) -> Iterator[tuple[Resource, str]]:
    """Yield the ConfigMaps and Secrets that a container's environment cannot do without."""
    references = [section(one, "valueFrom") for one in rows(spec, "env")] + rows(spec, "envFrom")
    for reference in references:
        for field, resource in _REFERENCES.items():
            found = section(reference, field)
            if found and not truth(found, "optional"):
                yield resource, text(found, "name")


_REFERENCES = {
    "configMapKeyRef": CONFIG_MAPS,
    "configMapRef": CONFIG_MAPS,
    "secretKeyRef": SECRETS,
    "secretRef": SECRETS,
}


def _exit_code(command: list[str]) -> str:
    program = command[0].rpartition("/")[2] if command else ""
    if program in _PLAIN:
        return _PLAIN[program]
    found = _EXITS.search(" ".join(command))
    return found[1] if found else ""
