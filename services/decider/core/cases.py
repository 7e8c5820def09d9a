"""Cases that a playbook must pass: what is given in time, what is to be decided, and what is not.

Every name is checked before anything runs: a case about a rule, a rung, a reason or a fact that is not there would pass
or fail for no reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.decider.core.casting import FactWord, fact_faults, workload_named
from services.decider.core.explaining import faults_of
from services.decider.core.faults import Fault, Mark, PlaybookError, did_you_mean, joined, one_of
from services.decider.core.file_words import ParameterValue
from services.decider.core.language import ActionWord, Duration, GlobWord, Name, RuleWords, SignalKind
from services.decider.core.parameters import Argument
from services.decider.core.playbook import Playbook
from services.decider.core.source import Origin, Path, Source, read_source
from shared.contracts.inbox import LONGEST_SILENCE, Outcome
from shared.contracts.incidents import Reason
from shared.kernel.globs import compile_glob

LONGEST = timedelta(days=7)
_WAYS = ("signal", "result", "approval", "control")
_OWNED: Mapping[str, Sequence[str]] = {
    "signal": ("facts", "seen", "id"),
    "result": ("because",),
    "silence": ("matchers", "lasts"),
}
"""What only one kind of input says."""


def _without_sign(text: object) -> object:
    return text.removeprefix("+") if isinstance(text, str) else text


def _within_longest(moment: timedelta) -> timedelta:
    if moment > LONGEST:
        raise ValueError(f"expected at most {LONGEST.days}d after the beginning")
    return moment


def _within_longest_silence(length: timedelta) -> timedelta:
    if not timedelta(0) < length <= LONGEST_SILENCE:
        raise ValueError(f"expected more than 0s and at most {LONGEST_SILENCE.days}d")
    return length


Since = Annotated[Duration, BeforeValidator(_without_sign), AfterValidator(_within_longest)]
"""A moment, by how long after the case's beginning it is."""


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class MatchersWords(_Words):
    """What a silence is about: names, or globs of them."""

    namespace: GlobWord | None = None
    workload: GlobWord | None = None
    workload_kind: GlobWord | None = None
    rule: GlobWord | None = None


class GivenWords(_Words):
    """One input at a moment: a signal, what became of the command that is awaited, a person's answer or control."""

    at: Since
    workload: str = ""
    signal: SignalKind | None = None
    facts: dict[str, FactWord] = Field(default_factory=dict[str, FactWord])
    seen: Since | None = None
    id: str = ""
    result: Outcome | None = None
    because: str = ""
    approval: Literal["granted", "rejected"] | None = None
    by: str = ""
    control: Literal["pause", "resume", "silence", "silence-ended"] | None = None
    matchers: MatchersWords | None = None
    lasts: Annotated[Duration, AfterValidator(_within_longest_silence)] | None = None


class ExpectWords(_Words):
    """One decision, by as much of it as is said; steps count from 0, as in decisions."""

    reason: Reason | None = None
    rule: str | None = None
    step: int | None = Field(default=None, ge=0)
    attempt: int | None = Field(default=None, ge=1)
    action: ActionWord | None = None
    workload: str | None = None
    at: Since | None = None
    detail: str | None = None
    suppressed_by: Name | None = None


class CaseWords(_Words):
    """One history with what is expected of it: `expect` in this order, `expect_none` nowhere."""

    name: str = Field(min_length=1)
    workload: str = ""
    given: tuple[GivenWords, ...] = Field(min_length=1)
    until: Since | None = None
    expect: tuple[ExpectWords, ...] = ()
    expect_none: tuple[ExpectWords, ...] = ()


class CasesWords(_Words):
    """A whole `*.test.yaml`; `playbook` is a path from where this file lies, `with` holds values for its parameters."""

    playbook: str = Field(min_length=1)
    with_: dict[str, ParameterValue] = Field(default_factory=dict[str, "ParameterValue"], alias="with")
    cases: tuple[CaseWords, ...] = Field(min_length=1)


_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": CasesWords,
    "cases": CaseWords,
    "given": GivenWords,
    "matchers": MatchersWords,
    "expect": ExpectWords,
    "expect_none": ExpectWords,
}


@dataclass(frozen=True, slots=True)
class Cases:
    """A file of cases that is whole in itself; whether its names exist only its playbook tells."""

    source: Source
    words: CasesWords

    @property
    def arguments(self) -> Mapping[str, Argument]:
        """Return the values that the cases give to the playbook's parameters."""
        given = self.source.members_at(("with",))
        return {name: Argument(value, Origin(self.source, ("with", name))) for name, value in given.items()}

    def place_of(self, *path: str | int) -> Mark:
        """Return where a part of a case stands."""
        return self.source.mark_of(("cases", *path))


def read_cases(text: str, *, file: str) -> Cases:
    """Return the cases of a text.

    Raises:
        PlaybookError: with every fault that was found, in the order of the file.
    """
    source = read_source(text, file=file)
    try:
        words = CasesWords.model_validate(source.value)
    except ValidationError as invalid:
        raise PlaybookError(joined(source.faults, faults_of(source, invalid, _SECTIONS))) from invalid
    faults = [*source.faults, *_name_faults(source, words), *_shape_faults(source, words)]
    if faults:
        raise PlaybookError(faults)
    return Cases(source, words)


def check_names(cases: Cases, playbook: Playbook) -> None:
    """Hold each rule, step and action that the cases name against the playbook.

    Raises:
        PlaybookError: with each that is not there.
    """
    faults: list[Fault] = [*_silences_of_nothing(cases, playbook)]
    for path, expected in _expectations(cases.words):
        faults += _unknown(cases.source, expected, path=path, rules=playbook.rules_words)
        faults += _no_such_window(cases.source, expected, path=path, playbook=playbook)
    if faults:
        raise PlaybookError(faults)


def _silences_of_nothing(cases: Cases, playbook: Playbook) -> Iterator[Fault]:
    for place, case in enumerate(cases.words.cases):
        for number, given in enumerate(case.given):
            asked = given.matchers.rule if given.matchers is not None else None
            if asked is not None and not any(map(compile_glob(asked).matches, playbook.rules)):
                path = ("cases", place, "given", number, "matchers", "rule")
                yield _no_such_rule(cases.source, asked, path=path, rules=playbook.rules_words)


def _no_such_window(source: Source, expected: ExpectWords, *, path: Path, playbook: Playbook) -> Iterator[Fault]:
    known = [window.name for window in playbook.words.spec.maintenance]
    name = expected.suppressed_by
    if name is not None and name not in known:
        listed = one_of(known) if known else "the playbook has none"
        place = (*path, "suppressed_by")
        yield source.fault(place, f"no maintenance window {name!r}; {listed}", hint=did_you_mean(name, known))


def _name_faults(source: Source, words: CasesWords) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, case in enumerate(words.cases):
        if case.name in seen:
            yield source.fault(
                ("cases", place, "name"), f"case name {case.name!r} is used twice; expected unique names"
            )
        seen.add(case.name)


def _shape_faults(source: Source, words: CasesWords) -> Iterator[Fault]:
    for place, case in enumerate(words.cases):
        path: Path = ("cases", place)
        if not case.expect and not case.expect_none:
            yield source.fault(path, "a case that expects nothing proves nothing; expected `expect` or `expect_none`")
        yield from _workload_faults(source, case.workload, path=(*path, "workload"))
        for number, given in enumerate(case.given):
            yield from _given_faults(source, given, path=(*path, "given", number))
        yield from _order_faults(source, case, path=path)
    for path, expected in _expectations(words):
        yield from _expectation_faults(source, expected, path=path)


def _given_faults(source: Source, given: GivenWords, *, path: Path) -> Iterator[Fault]:
    ways = [way for way in _WAYS if getattr(given, way) is not None]
    if len(ways) != 1:
        found = " and ".join(ways) or "none"
        yield source.fault(path, f"expected exactly one of: {', '.join(_WAYS)}; found {found}")
    yield from _workload_faults(source, given.workload, path=(*path, "workload"))
    if given.signal is not None:
        yield from fact_faults(source, given.facts, kind=given.signal, path=(*path, "facts"))
    yield from _stray_faults(source, given, path=path)
    if given.control == "silence" and (given.matchers is None or given.lasts is None):
        yield source.fault(path, "a silence is about something, for a time; expected `matchers` and `lasts`")
    elif given.matchers is not None and not given.matchers.model_fields_set:
        known = ", ".join(MatchersWords.model_fields)
        yield source.fault((*path, "matchers"), f"expected at least one of: {known}")


def _stray_faults(source: Source, given: GivenWords, *, path: Path) -> Iterator[Fault]:
    for owner, names in _OWNED.items():
        if owner not in {way for way in _WAYS if getattr(given, way) is not None} | {given.control}:
            for name in (name for name in names if name in given.model_fields_set):
                yield source.fault((*path, name), f"only a {owner} has {name!r}", mark=source.key_of((*path, name)))


def _order_faults(source: Source, case: CaseWords, *, path: Path) -> Iterator[Fault]:
    latest = timedelta(0)
    for number, given in enumerate(case.given):
        if given.at < latest:
            yield source.fault(
                (*path, "given", number, "at"), "expected the order of time: this is before what precedes"
            )
        latest = max(latest, given.at)
    if case.until is not None and case.until < latest:
        yield source.fault((*path, "until"), "expected a moment after all that is given")


def _workload_faults(source: Source, key: str, *, path: Path) -> Iterator[Fault]:
    if key and workload_named(key) is None:
        yield source.fault(path, f"expected a workload as namespace/Kind/name, found {key!r}")


def _expectation_faults(source: Source, expected: ExpectWords, *, path: Path) -> Iterator[Fault]:
    if not expected.model_fields_set:
        yield source.fault(path, "an expectation that says nothing is met by anything; expected at least `reason`")
    elif "expect" in path and expected.reason is None:
        yield source.fault(path, "key 'reason' is missing")
    if expected.workload is not None:
        yield from _workload_faults(source, expected.workload or "-", path=(*path, "workload"))


def _expectations(words: CasesWords) -> Iterator[tuple[Path, ExpectWords]]:
    for place, case in enumerate(words.cases):
        yield from ((("cases", place, "expect", number), one) for number, one in enumerate(case.expect))
        yield from ((("cases", place, "expect_none", number), one) for number, one in enumerate(case.expect_none))


def _unknown(source: Source, expected: ExpectWords, *, path: Path, rules: Mapping[str, RuleWords]) -> Iterator[Fault]:
    if expected.rule is not None and expected.rule not in rules:
        yield _no_such_rule(source, expected.rule, path=(*path, "rule"), rules=rules)
        return
    about = [rules[expected.rule]] if expected.rule is not None else list(rules.values())
    whose = f"rule {expected.rule!r}" if expected.rule is not None else "any rule"
    if expected.step is not None and all(expected.step >= len(rule.ladder) for rule in about):
        longest = max(len(rule.ladder) for rule in about)
        yield source.fault((*path, "step"), f"the ladder of {whose} has the steps 0 to {longest - 1}")
    elif expected.action is not None and not _taken(about, expected):
        where = "" if expected.step is None else f" at step {expected.step}"
        yield source.fault((*path, "action"), f"the ladder of {whose} has no {expected.action}{where}")


def _no_such_rule(source: Source, name: str, *, path: Path, rules: Mapping[str, RuleWords]) -> Fault:
    known = list(rules)
    return source.fault(path, f"no rule {name!r}; {one_of(known)}", hint=did_you_mean(name, known))


def _taken(about: Sequence[RuleWords], expected: ExpectWords) -> bool:
    actions = {rung.action for rule in about for step, rung in enumerate(rule.ladder) if expected.step in {None, step}}
    return expected.action in actions
