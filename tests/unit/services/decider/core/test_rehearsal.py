"""What another playbook would have done: what was done, where it says the same; else nothing that is made up."""

from collections.abc import Sequence

from hypothesis import given

from services.decider.adapters.rehearsing import Rehearsed, rehearse_topics
from services.decider.core.divergence import Change, Divergence, Parting, parting_of
from services.decider.core.matching import index_rules
from services.decider.core.placing import Logged, slots_of
from services.decider.core.playbook import load_playbook
from services.decider.core.rehearsal import rehearse
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    at,
    container,
    finding,
    health,
    manual,
)
from tests.unit.services.decider.core.histories import RULES, Kind, Move, moves, told
from tests.unit.services.decider.world import World, healed

APPROVING = PLAYBOOK.replace("- action: restart-pod\n", "- action: restart-pod\n          mode: approval\n")
MORE = PLAYBOOK + "    - {name: more, signal: container, ladder: [{action: escalate}]}\n"
FIRST = PLAYBOOK.replace(
    "  rules:\n", "  rules:\n    - {name: more, signal: container, ladder: [{action: escalate}]}\n"
)


def parting(story: History, text: str = PLAYBOOK) -> Parting:
    """Return how a playbook's course parts from a history's, whose signals are known by their findings alone."""
    playbook = load_playbook(text, file="test")
    log = [Logged(offset, moment, entry) for offset, (entry, moment) in enumerate(story.inbox)]
    slots = slots_of({0: log}, [], rules=index_rules(playbook), playbook=playbook)
    return parting_of([rehearse(slots[0], until=log[-1].moment)])


async def rehearsed(world: World, text: str) -> Rehearsed:
    return await rehearse_topics(world.archive, load_playbook(text, file="test"))


def words(differences: Sequence[Divergence]) -> list[tuple[str, str, str, bool]]:
    return [
        (
            one.change.value,
            one.before.decision.reason.value if one.before else "",
            one.after.decision.reason.value if one.after else "",
            one.follows,
        )
        for one in differences
    ]


COUNTED = {
    Kind.HUNG,
    Kind.HUNG_NO_MORE,
    Kind.KILLING,
    Kind.STARTED,
    Kind.SCALED,
    Kind.FAILED,
    Kind.LEAK,
    Kind.ERRORS,
    Kind.SAMPLE,
}
PLAIN = {Kind.CRASH, Kind.MEMORY, Kind.ERROR, Kind.SLOW, Kind.LEAK, Kind.ERRORS}
"""What is told by hand, one entry a signal, where those rules would tell more of it."""


@given(moves(without={Kind.PLAYBOOK, *COUNTED}))
def test_the_same_playbook_does_the_same_in_every_history(steps: list[Move]) -> None:
    found = parting(told(steps, PLAYBOOK))
    assert (found.decisions, found.incidents) == ([], [])


@given(moves(without={Kind.PLAYBOOK, *PLAIN}))
def test_the_same_playbook_does_the_same_also_where_rules_ask_for_time_and_partners(steps: list[Move]) -> None:
    found = parting(told(steps, RULES), RULES)
    assert (found.decisions, found.incidents) == ([], [])


@given(moves(without={Kind.PLAYBOOK, *COUNTED}))
def test_what_another_playbook_would_have_done_is_the_same_each_time(steps: list[Move]) -> None:
    story = told(steps, PLAYBOOK)
    assert parting(story, APPROVING) == parting(story, APPROVING)


@given(moves(without={Kind.PLAYBOOK}))
def test_a_playbook_that_is_off_would_have_ordered_nothing_but_what_people_ask_for(steps: list[Move]) -> None:
    off = RULES.replace("spec:", "spec:\n  mode: 'off'")
    supposed = [one.after for one in parting(told(steps), off).decisions if one.after]
    assert all(one.action is None or one.decision.rule == "manual" for one in supposed)


async def test_the_same_playbook_does_the_same_also_where_wake_ups_came_late() -> None:
    world = await healed()
    await world.tell(container(seconds=1_000, reason="Error"), seconds=1_000)
    await world.tell(container(seconds=1_010, reason="Error"), seconds=1_010)
    await world.pass_to(2_000)
    found = await rehearsed(world, PLAYBOOK)
    assert (found.parting.decisions, found.parting.incidents) == ([], [])


async def test_a_comment_changes_the_hash_and_no_decision() -> None:
    assert (await rehearsed(await healed(), PLAYBOOK + "# more words\n")).parting.decisions == []


async def test_results_count_where_the_same_incident_came_to_the_same_action() -> None:
    found = await rehearsed(await healed(), PLAYBOOK.replace("healthy_for: 30s", "healthy_for: 20s"))
    assert words(found.parting.decisions) == [("changed", "verified", "verified", False)]
    assert [(one.change, one.unknown) for one in found.parting.incidents] == [(Change.CHANGED, False)]


async def test_what_a_person_would_have_said_is_not_made_up() -> None:
    world = await healed()
    await world.pass_to(5_000)
    await world.tell(health(healthy=True, seconds=5_000), seconds=5_000)
    found = await rehearsed(world, APPROVING)
    assert words(found.parting.decisions) == [
        ("changed", "action-ordered", "preview-ordered", False),
        ("lost", "action-applied", "", True),
        ("lost", "verified", "", True),
    ]
    assert [(one.change, one.unknown) for one in found.parting.incidents] == [(Change.CHANGED, True)]


async def test_an_approval_counts_for_what_was_shown_and_for_nothing_else() -> None:
    world = World()
    await world.load(APPROVING)
    await world.tell(container(seconds=1), seconds=1)
    await world.answer(seconds=2, outcome=Outcome.DRY_RUN)
    await world.approve(seconds=3)
    await world.answer(seconds=4)
    assert (await rehearsed(world, APPROVING + "# the same\n")).parting.decisions == []
    found = await rehearsed(world, APPROVING.replace("- action: restart-pod\n", "- action: rollback\n"))
    assert words(found.parting.decisions)[0] == ("changed", "preview-ordered", "preview-ordered", False)
    assert [one.after for one in found.parting.decisions[1:]] == [None] * 4


async def test_a_rule_that_is_added_only_adds() -> None:
    found = await rehearsed(await healed(), MORE)
    assert words(found.parting.decisions) == [("added", "", "incident-already-open", False)]
    assert found.parting.incidents == []


async def test_a_rule_that_is_added_before_another_opens_first() -> None:
    found = await rehearsed(await healed(), FIRST)
    assert [one.rule for one in found.parting.decisions if one.after] == ["more", "more", "crash"]
    assert [(one.change, one.incident[1]) for one in found.parting.incidents] == [
        (Change.LOST, "crash"),
        (Change.ADDED, "more"),
    ]


async def test_a_signal_that_met_no_rule_is_matched_where_it_was_written() -> None:
    world = World()
    await world.load()
    await world.tell(container(seconds=10, reason="Other"), seconds=10)
    await world.tell(container(seconds=20, reason="Other"), seconds=20)
    found = await rehearsed(world, MORE)
    assert [(one.after and one.after.decision.reason, one.at) for one in found.parting.decisions] == [
        (Reason.INCIDENT_OPENED, container(seconds=10).at),
        (Reason.ESCALATED, container(seconds=10).at),
        (Reason.COOLDOWN, container(seconds=20).at),
    ]


async def test_a_signal_that_is_told_again_is_found_again() -> None:
    world = World()
    await world.load()
    for seconds in (10, 400):
        await world.tell(container(seconds=10, reason="Other"), seconds=seconds)
    found = await rehearsed(world, MORE)
    assert [one.after and one.after.decision.reason for one in found.parting.decisions][-1] is Reason.STALE_FINDING


async def test_of_a_workload_all_follows_after_the_first_command_that_one_course_has_alone() -> None:
    world = await healed()
    await healed(world, begin=1_000, pod="frontend-2")
    found = await rehearsed(world, PLAYBOOK.replace("  rules:", "  mode: 'off'\n  rules:"))
    by_incident = [one for one in found.parting.decisions if one.before and one.at.minute == 16]
    assert all(one.follows for one in by_incident)
    assert not found.parting.decisions[0].follows


def test_a_persons_own_action_is_the_same_under_any_playbook() -> None:
    story = History()
    story.take(activated(), seconds=-1)
    story.take(manual(seconds=1), seconds=1)
    assert parting(story, APPROVING).decisions == []


def test_a_log_whose_beginning_is_lost_is_decided_from_its_first_activation_on() -> None:
    story = History()
    story.take(finding(seconds=1), seconds=1)
    story.take(activated(), seconds=2)
    story.take(finding(seconds=3), seconds=3)
    assert parting(story).decisions == []


async def test_what_nobody_answered_in_time_is_known_where_it_was_asked_live() -> None:
    world = World()
    await world.load(APPROVING)
    await world.tell(container(seconds=1), seconds=1)
    await world.answer(seconds=2, outcome=Outcome.DRY_RUN)
    await world.pass_to(4_000)
    await world.tell(health(healthy=True, seconds=4_000), seconds=4_000)
    sooner = APPROVING.replace("mode: approval\n", "mode: approval\n          approval: {expires: 10m}\n")
    found = await rehearsed(world, sooner)
    assert words(found.parting.decisions) == [("changed", "approval-expired", "approval-expired", False)]
    assert [one.unknown for one in found.parting.incidents] == [False]


async def test_a_result_of_another_action_does_not_count() -> None:
    other = PLAYBOOK.replace(
        "- action: restart-pod\n          attempts: 2\n          backoff: 10s\n", "- action: rollback\n"
    )
    found = await rehearsed(await healed(), other)
    assert words(found.parting.decisions)[0] == ("changed", "action-ordered", "action-ordered", False)
    assert [one.after for one in found.parting.decisions[1:]] == [None, None]
    assert [one.unknown for one in found.parting.incidents] == [True]


BY_NODE = PLAYBOOK + "    - {name: more, signal: container, by: node, ladder: [{action: escalate}]}\n"


async def test_a_rule_that_groups_finds_about_its_group_when_the_signal_was_told() -> None:
    world = World()
    await world.load()
    for seconds in (10, 500):
        await world.tell(container(seconds=seconds, reason="Other", node="node-1"), seconds=seconds)
    found = await rehearsed(world, BY_NODE)
    opened = [(one.workload, one.at) for one in found.parting.decisions if _opens(one)]
    assert opened == [("-/Node/node-1", at(10)), ("-/Node/node-1", at(500))]
    grouped = World()
    await grouped.load(BY_NODE)
    await grouped.tell(container(seconds=10, node="node-1"), seconds=10)
    await grouped.pass_to(300)
    assert (await rehearsed(grouped, BY_NODE)).parting.decisions == []


def _opens(one: Divergence) -> bool:
    return one.after is not None and one.after.decision.reason is Reason.INCIDENT_OPENED


async def test_an_incident_that_time_alone_opened_is_known_by_what_it_is_about() -> None:
    world = World()
    await world.load(RULES)
    await world.tell(container(seconds=1, reason="Hung"), seconds=1)
    await world.tell(container(seconds=500, reason="Hung"), seconds=500)
    await world.pass_to(1_000)
    assert (await rehearsed(world, RULES)).parting.decisions == []
    found = await rehearsed(world, RULES.replace("for: 60s", "for: 120s"))
    first = found.parting.incidents[0]
    assert (first.change, first.incident[2]) == (Change.CHANGED, "hung on sig-frontend-1-Hung-1")
