"""Silences: those in force in a partition, and which of them is about a rule on a workload."""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache

from shared.contracts.inbox import Silence
from shared.contracts.workloads import WorkloadRef
from shared.kernel.globs import compile_glob

_compiled = lru_cache(maxsize=8192)(compile_glob)
"""Silences and maintenance windows outlive many findings, and each of these is held against all of them: more than all
the names of the windows that a playbook may have."""


def with_silence(silences: Iterable[Silence], silence: Silence, *, now: datetime) -> tuple[Silence, ...]:
    """Return the silences with one more, once however often it comes, and without those that have expired."""
    held = {one.id: one for one in (*silences, silence) if now < one.expires_at}
    return tuple(held[name] for name in sorted(held))


def without_silence(silences: Iterable[Silence], ended: str) -> tuple[Silence, ...]:
    """Return the silences without the one that was ended."""
    return tuple(one for one in silences if one.id != ended)


def silence_about(silences: Iterable[Silence], workload: WorkloadRef, *, rule: str, now: datetime) -> Silence | None:
    """Return the silence in force about a rule on a workload; of several the one that lasts longest."""
    about = (one for one in silences if now < one.expires_at and _is_about(one, workload, rule=rule))
    return max(about, key=lambda one: (one.expires_at, one.id), default=None)


def is_named_by(globs: Collection[str], name: str) -> bool:
    """Tell whether one of some globs stands for a name."""
    return any(_compiled(glob).matches(name) for glob in globs)


def _is_about(silence: Silence, workload: WorkloadRef, *, rule: str) -> bool:
    named = {
        "namespace": workload.namespace,
        "workload": workload.name,
        "workload_kind": workload.kind,
        "rule": rule,
    }
    return all(_compiled(glob).matches(named[name]) for name, glob in silence.matchers.said.items())
