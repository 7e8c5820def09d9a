"""Cases of a playbook: what is wrong with them is said before they run, and they run as the runtime does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.decider.core.cases import check_names, read_cases
from services.decider.core.coverage import Part, coverage_of
from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import load_playbook
from services.decider.core.trial import Trial, try_cases
from shared.contracts.incidents import Reason
from tests.unit.services.decider.core.build import PLAYBOOK

RULES = load_playbook(PLAYBOOK, file="test")
CRASH = "{at: 0s, signal: container, facts: {reason: CrashLoopBackOff}}"
EXPECT = "expect: [{reason: incident-opened}]"


def case(given_lines: str = CRASH, *, expect: str = EXPECT, more: str = "") -> str:
    lines = "".join(f"      - {line}\n" for line in given_lines.splitlines())
    return f"playbook: p.yaml\ncases:\n  - name: one\n    given:\n{lines}    {expect}\n{more}"


def faults_in(text: str) -> list[str]:
    with pytest.raises(PlaybookError) as refused:
        check_names(read_cases(text, file="c"), RULES)
    return [str(fault) for fault in refused.value.faults]


def tried(text: str) -> Trial:
    cases = read_cases(text, file="c")
    check_names(cases, RULES)
    return try_cases(cases, RULES)[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            case(expect="expect: [{reason: action-orderd}]"),
            "found 'action-orderd' (did you mean 'action-ordered'?)",
        ),
        (
            case(expect="expect: [{reason: incident-opened, rule: crsh}]"),
            "no rule 'crsh'; expected one of: crash, memory, twice, slow (did you mean 'crash'?)",
        ),
        (
            case(expect="expect_none: [{rule: nowhere}]"),
            "c:6:26: cases[0].expect_none[0].rule: no rule 'nowhere'; expected one of: crash, memory, twice, slow",
        ),
        (
            case(expect="expect: [{reason: incident-opened, stp: 1}]"),
            (
                "c:6:40: cases[0].expect[0].stp: unknown key;"
                " expected one of: action, at, attempt, detail, reason, rule, step, suppressed_by, workload"
                " (did you mean 'step'?)"
            ),
        ),
        (
            case(expect="expect: []"),
            "c:3:5: cases[0]: a case that expects nothing proves nothing; expected `expect` or `expect_none`",
        ),
        (
            case(expect="expect: [{}]"),
            (
                "c:6:14: cases[0].expect[0]: an expectation that says nothing is met by anything;"
                " expected at least `reason`"
            ),
        ),
        (case(expect="expect: [{rule: crash}]"), "c:6:14: cases[0].expect[0]: key 'reason' is missing"),
        (
            case(expect="expect: [{reason: escalated, rule: crash, step: 3}]"),
            "c:6:53: cases[0].expect[0].step: the ladder of rule 'crash' has the steps 0 to 2",
        ),
        (
            case(expect="expect: [{reason: action-ordered, rule: crash, step: 0, action: rollback}]"),
            "c:6:69: cases[0].expect[0].action: the ladder of rule 'crash' has no rollback at step 0",
        ),
        (
            case("{at: 0s, signal: container, facts: {reasn: X}}"),
            "(did you mean 'reason'?)",
        ),
        (
            case("{at: 0s, signal: container, facts: {restarts: [1]}}"),
            "c:5:55: cases[0].given[0].facts.restarts: expected a text, a number, true or false, or labels",
        ),
        (
            case("{at: 0s, signal: container, facts: {restarts: many}}"),
            "c:5:55: cases[0].given[0].facts.restarts: expected a whole number, found 'many'",
        ),
        (
            case("{at: 0s, signal: container, facts: {state: runing}}"),
            (
                "c:5:52: cases[0].given[0].facts.state: expected one of: running, terminated, waiting; found 'runing'"
                " (did you mean 'running'?)"
            ),
        ),
        (
            case("{at: 0s, signal: container, facts: {namespace: bank}}"),
            "c:5:45: cases[0].given[0].facts.namespace: said by `workload: namespace/Kind/name`",
        ),
        (case("{at: 0s, signal: event}"), "c:5:9: cases[0].given[0].facts: expected what such a signal says: reason"),
        (
            case("{at: 0s, signal: node, result: applied}"),
            (
                "c:5:9: cases[0].given[0]: expected exactly one of: signal, result, approval, control;"
                " found signal and result"
            ),
        ),
        (
            case("{at: 0s, control: pause, facts: {a: 1}}"),
            "c:5:34: cases[0].given[0].facts: only a signal has 'facts'",
        ),
        (
            case("{at: 5s, control: pause}\n{at: 4s, control: resume}"),
            "c:6:14: cases[0].given[1].at: expected the order of time: this is before what precedes",
        ),
        (
            case("{at: 0s, control: silence, lasts: 1h}"),
            "c:5:9: cases[0].given[0]: a silence is about something, for a time; expected `matchers` and `lasts`",
        ),
        (
            case("{at: 0s, control: pause, lasts: 1h}"),
            "c:5:34: cases[0].given[0].lasts: only a silence has 'lasts'",
        ),
        (
            case("{at: 0s, control: silence, lasts: 31d, matchers: {rule: crash}}"),
            "c:5:43: cases[0].given[0].lasts: expected more than 0s and at most 30d",
        ),
        (
            case("{at: 0s, control: silence, lasts: 1h, matchers: {}}"),
            ("c:5:57: cases[0].given[0].matchers: expected at least one of: namespace, workload, workload_kind, rule"),
        ),
        (
            case("{at: 0s, control: silence, lasts: 1h, matchers: {namespac: bank}}"),
            "unknown key; expected one of: namespace, rule, workload, workload_kind (did you mean 'namespace'?)",
        ),
        (
            case("{at: 0s, control: silence, lasts: 1h, matchers: {namespace: bank/web}}"),
            "cases[0].given[0].matchers.namespace: expected a name, or a glob of names such as 'bank-*'",
        ),
        (
            case("{at: 0s, control: silence, lasts: 1h, matchers: {rule: crsh}}"),
            (
                "c:5:64: cases[0].given[0].matchers.rule: no rule 'crsh';"
                " expected one of: crash, memory, twice, slow (did you mean 'crash'?)"
            ),
        ),
        (
            case(more="    until: 8d\n"),
            "c:7:12: cases[0].until: expected at most 7d after the beginning",
        ),
        (
            case("{at: 0s, workload: app, control: pause}"),
            "c:5:28: cases[0].given[0].workload: expected a workload as namespace/Kind/name, found 'app'",
        ),
        ("playbook: p.yaml\ncases: []\n", "c:2:8: cases: expected at least 1 of them"),
        ("- a\n", "c:1:1: expected keys with values, found a list"),
    ],
)
def test_what_is_wrong_with_cases_is_said_with_its_place_before_they_run(text: str, fault: str) -> None:
    faults = faults_in(text)
    assert any(one == fault or one.endswith(fault) for one in faults), faults


def test_all_faults_are_told_at_once() -> None:
    faults = faults_in(case("{at: 0s, signal: container, facts: {reasn: X, restarts: a}}", expect="expect: []"))
    assert len(faults) == 3


def test_expectations_are_met_in_their_order_and_each_by_another_decision() -> None:
    both = "expect: [{reason: action-ordered}, {reason: incident-opened}]"
    assert [verdict.met for verdict in tried(case(expect=both)).verdicts] == [True, False]
    twice = "expect: [{reason: incident-opened}, {reason: incident-opened}]"
    assert [verdict.met for verdict in tried(case(expect=twice)).verdicts] == [True, False]


def test_what_is_not_expected_is_named_where_it_happens() -> None:
    trial = tried(case(expect="expect_none: [{action: restart-pod}]"))
    assert not trial.passed
    assert "action=restart-pod" in trial.verdicts[0].actual


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("{at: 1s, workload: a/Deployment/b, result: applied}", "there is none"),
        ("{at: 1s, result: applied}\n{at: 2s, result: applied}", "it is verifying"),
    ],
)
def test_an_answer_to_nothing_fails_the_case(answer: str, why: str) -> None:
    trial = tried(case(f"{CRASH}\n{answer}"))
    assert [verdict.actual for verdict in trial.verdicts if not verdict.met] == [why]


def test_a_preview_cannot_have_been_applied() -> None:
    memory = "{at: 0s, signal: container, facts: {last_reason: OOMKilled, restarts: 1, memory_limit_bytes: 1048576}}"
    trial = tried(case(f"{memory}\n{{at: 1s, result: applied}}"))
    assert "it is a preview" in trial.verdicts[0].actual


def test_time_passes_between_inputs_as_the_runtime_lets_it() -> None:
    trial = tried(case(f"{CRASH}\n{{at: 1s, result: failed}}", more="    until: 11s\n"))
    assert [made.since.total_seconds() for made in trial.made] == [0, 0, 1, 11]
    assert trial.made[-1].decision.reason is Reason.ACTION_ORDERED


def test_waiting_and_telling_people_are_expected_like_actions() -> None:
    slow = "{at: 0s, signal: container, facts: {reason: Slow, restarts: 0}}"
    expected = (
        "expect: [{reason: notified, step: 0, action: notify, detail: slow}, {reason: waiting, step: 1, action: wait},"
        " {reason: wait-over, at: 1m}, {reason: step-not-met, step: 2}, {reason: escalated, action: escalate, step: 5}]"
    )
    trial = tried(case(slow, expect=expected))
    assert trial.passed, [verdict.actual for verdict in trial.verdicts if not verdict.met]
    reached = {Part("slow", 0), Part("slow", 1), Part("slow", 5)}
    assert reached.isdisjoint(coverage_of(RULES, [trial]).missed)


def test_what_is_shadowed_is_expected_like_what_is_ordered() -> None:
    shadowing = load_playbook(PLAYBOOK.replace("spec:", "spec:\n  mode: shadow"), file="p.yaml")
    expected = "expect: [{reason: shadowed, action: restart-pod, detail: app-1}, {reason: shadow-done}]"
    cases = read_cases(case(expect=expected), file="c")
    [trial] = try_cases(cases, shadowing)
    assert trial.passed, [verdict.actual for verdict in trial.verdicts]
    assert Part("crash", 0) not in coverage_of(shadowing, [trial]).missed


def test_a_silence_holds_for_as_long_as_it_lasts_or_until_it_is_ended() -> None:
    silence = "control: silence, lasts: 1h, matchers: {namespace: def*, rule: cr*}"
    crashes = [
        f"{{at: {at}, id: {at}, signal: container, facts: {{reason: CrashLoopBackOff}}}}" for at in ("1m", "2h", "5h")
    ]
    ended = "{at: 4h, control: silence-ended}"
    given = [f"{{at: 0s, {silence}}}", *crashes[:2], f"{{at: 3h, {silence}}}", ended, crashes[2]]
    trial = tried(case("\n".join(given), expect="expect: [{reason: silenced, at: 1m, detail: by case}]"))
    assert trial.passed
    begun = (Reason.SILENCED, Reason.INCIDENT_OPENED)
    assert [one.decision.reason for one in trial.made if one.decision.reason in begun] == [
        Reason.SILENCED,
        Reason.INCIDENT_OPENED,
        Reason.INCIDENT_OPENED,
    ]


def test_coverage_names_what_no_case_reached() -> None:
    coverage = coverage_of(RULES, [tried(case(more="    until: 1s\n"))])
    assert coverage.parts == 15
    assert set(coverage.missed) >= {Part("crash", 1), Part("memory"), Part("twice", 0)}
    assert {Part("crash"), Part("crash", 0)}.isdisjoint(coverage.missed)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["applied", "failed", "refused", "unknown"]), max_size=4))
def test_a_case_goes_the_same_way_every_time(outcomes: list[str]) -> None:
    answers = "".join(f"\n{{at: {30 * place}s, result: {outcome}}}" for place, outcome in enumerate(outcomes, start=1))
    first, second = tried(case(CRASH + answers)), tried(case(CRASH + answers))
    assert first.made == second.made
