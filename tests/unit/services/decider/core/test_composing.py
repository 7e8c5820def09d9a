"""Several files as one playbook: what they come to, what an included one may not loosen, and what stays as it was."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.decider.core.faults import PlaybookError
from services.decider.core.filling import Filling
from services.decider.core.including import Files, IncludeError, files_of, name_from
from services.decider.core.ladder import mode_of
from services.decider.core.language import EscalateRung
from services.decider.core.linting import remarks_on
from services.decider.core.parameters import Arguments
from services.decider.core.playbook import Playbook, compile_playbook, hash_of, load_playbook
from services.decider.core.source import read_source
from services.decider.core.writing import written
from shared.contracts.actions import RestartPodRung
from shared.contracts.incidents import Mode
from shared.contracts.model import JsonValue
from tests.unit.services.decider.core.build import PLAYBOOK

HEAD = "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: test}\nspec:\n"
MODES = st.sampled_from([mode.value for mode in Mode])
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.floats(allow_nan=False), st.text())
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def spec(**sections: str) -> str:
    return HEAD + "".join(f"  {name}: {words}\n" for name, words in sections.items())


def rule(name: str, **words: str) -> str:
    said = {"name": name, "signal": "container", "ladder": "[{action: restart-pod}, {action: escalate}]", **words}
    return "{" + ", ".join(f"{key}: {value}" for key, value in said.items()) + "}"


def composed(files: Mapping[str, str]) -> Playbook:
    names = list(files)
    known: Files = files_of(files[names[0]], file=names[0])
    while wanted := known.wanted():
        for name in wanted:
            known = known.given(name, files[name])
    return compile_playbook(known)


def with_parameters(parameters: str, **words: str) -> Playbook:
    return composed({"a.yaml": spec(parameters=parameters, rules=f"[{rule('one', **words)}]")})


def test_included_rules_come_first_in_the_order_of_their_mention() -> None:
    playbook = composed(
        {
            "top.yaml": spec(rules=f"[{rule('own')}]", include="[b.yaml, sub/a.yaml]"),
            "b.yaml": spec(rules=f"[{rule('b1')}, {rule('b2')}]"),
            "sub/a.yaml": spec(include="[c.yaml]", rules=f"[{rule('a')}]"),
            "sub/c.yaml": spec(rules=f"[{rule('c')}]"),
        }
    )
    assert list(playbook.rules) == ["b1", "b2", "c", "a", "own"]
    assert playbook.files == ("top.yaml", "b.yaml", "sub/a.yaml", "sub/c.yaml")


def test_the_text_of_a_composed_playbook_stands_alone_and_means_the_same() -> None:
    playbook = composed(
        {
            "top.yaml": spec(
                include="[{file: b.yaml, with: {most: 5, who: 'a $${b}'}}]", protected="{namespaces: [x]}"
            ),
            "b.yaml": spec(
                mode="approval",
                parameters="{most: {default: 1}, who: {default: ana}}",
                ladders="{ask: [{action: escalate, message: 'ask ${who}'}]}",
                rules="[" + rule("b", ladder="ask", when="'restarts > ${most} && message != ${who}'") + "]",
            ),
        }
    )
    alone = load_playbook(playbook.text, file="alone")
    assert (alone.words, alone.hash, alone.text) == (playbook.words, playbook.hash, playbook.text)
    assert alone.rules["b"].words.when == 'restarts > 5 && message != "a ${b}"'
    assert alone.rules["b"].words.ladder == (
        EscalateRung(action="escalate", message="ask a ${{b}}"),
    )  # no name of a fact


def test_a_single_file_keeps_its_text_and_its_hash() -> None:
    playbook = load_playbook(PLAYBOOK, file="p")
    assert (playbook.text, playbook.hash) == (PLAYBOOK, hash_of(PLAYBOOK))
    dollars = PLAYBOOK.replace("- action: escalate", "- {action: escalate, message: costs $$5 or $5}")
    playbook = load_playbook(dollars, file="p")
    assert playbook.text == dollars
    assert playbook.rules["crash"].words.ladder[2] == EscalateRung(action="escalate", message="costs $5 or $5")


@settings(deadline=None)
@given(MODES, MODES, MODES, MODES)
def test_an_included_file_can_only_make_a_rule_stricter(top: str, middle: str, inner: str, own: str) -> None:
    playbook = composed(
        {
            "top.yaml": spec(mode=f"'{top}'", include="[middle.yaml]"),
            "middle.yaml": spec(mode=f"'{middle}'", include="[inner.yaml]"),
            "inner.yaml": spec(mode=f"'{inner}'", rules=f"[{rule('one', mode=repr(own))}]"),
        }
    )
    strictness = max(Mode(mode).strictness for mode in (top, middle, inner, own))
    assert mode_of(playbook, playbook.rules["one"]).strictness == strictness


def test_what_an_included_file_says_of_itself_does_not_touch_other_rules() -> None:
    playbook = composed(
        {
            "top.yaml": spec(include="[b.yaml]", rules=f"[{rule('a')}]"),
            "b.yaml": spec(mode="'off'", rules=f"[{rule('b')}]"),
        }
    )
    assert mode_of(playbook, playbook.rules["a"]) is Mode.LIVE
    assert mode_of(playbook, playbook.rules["b"]) is Mode.OFF


@pytest.mark.parametrize(
    ("top", "included", "expected"),
    [
        ({}, {}, {"kube-system", "kube-public", "kube-node-lease"}),
        ({}, {"protected": "{namespaces: [bank]}"}, {"kube-system", "kube-public", "kube-node-lease", "bank"}),
        ({"protected": "{namespaces: [x]}"}, {"protected": "{namespaces: [bank, x]}"}, {"x", "bank"}),
        ({"protected": "{namespaces: [x]}"}, {}, {"x"}),
        ({"protected": "{namespaces: []}"}, {"protected": "{namespaces: [bank]}"}, {"bank"}),
    ],
)
def test_what_included_files_protect_is_added(
    top: dict[str, str], included: dict[str, str], expected: set[str]
) -> None:
    playbook = composed(
        {"top.yaml": spec(include="[b.yaml]", **top), "b.yaml": spec(rules=f"[{rule('b')}]", **included)}
    )
    assert playbook.words.spec.protected.namespaces == expected


@pytest.mark.parametrize(
    ("top", "included", "expected"),
    [
        ("", "", {}),
        ("{tier: db}", "", {"tier": {"db"}}),
        ("", "{tier: [db, cache]}", {"tier": {"db", "cache"}}),
        ("{tier: db}", "{tier: [cache, db], app: ledger}", {"tier": {"db", "cache"}, "app": {"ledger"}}),
    ],
)
def test_the_labels_that_included_files_protect_are_added(
    top: str, included: str, expected: dict[str, set[str]]
) -> None:
    above, below = ({"protected": f"{{labels: {said}}}"} if said else {} for said in (top, included))
    playbook = composed(
        {"top.yaml": spec(include="[b.yaml]", **above), "b.yaml": spec(rules=f"[{rule('b')}]", **below)}
    )
    protected = playbook.words.spec.protected
    assert protected.labels == expected
    assert protected.namespaces == {"kube-system", "kube-public", "kube-node-lease"}


WINDOW = "[{{name: {name}, schedule: '{schedule}', duration: 2h}}]"


def test_the_maintenance_windows_of_included_files_hold_once_however_often_they_are_included() -> None:
    nightly = WINDOW.format(name="nightly", schedule="0 2 * * *")
    playbook = composed(
        {
            "a.yaml": spec(
                include="[b.yaml, c.yaml, b.yaml]",
                maintenance=WINDOW.format(name="weekly", schedule="0 2 * * SAT"),
                rules=f"[{rule('one')}]",
            ),
            "b.yaml": spec(maintenance=nightly),
            "c.yaml": spec(maintenance=WINDOW.format(name="early", schedule="0 1 * * *"), rules=f"[{rule('two')}]"),
        }
    )
    assert [one.name for one in playbook.words.spec.maintenance] == ["weekly", "nightly", "early"]


def test_two_files_may_not_mean_different_maintenance_windows_by_one_name() -> None:
    with pytest.raises(PlaybookError) as refused:
        composed(
            {
                "a.yaml": spec(include="[b.yaml]", maintenance=WINDOW.format(name="x", schedule="0 2 * * *")),
                "b.yaml": spec(maintenance=WINDOW.format(name="x", schedule="0 3 * * *"), rules=f"[{rule('one')}]"),
            }
        )
    assert str(refused.value).startswith(
        "b.yaml:5:24: spec.maintenance[0].name: maintenance window name 'x' is used twice; expected unique names"
        " (the other one stands at a.yaml:6:24)"
    )


def test_a_file_is_included_again_with_other_values_under_other_names() -> None:
    playbook = composed(
        {
            "top.yaml": spec(include="[{file: b.yaml, with: {who: x}}, {file: b.yaml, with: {who: y}}]"),
            "b.yaml": spec(parameters="{who: {default: z}}", rules="[" + rule("'one-${who}'") + "]"),
        }
    )
    assert list(playbook.rules) == ["one-x", "one-y"]


def test_ladders_are_known_to_the_file_and_to_those_that_include_it() -> None:
    playbook = composed(
        {
            "top.yaml": spec(include="[b.yaml]", rules=f"[{rule('a', ladder='ask')}]"),
            "b.yaml": spec(ladders="{ask: [{action: escalate}], restart: [{action: restart-pod}]}"),
        }
    )
    assert playbook.rules["a"].words.ladder == (EscalateRung(action="escalate"),)
    with pytest.raises(PlaybookError, match="there is no ladder 'own'"):
        composed(
            {
                "top.yaml": spec(include="[b.yaml]", ladders="{own: [{action: escalate}]}"),
                "b.yaml": spec(rules=f"[{rule('b', ladder='own')}]"),
            }
        )


def test_a_value_that_is_nothing_but_a_parameter_keeps_its_type() -> None:
    playbook = with_parameters(
        "{reasons: {default: [Error, OOMKilled]}, count: {default: 3}, time: {default: 10m}, ready: {default: false}}",
        where='{reason: "${reasons}", ready: "${ready}"}',
        window='{count: "${count}", within: "${time}"}',
    )
    words = playbook.rules["one"].words
    assert words.where == {"reason": ["Error", "OOMKilled"], "ready": False}
    assert (words.window.count, words.window.within) == (3, timedelta(minutes=10))


def test_within_a_text_a_parameter_is_written_as_in_yaml() -> None:
    playbook = with_parameters(
        "{count: {default: 3}, share: {default: 0.5}, yes: {default: true}, who: {default: Ana}}",
        description='"${count} ${share} ${yes} ${who}, $$, $1 and $${who}"',
    )
    assert playbook.rules["one"].words.description == "3 0.5 true Ana, $, $1 and ${who}"


@pytest.mark.parametrize(
    ("default", "condition", "compiled"),
    [
        ("3", "restarts >= ${p}", "restarts >= 3"),
        ("[1, 2]", "exit_code in ${p}", "exit_code in [1, 2]"),
        ("true", "ready == ${p}", "ready == true"),
        ("Error", "reason == ${p}", 'reason == "Error"'),
        ("'x\" || true || \"'", "reason == ${p}", 'reason == "x\\" || true || \\""'),
        ("'é\\n'", "reason == ${p}", 'reason == "é\\\\n"'),
        ("a", 'reason == "$$" + ${p}', 'reason == "$" + "a"'),
        ("a", "reason == r'\\\\' + ${p}", "reason == r'\\\\' + \"a\""),
    ],
)
def test_in_a_condition_a_parameter_is_always_one_literal(default: str, condition: str, compiled: str) -> None:
    quoted = '"' + condition.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert with_parameters(f"{{p: {{default: {default}}}}}", when=quoted).rules["one"].words.when == compiled


@settings(deadline=None)
@given(st.text())
def test_no_text_can_be_more_than_a_text_in_a_condition(text: str) -> None:
    top = spec(include="[b.yaml]").replace("[b.yaml]", written([{"file": "b.yaml", "with": {"p": text}}]).strip())
    one = rule("one", when="'reason == ${p}'")
    try:
        playbook = composed({"a.yaml": top, "b.yaml": spec(parameters="{p: {default: x}}", rules=f"[{one}]")})
    except PlaybookError:
        return  # what YAML or CEL cannot say is refused
    condition = playbook.rules["one"].condition
    assert condition is not None
    assert condition.text.startswith('reason == "')
    assert load_playbook(playbook.text, file="p").words == playbook.words


@settings(deadline=None)
@given(VALUES)
def test_what_is_written_reads_the_same(value: JsonValue) -> None:
    source = read_source(written({"spec": value}), file="p")
    assert Filling().filled(source, Arguments({})).value == {"spec": value}


def test_parameters_and_ladders_that_nothing_uses_are_remarked() -> None:
    playbook = composed(
        {
            "a.yaml": spec(
                include="[{file: b.yaml, with: {p: 2}}]",
                parameters="{mine: {default: 1}}",
                ladders="{never: [{action: restart-pod}]}",
                rules=f"[{rule('one')}]",
            ),
            "b.yaml": spec(parameters="{p: {default: 1}}", ladders="{spare: [{action: escalate}]}"),
        }
    )
    assert [str(remark) for remark in remarks_on(playbook)] == [
        "a.yaml:6:16: spec.parameters.mine: nothing says ${mine}; expected a parameter to be used [warning]",
        "a.yaml:7:13: spec.ladders.never: no rule takes the ladder 'never' [warning]",
        "b.yaml:5:16: spec.parameters.p: nothing says ${p}; expected a parameter to be used [warning]",
    ]


def test_a_remark_points_at_the_file_whose_words_it_is_about() -> None:
    playbook = composed(
        {
            "a.yaml": spec(include="[b.yaml]"),
            "b.yaml": spec(ladders="{l: [{action: restart-pod}]}", rules=f"[{rule('b', ladder='l')}]"),
        }
    )
    assert [str(remark).split(": ")[0] for remark in remarks_on(playbook)] == ["b.yaml:5:17"]


@pytest.mark.parametrize(
    ("within", "word", "name"),
    [
        ("a.yaml", "b.yaml", "b.yaml"),
        ("sub/a.yaml", "b.yaml", "sub/b.yaml"),
        ("sub/a.yaml", "../b.yaml", "b.yaml"),
        ("a.yaml", "./sub//b.yml", "sub/b.yml"),
        ("a.yaml", "..data/b.yaml", "..data/b.yaml"),
    ],
)
def test_a_file_is_named_from_where_the_including_one_lies(within: str, word: str, name: str) -> None:
    assert name_from(within, word) == name


@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "b.yaml", "~", "\\"]), max_size=6),
    st.sampled_from(["a.yaml", "s/a.yaml"]),
)
def test_no_name_leads_out_of_the_folder(parts: list[str], within: str) -> None:
    try:
        name = name_from(within, "/".join([*parts, "c.yaml"]))
    except IncludeError:
        return
    assert not name.startswith("/")
    assert ".." not in name.split("/")


def test_a_restart_is_a_restart_wherever_its_ladder_stands() -> None:
    playbook = composed(
        {"a.yaml": spec(ladders="{l: [{action: restart-pod}, {action: escalate}]}", rules=f"[{rule('a', ladder='l')}]")}
    )
    assert isinstance(playbook.rules["a"].words.ladder[0], RestartPodRung)
