"""The analysis by rules: what the facts of a finding mean by themselves. Deterministic, and modest about the cause."""

import re
from dataclasses import dataclass

from services.rca.core.bundle import Bundle
from shared.contracts.inbox import Finding
from shared.contracts.reports import Citation, Claim, Confidence
from shared.contracts.signals import AlertSignal, ContainerSignal, SampleSignal
from shared.kernel.quantities import format_bytes
from shared.kernel.redaction import redact

_TROUBLE = re.compile(r"(?i)\b(fatal|panic|exception|error|out of memory|refused|denied|cannot|failed)\b")
_SIGKILL = 137
_SIGNALLED = 128
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an analyzer says: the cause, how sure it is, what it rests on, and what a person might do."""

    summary: str
    root_cause: str
    confidence: Confidence
    claims: tuple[Claim, ...]
    proposals: tuple[str, ...]


def analyze(bundle: Bundle, finding: Finding | None) -> Analysis:
    """Return what can be said without a model."""
    signal = finding.signal if finding else None
    if not isinstance(signal, ContainerSignal):
        return _unexplained(bundle, finding)
    if "OOMKilled" in {signal.reason, signal.last_reason}:
        return _out_of_memory(bundle, signal)
    if signal.reason in _PULL:
        return _image(bundle, signal)
    if signal.restarts or signal.last_exit_code:
        return _crash(bundle, signal)
    return _unexplained(bundle, finding)


def _out_of_memory(bundle: Bundle, signal: ContainerSignal) -> Analysis:
    limit = format_bytes(signal.memory_limit_bytes) if signal.memory_limit_bytes else "none"
    return Analysis(
        summary=f"Container {signal.container} needs more memory than its limit ({limit})",
        root_cause=(
            f"The kernel killed container {signal.container} because it used more memory than its limit of {limit}: "
            "the limit is too low for its work, or the process leaks."
        ),
        confidence=Confidence.HIGH,
        claims=(
            _claim(bundle, f"The container was killed for memory (OOMKilled) at a limit of {limit}", "finding"),
            *_last_words(bundle),
        ),
        proposals=("Compare its use over days: a steady rise is a leak, which a higher limit only delays.",),
    )


def _image(bundle: Bundle, signal: ContainerSignal) -> Analysis:
    return Analysis(
        summary=f"Image {signal.image} of container {signal.container} cannot be pulled",
        root_cause=(
            f"The rollout names the image {signal.image}, which the node cannot get: it does not exist under that "
            "name, or the registry refuses."
        ),
        confidence=Confidence.HIGH,
        claims=(_claim(bundle, f"The container waits with {signal.reason}: {signal.message}".rstrip(": "), "finding"),),
        proposals=("Check that the tag was pushed, and check image names before a rollout.",),
    )


def _crash(bundle: Bundle, signal: ContainerSignal) -> Analysis:
    code = signal.last_exit_code or signal.exit_code
    killed = f" (signal {code - _SIGNALLED})" if _SIGNALLED < code <= _SIGKILL + 18 else ""
    words = _last_words(bundle)
    said = f"; its last words: {words[0].text}" if words else ""
    return Analysis(
        summary=f"Container {signal.container} ends again and again with exit code {code}",
        root_cause=f"The process of container {signal.container} ends by itself with exit code {code}{killed}{said}",
        confidence=Confidence.MEDIUM if words else Confidence.LOW,
        claims=(
            _claim(bundle, f"The container restarted {signal.restarts} times, exit code {code}{killed}", "finding"),
            *words,
        ),
        proposals=("Read the cited log with the code at hand; a restart cures it only if its cause lies in the pod.",),
    )


def _unexplained(bundle: Bundle, finding: Finding | None) -> Analysis:
    what = f"rule {finding.rule} held" if finding else "a person asked for an action"
    if finding and isinstance(finding.signal, SampleSignal):
        what += f" ({finding.signal.query} = {finding.signal.value:g})"
    if finding and isinstance(finding.signal, AlertSignal):
        what += f" (alert {finding.signal.alertname}: {redact(finding.signal.summary).text})"
    return Analysis(
        summary=f"{bundle.incident.workload.key}: {what}",
        root_cause="The facts alone do not tell the cause.",
        confidence=Confidence.LOW,
        claims=(_claim(bundle, what, "finding"), *_last_words(bundle)) if finding else tuple(_last_words(bundle)),
        proposals=(),
    )


def _claim(bundle: Bundle, text: str, source: str) -> Claim:
    return Claim(text=text, cites=tuple(one.id for one in bundle.citations if one.source == source))


def _last_words(bundle: Bundle) -> list[Claim]:
    """Return the last line of a log that tells of trouble, that of a container which ended before all others."""
    logs = [one for one in bundle.citations if one.source.startswith(("previous log", "log"))]
    for log in sorted(logs, key=_is_present_log):
        lines = [line for line in log.text.splitlines() if _TROUBLE.search(line)]
        if lines:
            return [Claim(text=f"“{lines[-1].strip()}”", cites=(log.id,))]
    return []


def _is_present_log(citation: Citation) -> bool:
    return not citation.source.startswith("previous")
