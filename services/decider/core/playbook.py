"""A playbook that is fit for use: read, checked, compiled, and known by the hash of its text."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError

from services.decider.core.conditions import Condition, ConditionError, compile_condition
from services.decider.core.explaining import faults_of
from services.decider.core.faults import Fault, Mark, PlaybookError, did_you_mean, joined
from services.decider.core.language import (
    ActionRung,
    Approval,
    EscalateRung,
    Metadata,
    PlaybookWords,
    Protected,
    RestartPodRung,
    RollbackRung,
    RuleWords,
    Scalar,
    SetMemoryRung,
    SignalKind,
    Spec,
    Verify,
    Window,
)
from services.decider.core.source import Path, Source, read_source
from shared.contracts.signals import AlertStatus, FactType, fact_types

_HASH_CHARS = 16
_TYPE_WORDS: Mapping[FactType, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict[str, str]: "labels, which only `when` can ask for",
}
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": PlaybookWords,
    "metadata": Metadata,
    "spec": Spec,
    "protected": Protected,
    "rules": RuleWords,
    "window": Window,
    "verify": Verify,
    "approval": Approval,
    "restart-pod": RestartPodRung,
    "set-memory": SetMemoryRung,
    "rollback": RollbackRung,
    "escalate": EscalateRung,
}
_TELLERS: Mapping[str, Sequence[SignalKind]] = {
    "restart-pod": ("container", "pod", "event"),
    "set-memory": ("container",),
}
"""Which kinds of signal name what an action is done to; any kind does for an action on the workload as a whole."""
_UNSAID: Mapping[SignalKind, Mapping[str, frozenset[Scalar]]] = {
    "alert": {"status": frozenset({AlertStatus.FIRING.value})}
}
"""What holds for a kind of signal where a rule's `where` says nothing of it: an alert that is over is no trouble."""
_ASKS_FOR = r"(?<![\w.\"'])({})(?![\w\"'])"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, compiled: `where` holds the allowed values of each fact."""

    words: RuleWords
    where: Mapping[str, frozenset[Scalar]]
    condition: Condition | None

    @property
    def name(self) -> str:
        """Return the rule's name."""
        return self.words.name


@dataclass(frozen=True, slots=True)
class Playbook:
    """All rules by name, in the order of the file; `hash` names exactly this text."""

    hash: str
    text: str
    words: PlaybookWords
    rules: Mapping[str, Rule] = field(repr=False)

    @property
    def rules_words(self) -> Mapping[str, RuleWords]:
        """Return what the file says of each rule."""
        return {name: rule.words for name, rule in self.rules.items()}


def hash_of(text: str) -> str:
    """Return the hash that names a playbook in decisions, metrics and the inbox."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


def load_playbook(text: str, *, file: str) -> Playbook:
    """Return the playbook of a text.

    Raises:
        PlaybookError: with every fault that was found, in the order of the file.
    """
    source = read_source(text, file=file)
    words, faults = _words_of(source)
    compiled: dict[str, Rule] = {}
    for path, rule in _readable_rules(source, words):
        condition, refused = _condition_of(source, rule, path)
        faults += [*_where_faults(source, rule, path), *_ladder_faults(source, rule, path), *refused]
        compiled[rule.name] = Rule(rule, _allowed(rule), condition)
    if words is None or faults or source.faults:
        raise PlaybookError(joined(source.faults, faults))
    return Playbook(hash=hash_of(text), text=text, words=words, rules=compiled)


def _words_of(source: Source) -> tuple[PlaybookWords | None, list[Fault]]:
    try:
        words = PlaybookWords.model_validate(source.value)
    except ValidationError as invalid:
        return None, faults_of(source, invalid, _SECTIONS)
    return words, [*_repeated_names(source, words)]


def _readable_rules(source: Source, words: PlaybookWords | None) -> Iterator[tuple[Path, RuleWords]]:
    """Yield each rule with its place; where the file is broken those that are whole, so that all faults are told."""
    if words is not None:
        yield from ((("spec", "rules", index), rule) for index, rule in enumerate(words.spec.rules))
        return
    spec = source.value.get("spec") if isinstance(source.value, dict) else None
    rules = spec.get("rules") if isinstance(spec, dict) else None
    for index, found in enumerate(rules if isinstance(rules, list) else []):
        try:
            yield ("spec", "rules", index), RuleWords.model_validate(found)
        except ValidationError:
            continue


def _repeated_names(source: Source, words: PlaybookWords) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, rule in enumerate(words.spec.rules):
        if rule.name in seen:
            yield source.fault(
                ("spec", "rules", index, "name"), f"rule name {rule.name!r} is used twice; expected unique names"
            )
        seen.add(rule.name)


def _allowed(rule: RuleWords) -> Mapping[str, frozenset[Scalar]]:
    """Return the values of each fact that a rule is about: those it names, and those that go without saying."""
    said = {name: frozenset(value if isinstance(value, list) else [value]) for name, value in rule.where.items()}
    return {**_UNSAID.get(rule.signal, {}), **said}


def _where_faults(source: Source, rule: RuleWords, path: Path) -> Iterator[Fault]:
    types = fact_types(rule.signal)
    for name, allowed in _allowed(rule).items():
        place = (*path, "where", name)
        if name not in types:
            hint = did_you_mean(name, sorted(types))
            expected = f"a {rule.signal} signal has no fact {name!r}; expected one of: {', '.join(sorted(types))}"
            yield source.fault(place, expected, hint=hint, mark=source.key_of(place))
        elif not all(type(value) is types[name] for value in allowed):
            yield source.fault(place, f"expected {_TYPE_WORDS[types[name]]}, found {_shown(allowed)}")


def _shown(values: frozenset[Scalar]) -> str:
    return ", ".join(sorted(map(repr, values)))


def _ladder_faults(source: Source, rule: RuleWords, path: Path) -> Iterator[Fault]:
    for step, rung in enumerate(rule.ladder):
        place = (*path, "ladder", step)
        if not isinstance(rung, ActionRung):
            if step != len(rule.ladder) - 1:
                yield source.fault(place, "escalate ends a ladder; expected it as the last rung")
            continue
        if rung.verify.within <= rung.verify.healthy_for:
            yield source.fault((*place, "verify"), "expected `within` to be longer than `healthy_for`")
        tellers = _TELLERS.get(rung.action, (rule.signal,))
        if rule.signal not in tellers:
            expected = f"{rung.action} acts on what the signal names; expected `signal: {' or '.join(tellers)}`"
            yield source.fault((*place, "action"), expected)


def _condition_faults(source: Source, rule: RuleWords, path: Path) -> Iterator[Fault]:
    for name, values in _UNSAID.get(rule.signal, {}).items():
        if name not in rule.where and re.search(_ASKS_FOR.format(name), rule.when):
            expected = f"a rule that asks for {name!r} says so in `where`; without it, it is {_shown(values)}"
            yield source.fault((*path, "when"), expected)


def _condition_of(source: Source, rule: RuleWords, path: Path) -> tuple[Condition | None, list[Fault]]:
    faults = [*_condition_faults(source, rule, path)]
    if not rule.when:
        return None, faults
    try:
        return compile_condition(rule.when, kind=rule.signal), faults
    except ConditionError as invalid:
        place = (*path, "when")
        mark = _within(source, place, invalid)
        return None, [*faults, source.fault(place, invalid.expected, hint=invalid.hint, mark=mark)]


def _within(source: Source, path: Path, invalid: ConditionError) -> Mark:
    """Return the place in the file of a fault within a condition; a folded text only tells where it starts."""
    start, style = source.mark_of(path), source.styles.get(path, "")
    if style == "|":
        line = start.line + invalid.line
        return Mark(line, source.indent_of(start.line + 1) + invalid.column)
    if invalid.line > 1 or style == ">":
        return start
    return Mark(start.line, start.column + invalid.column - 1 + len(style))
