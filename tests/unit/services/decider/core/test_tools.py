"""What is said about a playbook that can be used: remarks, a rule in words, and how two differ."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.decider.core.comparing import Change, differences_between
from services.decider.core.linting import remarks_on
from services.decider.core.playbook import Playbook, load_playbook
from services.decider.core.rules import Rule
from services.decider.core.telling import rule_in_words
from shared.contracts.incidents import Mode
from shared.contracts.rights import EVERYWHERE, Right, granted_to
from shared.kernel.durations import format_duration

ROOT = Path(__file__).resolve().parents[5]
ROLES = ROOT / "deploy" / "kubernetes" / "rbac.yaml"
SHIPPED = (ROOT / "healing-playbook.yaml").read_text(encoding="utf-8")
MODES = st.sampled_from([mode.value for mode in Mode])
TEXT = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {{name: test}}
spec:
  mode: {mode}
  rules:
    - name: {name}
      mode: {rule}
      signal: {signal}
      where: {where}
      window: {window}
      cooldown: {cooldown}
      ladder: {ladder}
"""
USUAL = {
    "mode": "live",
    "name": "one",
    "rule": "live",
    "signal": "container",
    "where": "{reason: Error}",
    "window": "{count: 1, within: 5m}",
    "cooldown": "5m",
    "ladder": "[{action: rollback}, {action: escalate}]",
}


def playbook(**words: str) -> Playbook:
    return load_playbook(TEXT.format(**{**USUAL, **words}), file="p")


def remarks(**words: str) -> list[str]:
    return [str(remark) for remark in remarks_on(playbook(**words))]


def test_nothing_is_remarked_on_the_shipped_playbook() -> None:
    assert remarks_on(load_playbook(SHIPPED, file="p")) == []
    assert remarks() == []


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        (
            {"where": "{reason: []}"},
            "p:10:23: spec.rules[0].where.reason: no signal meets an empty list; expected at least one value [error]",
        ),
        (
            {"where": "{state: dead}"},
            (
                "p:10:22: spec.rules[0].where.state: no signal has such a value;"
                " expected one of: running, terminated, waiting [error]"
            ),
        ),
        (
            {"ladder": "[{action: set-memory, cap: 0Mi}, {action: escalate}]"},
            "p:13:42: spec.rules[0].ladder[0].cap: every limit is beyond this cap; expected a larger one [error]",
        ),
        (
            {"where": "{workload_kind: [Job, StatefulSet]}"},
            (
                "p:13:25: spec.rules[0].ladder[0].action: rollback is done to a Deployment;"
                " this rule is about: Job, StatefulSet [error]"
            ),
        ),
        (
            {"signal": "node", "where": "{ready: false}"},
            (
                "p:13:25: spec.rules[0].ladder[0].action: rollback is done to a Deployment;"
                " this rule is about: Node [error]"
            ),
        ),
        (
            {"where": "{namespace: [kube-system, kube-public]}"},
            (
                "p:10:26: spec.rules[0].where.namespace: nothing is opened in what is protected:"
                " kube-public or kube-system [error]"
            ),
        ),
        (
            {"where": "{workload_kind: [Job, Pod]}", "ladder": "[{action: restart-pod}, {action: escalate}]"},
            (
                "p:13:25: spec.rules[0].ladder[0].action: no health is told of a Job, Pod, so no cure is proven;"
                " it is told of: DaemonSet, Deployment, Node, StatefulSet [error]"
            ),
        ),
        (
            {"ladder": "[{action: rollback}]"},
            (
                "p:13:16: spec.rules[0].ladder[0]: expected `escalate` as the last rung,"
                " with a message to the person who takes over, and no `when` [warning]"
            ),
        ),
        (
            {"ladder": "[{action: rollback}, {action: escalate, when: ready}]"},
            (
                "p:13:36: spec.rules[0].ladder[1]: expected `escalate` as the last rung,"
                " with a message to the person who takes over, and no `when` [warning]"
            ),
        ),
        (
            {"cooldown": "0s"},
            (
                "p:12:17: spec.rules[0].cooldown: expected a cooldown: without one an action may follow"
                " the last at once, again and again [warning]"
            ),
        ),
    ],
)
def test_what_cannot_be_meant_is_remarked_with_its_place_and_level(words: dict[str, str], remark: str) -> None:
    assert remarks(**words) == [remark]


@pytest.mark.parametrize(
    "words",
    [
        {"where": "{workload_kind: [Deployment, Job]}"},
        {"where": "{state: [dead, waiting]}"},
        {"cooldown": "0s", "rule": "approval"},
        {"cooldown": "0s", "mode": "dry-run"},
        {"signal": "node", "where": "{ready: false}", "mode": "off"},
    ],
)
def test_what_may_be_meant_is_left_alone(words: dict[str, str]) -> None:
    assert remarks(**words) == []


def after(words: str) -> list[str]:
    """Return the remarks on a rule that follows one on all errors of the bank's containers."""
    first = "{name: first, signal: container, where: {reason: Error, namespace: bank}, ladder: [{action: escalate}]}"
    second = f"{{name: second, signal: container, {words}, ladder: [{{action: escalate}}]}}"
    text = TEXT[: TEXT.index("    - name")].format(mode="live") + f"    - {first}\n    - {second}\n"
    return [str(remark) for remark in remarks_on(load_playbook(text, file="p"))]


WHERE = st.dictionaries(
    st.sampled_from(["reason", "namespace", "node"]),
    st.lists(st.sampled_from(["a", "ab", "b", "a*", "*b"]), min_size=1, max_size=3, unique=True),
)


@settings(max_examples=200)
@given(several=st.lists(WHERE, min_size=2, max_size=6))
def test_the_rule_that_comes_first_is_found_however_many_there_are(several: list[dict[str, list[str]]]) -> None:
    rules = [
        {"name": f"r{place}", "signal": "container", "where": where, "ladder": [{"action": "escalate"}]}
        for place, where in enumerate(several)
    ]
    spec = {"apiVersion": "sre-agent.dev/v1alpha1", "kind": "HealingPlaybook", "metadata": {"name": "p"}}
    known = load_playbook(yaml.safe_dump({**spec, "spec": {"rules": rules}}), file="p")
    told = {remark.fault.path: remark.fault.expected for remark in remarks_on(known)}
    for place, rule in enumerate(known.rules.values()):
        first = next((one for one in list(known.rules.values())[:place] if covers(one, rule)), None)
        words = f"by rule '{first.name}' first" if first is not None else ""
        assert words in told.get(f"spec.rules[{place}]", "")
        assert (f"spec.rules[{place}]" in told) == (first is not None)


def covers(wide: Rule, narrow: Rule) -> bool:
    """Tell in the plainest way whether a rule meets all that another one does."""
    return all(
        name in narrow.where
        and all(value in allowed for value in narrow.where[name].exact)
        and all(glob in allowed.globs for glob in narrow.where[name].globs)
        for name, allowed in wide.where.items()
    )


def test_a_rule_that_another_always_comes_before_is_remarked() -> None:
    told = (
        "p:8:7: spec.rules[1]: every such signal opens an incident by rule 'first' first; expected this rule before it"
    )
    assert after("where: {reason: Error, namespace: bank, ready: false}") == [f"{told} [warning]"]


@pytest.mark.parametrize(
    "words",
    [
        "where: {reason: Error}",
        "where: {reason: [Error, OOMKilled], namespace: bank}",
        "where: {reason: 'E*', namespace: bank}",
        "where: {reason: Error, namespace: bank}, by: node",
    ],
)
def test_a_rule_that_sees_more_than_the_one_before_it_is_left_alone(words: str) -> None:
    assert after(words) == []


@pytest.mark.parametrize(
    ("signal", "by", "unended"),
    [
        ("container", "container", ["container"]),
        ("container", "[namespace, reason]", ["reason"]),
        ("container", "[workload, container, reason]", []),
        ("container", "[namespace, node, labels.team]", []),
        ("pod", "phase", ["phase"]),
        ("workload", "reason", ["reason"]),
        ("alert", "[alertname, labels.team]", []),
        ("alert", "summary", ["summary"]),
    ],
)
def test_what_lasts_is_grouped_by_what_its_end_tells_too(signal: str, by: str, unended: list[str]) -> None:
    rule = f"{{name: one, signal: {signal}, for: 5m, by: {by}, ladder: [{{action: escalate}}]}}"
    known = load_playbook(TEXT[: TEXT.index("    - name")].format(mode="live") + f"    - {rule}\n", file="p")
    told = [str(remark) for remark in remarks_on(known)]
    assert [f"does not tell {name!r} as its beginning did" in one for name, one in zip(unended, told, strict=True)] == [
        True for _ in unended
    ]
    counted = load_playbook(known.text.replace("for: 5m, ", ""), file="p")
    assert remarks_on(counted) == []


GRANTS = granted_to("remediator", list(yaml.safe_load_all(ROLES.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("words", "lost", "remark"),
    [
        ({}, Right("apps", "deployments", "patch"), "the remediator may not patch deployments.apps in any namespace"),
        ({"where": "{namespace: shop}"}, None, "the remediator may not get deployments.apps, patch deployments.apps"),
        ({"mode": "off"}, Right("apps", "deployments", "patch"), ""),
        ({"where": "{namespace: bank}"}, None, ""),
        ({"where": "{namespace: 'b*'}"}, None, ""),
    ],
)
def test_an_action_that_no_role_allows_is_remarked(words: dict[str, str], lost: Right | None, remark: str) -> None:
    grants = {place: rights - {lost} for place, rights in GRANTS.items()}
    found = [str(one) for one in remarks_on(playbook(**words), grants=grants)]
    assert [remark in one for one in found] == ([True] if remark else [])


def test_what_is_granted_everywhere_and_for_anything_is_granted() -> None:
    anything = {EVERYWHERE: frozenset({Right("*", "*", "*")})}
    assert remarks_on(playbook(where="{namespace: shop}"), grants=anything) == []


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=300 * 86_400))
def test_a_length_of_time_is_spelled_as_a_playbook_reads_it(seconds: int) -> None:
    spelled = format_duration(timedelta(seconds=seconds))
    read = playbook(cooldown=spelled).rules["one"].words.cooldown
    assert read == timedelta(seconds=seconds)


def test_a_rule_is_told_with_the_modes_that_hold() -> None:
    found = playbook(
        mode="approval",
        where="{reason: [Error, Failed]}",
        window="{count: 3, within: 90s}",
        ladder="[{action: set-memory, cap: 1Gi, attempts: 2}, {action: rollback, mode: dry-run},"
        " {action: escalate, message: Look}]",
    )
    told = rule_in_words(found, found.rules["one"])
    for line in (
        "where: reason is Error or Failed",
        "opens an incident: at 3 such signals within 1m30s, in the signals' own time",
        (
            "step 0: multiply the container's memory limit by 2, up to 1Gi;"
            " approval: previewed, then it waits for a person"
        ),
        "  waits for a person: 30m, then escalates",
        "  attempts: 2, 10s apart at first, twice as long each time",
        (
            "step 1: roll back to the revision before;"
            " dry-run: the API server is asked what would change, and nothing does"
        ),
        "step 2: escalate to a person: Look",
        "then rests: 5m for the workload",
    ):
        assert line in told


def test_what_a_ladder_does_beside_acting_is_told() -> None:
    found = playbook(
        ladder="[{action: notify, message: It crashes, when: restarts > 3}, {action: wait, for: 90s},"
        " {action: escalate, when: exit_code == 137, message: Leak}, {action: escalate}]",
    )
    told = rule_in_words(found, found.rules["one"])
    begin = told.index("step 0: tell people, and go on: It crashes")
    assert told[begin : begin + 7] == [
        "step 0: tell people, and go on: It crashes",
        "  only where: restarts > 3",
        "step 1: wait for 1m30s",
        "  healed by itself: healthy for 30s",
        "step 2: escalate to a person: Leak",
        "  only where: exit_code == 137",
        "step 3: escalate to a person",
    ]


def test_a_playbook_does_not_differ_from_itself() -> None:
    assert differences_between(load_playbook(SHIPPED, file="a"), load_playbook(SHIPPED + "# more\n", file="b")) == []


def test_rules_that_came_went_and_changed_are_told_field_by_field() -> None:
    after = playbook(cooldown="6m", where="{reason: Other}")
    found = [(one.change, one.field, one.before, one.after) for one in differences_between(playbook(), after)]
    assert found == [
        (Change.CHANGED, "where.reason", "Error", "Other"),
        (Change.CHANGED, "cooldown", "300s", "360s"),
    ]
    names = [(one.change, one.rule) for one in differences_between(playbook(), playbook(name="two"))]
    assert names == [(Change.REMOVED, "one"), (Change.ADDED, "two")]


def ordered(*names: str) -> Playbook:
    """Return a playbook of rules in this order; those whose names begin with n are on nodes."""
    rule = "    - {{name: {}, signal: {}, ladder: [{{action: escalate}}]}}\n"
    rules = "".join(rule.format(name, "node" if name.startswith("n") else "container") for name in names)
    return load_playbook(TEXT[: TEXT.index("    - name")].format(mode="live") + rules, file="p")


@pytest.mark.parametrize(
    ("after", "moved"),
    [
        ("a b c n", []),
        ("n a b c", []),
        ("c a b n", [("c", "after a, b", "before a, b")]),
        ("b c n a", [("a", "before b, c", "after b, c")]),
        ("new c b", [("b", "before c", "after c")]),
    ],
)
def test_a_rule_has_moved_where_it_passed_another_that_looks_at_the_same_kind_of_signals(
    after: str, moved: list[tuple[str, str, str]]
) -> None:
    found = differences_between(ordered("a", "b", "c", "n"), ordered(*after.split()))
    told = [(one.rule, one.before, one.after) for one in found if one.change is Change.MOVED]
    assert told == moved


@given(names=st.permutations(["c1", "c2", "c3", "c4", "n1", "n2"]))
def test_all_that_one_signal_meets_in_another_order_is_told(names: list[str]) -> None:
    before = sorted(names)
    found = differences_between(ordered(*before), ordered(*names))
    told = {one.rule: str(one.after) for one in found}
    for place, name in enumerate(before):
        for other in before[place + 1 :]:
            has_passed = names.index(other) < names.index(name) and name[0] == other[0]
            assert has_passed == ((name in told and other in told[name]) or (other in told and name in told[other]))


def labelled(said: str) -> Playbook:
    return load_playbook(playbook().text.replace("spec:", f"spec:\n  protected: {{labels: {said}}}"), file="p")


def test_a_label_that_is_protected_no_more_is_wider_and_one_that_is_by_now_stricter() -> None:
    found = differences_between(labelled("{tier: [db, web]}"), labelled("{tier: web, app: ledger}"))
    assert [(one.change, one.field, one.before, one.after) for one in found] == [
        (Change.WIDER, "spec.protected.labels", "tier=db", None),
        (Change.STRICTER, "spec.protected.labels", None, "app=ledger"),
    ]


def test_protected_labels_are_told_of_each_rule() -> None:
    found = labelled("{tier: [web, db], app: ledger}")
    assert "not what has the label: app=ledger or tier=db or tier=web" in rule_in_words(found, found.rules["one"])
    assert not any("label:" in line for line in rule_in_words(playbook(), playbook().rules["one"]))


@settings(deadline=None)
@given(outer=st.tuples(MODES, MODES), inner=st.tuples(MODES, MODES))
def test_wider_is_said_exactly_where_more_may_be_done(outer: tuple[str, str], inner: tuple[str, str]) -> None:
    before, after = (playbook(mode=f"'{one}'", rule=f"'{two}'") for one, two in zip(outer, inner, strict=True))
    said = {one.field: one.change for one in differences_between(before, after) if one.field.startswith("effective")}
    back = {one.field: one.change for one in differences_between(after, before) if one.field.startswith("effective")}
    one, other = (max(Mode(a).strictness, Mode(b).strictness) for a, b in zip(outer, inner, strict=True))
    assert (said.get("effective mode") is Change.WIDER) == (other < one)
    assert (said.get("effective mode") is Change.STRICTER) == (other > one)
    assert {field: change is Change.WIDER for field, change in said.items()} == {
        field: change is Change.STRICTER for field, change in back.items()
    }
