"""A playbook that is fit for use: read, checked, compiled, and known by the hash of its text."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from pydantic import BaseModel, ValidationError

from services.decider.core.bounding import too_much
from services.decider.core.composing import compose
from services.decider.core.explaining import faults_of
from services.decider.core.faults import MAX_FAULTS, Fault, PlaybookError, did_you_mean, joined, one_of
from services.decider.core.file_words import FileSpec
from services.decider.core.including import Files, files_of
from services.decider.core.language import (
    MOST_RULES,
    STEPS,
    MaintenanceWords,
    ManualWords,
    Metadata,
    Partner,
    PlaybookWords,
    Protected,
    RuleWords,
    Window,
)
from services.decider.core.parameters import Argument
from services.decider.core.rules import Rule, rule_of
from services.decider.core.source import Path, Source
from services.decider.core.writing import written
from shared.contracts.actions.rung import Approval, Verify
from shared.kernel.globs import compile_glob

_HASH_CHARS = 16
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": PlaybookWords,
    "metadata": Metadata,
    "spec": FileSpec,
    "protected": Protected,
    "manual": ManualWords,
    "maintenance": MaintenanceWords,
    "rules": RuleWords,
    "window": Window,
    "after": Partner,
    "without": Partner,
    "verify": Verify,
    "approval": Approval,
    **STEPS,
}
_TWICE_INCLUDED = "the file is included twice; let a parameter be part of the name"


@dataclass(frozen=True, slots=True)
class Playbook:
    """All rules by name, in the order of the file; `hash` names exactly this text.

    `source` tells where each word stands, in which of the `files` that it was composed of.
    """

    hash: str
    text: str
    words: PlaybookWords
    rules: Mapping[str, Rule] = field(repr=False)
    source: Source = field(repr=False, compare=False)
    files: tuple[str, ...] = field(repr=False, compare=False)

    @property
    def rules_words(self) -> Mapping[str, RuleWords]:
        """Return what the file says of each rule."""
        return {name: rule.words for name, rule in self.rules.items()}


def hash_of(text: str) -> str:
    """Return the hash that names a playbook in decisions, metrics and the inbox."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


def load_playbook(text: str, *, file: str) -> Playbook:
    """Return the playbook of a text that needs no other file.

    Raises:
        PlaybookError: with every fault that was found, in the order of the file.
    """
    return compile_playbook(files_of(text, file=file))


def compile_playbook(files: Files, given: Mapping[str, Argument] | None = None) -> Playbook:
    """Return the playbook that files come to; its text is that of a single file, else a canonical one of all.

    `given` holds values for the parameters of the top file.

    Raises:
        PlaybookError: with every fault that was found, in the order of the files.
    """
    source = compose(files, _SECTIONS, given=given or {})
    words, faults = _words_of(source)
    readable = list(_readable_rules(source, words))
    beyond = list(too_much(source, readable))
    faults += beyond
    compiled: dict[str, Rule] = {}
    for path, words_of_rule in readable if not beyond else ():
        rule, refused = rule_of(source, words_of_rule, path)
        faults += refused
        compiled[rule.name] = rule
        if len(faults) >= MAX_FAULTS:
            break
    if words is None or faults or source.faults:
        raise PlaybookError(joined(source.faults, faults))
    text = files.text if files.is_single else written(source.value)
    return Playbook(
        hash=hash_of(text), text=text, words=words, rules=compiled, source=source, files=tuple(files.sources)
    )


def _words_of(source: Source) -> tuple[PlaybookWords | None, list[Fault]]:
    try:
        words = PlaybookWords.model_validate(source.value)
    except ValidationError as invalid:
        return None, faults_of(source, invalid, _SECTIONS)
    named = (("spec", "rules"), words.spec.rules), (("spec", "maintenance"), words.spec.maintenance)
    repeated = [fault for path, several in named for fault in _repeated_names(source, several, path=path)]
    return words, [*repeated, *islice(_windows_of_nothing(source, words), MAX_FAULTS)]


def _readable_rules(source: Source, words: PlaybookWords | None) -> Iterator[tuple[Path, RuleWords]]:
    """Yield each rule with its place; where the file is broken those that are whole, so that all faults are told."""
    if words is not None:
        yield from ((("spec", "rules", index), rule) for index, rule in enumerate(words.spec.rules))
        return
    spec = source.value.get("spec") if isinstance(source.value, dict) else None
    rules = spec.get("rules") if isinstance(spec, dict) else None
    for index, found in enumerate(rules[:MOST_RULES] if isinstance(rules, list) else []):
        try:
            yield ("spec", "rules", index), RuleWords.model_validate(found)
        except ValidationError:
            continue


def _windows_of_nothing(source: Source, words: PlaybookWords) -> Iterator[Fault]:
    """Yield which rules a maintenance window names that are not there."""
    names = [rule.name for rule in words.spec.rules]
    known = frozenset(names)
    for index, window in enumerate(words.spec.maintenance):
        for place, glob in enumerate(window.rules):
            if glob not in known and not any(map(compile_glob(glob).matches, names)):
                path: Path = ("spec", "maintenance", index, "rules", place)
                yield source.fault(path, f"no rule {glob!r}; {one_of(names)}", hint=did_you_mean(glob, names))


def _repeated_names(source: Source, several: Sequence[RuleWords | MaintenanceWords], *, path: Path) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, one in enumerate(several):
        place = first.setdefault(one.name, index)
        if place == index:
            continue
        kind = "rule" if isinstance(one, RuleWords) else "maintenance window"
        expected = f"{kind} name {one.name!r} is used twice; expected unique names"
        other, again = (source.fault((*path, used, "name"), expected) for used in (place, index))
        is_same = other.where == again.where
        yield replace(again, hint=_TWICE_INCLUDED if is_same else f"the other one stands at {other.where}")
