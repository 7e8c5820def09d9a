"""The log of a container as a client asks for it: which container, which lines, how many bytes; pure."""

from collections.abc import Mapping

from sandbox.cluster.documents import Document, rows, section, text
from sandbox.cluster.errors import bad_request


def container_of(pod: Document, named: str) -> str:
    """Return the container whose log is asked for.

    Raises:
        StatusError: none is named and there are several, or there is none of that name (400).
    """
    names = [text(one, "name") for one in rows(section(pod, "spec"), "containers")]
    pod_name = text(pod, "metadata", "name")
    if not named and len(names) != 1:
        raise bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]")
    if named and named not in {*names, *(text(one, "name") for one in rows(section(pod, "spec"), "initContainers"))}:
        raise bad_request(f"container {named} is not valid for pod {pod_name}")
    return named or names[0]


def log_text(lines: list[str], query: Mapping[str, str]) -> str:
    """Return the lines that are asked for, without the stamps that they are kept with unless those are wanted."""
    tail = query.get("tailLines", "")
    shown = lines[len(lines) - min(int(tail), len(lines)) :] if tail.isdecimal() else lines
    keep = query.get("timestamps") == "true"
    told = "".join(f"{line if keep else bare(line)}\n" for line in shown)
    limit = query.get("limitBytes", "")
    return told.encode()[: int(limit)].decode(errors="ignore") if limit.isdecimal() else told


def bare(line: str) -> str:
    """Return a line without its stamp."""
    return line.partition(" ")[2]
