"""Why something was decided, or nothing, as the topics tell it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pytest

from services.decider.adapters.export_file import ExportArchive
from services.decider.adapters.exporting import export_incident
from services.decider.adapters.inquiring import NameUnknownError, inquire
from services.decider.core.inquiry import Asked, IncidentAccount, SignalAccount
from services.decider.inquiry_words import document_of_incident, lines_of_incident, lines_of_signal
from shared.contracts.codec import Record
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Reason
from shared.contracts.signals import Signal
from shared.contracts.topics import INBOX, SIGNALS_KUBERNETES, Topic
from shared.infra.broker import Archive
from tests.unit.services.decider.core.build import PLAYBOOK, activated, container, event, health
from tests.unit.services.decider.core.histories import RULES
from tests.unit.services.decider.world import World, healed


async def world_of(*signals: Signal, text: str = PLAYBOOK) -> World:
    world = World()
    await world.load(text)
    for number, signal in enumerate(signals):
        await world.tell(signal, seconds=1 + number)
    return world


async def account(world: World, name: str) -> SignalAccount:
    found = await inquire(world.archive, name)
    assert isinstance(found, SignalAccount)
    return found


def asked(found: SignalAccount, rule: str) -> list[Asked]:
    return [one for looked in found.looked if looked.rule == rule for one in looked.asked]


async def test_each_rule_says_what_it_wanted_what_it_found_and_whether_that_is_enough() -> None:
    signal = container(reason="Crash", last_reason="OOMKilled", restarts=0, seconds=1)
    found = await account(await world_of(signal), signal.id)
    assert asked(found, "crash") == [Asked("reason", "CrashLoopBackOff", "'Crash'", False)]
    assert asked(found, "memory") == [
        Asked("last_reason", "OOMKilled", "'OOMKilled'", True),
        Asked("restarts >= 1", "true", "false (restarts = 0)", False),
    ]
    assert found.verdict == "nothing was decided: no rule is met"


async def test_each_part_of_a_condition_is_told_by_itself() -> None:
    text = PLAYBOOK.replace("restarts >= 1\n", 'restarts >= 1 && labels["team"] == "a" && !ready\n', 1)
    signal = container(reason="Crash", last_reason="OOMKilled", restarts=2, seconds=1)
    condition = asked(await account(await world_of(signal, text=text), signal.id), "memory")[1]
    assert [(part.what, part.met) for part in condition.parts] == [
        ("restarts >= 1", True),
        ('labels["team"] == "a"', False),
        ("!ready", True),
    ]
    assert condition.parts[1].found.startswith("cannot be told: ")
    assert (condition.met, condition.found.partition(":")[0]) == (False, "cannot be told")


async def test_what_had_been_counted_is_told_with_the_guard_that_stopped_it() -> None:
    signals = [container(reason="Error", seconds=seconds) for seconds in (1, 90, 100)]
    world = await world_of(*signals)
    first, second = [await account(world, signal.id) for signal in signals[:2]]
    assert [one.signal for one in first.events[0].counted] == [signals[0].id]
    assert [one.signal for one in second.events[0].counted] == [signals[1].id]
    assert "  twice: window-not-reached (1 of 2): the window asks for more" in lines_of_signal(first)
    third = await account(world, signals[2].id)
    assert [one.signal for one in third.events[0].counted] == [signals[1].id, signals[2].id]
    assert third.verdict.startswith("the last decision about it: preview-ordered (inc-")


async def test_what_a_partner_says_and_how_long_something_holds_is_told() -> None:
    scaled, failed = event(id="sig-s", reason="Scaled"), event(id="sig-f", reason="Failed")
    world = await world_of(scaled, failed, container(reason="Hung", seconds=3), text=RULES)
    found = await account(world, "sig-f")
    assert {one.what for one in found.events[0].counted} == {"frontend-1", "partner"}
    hung = await account(world, container(reason="Hung", seconds=3).id)
    assert [one.what for one in hung.events[-1].counted] == ["frontend-1/server holds"]
    partner = await account(world, "sig-s")
    assert partner.verdict.startswith("nothing was decided: what it says beside a rule's trouble was noted")


async def test_what_held_when_time_alone_opened_an_incident_is_told() -> None:
    world = await world_of(container(reason="Hung", seconds=1), text=RULES)
    await world.pass_to(100)
    found = await inquire(world.archive, world.incident.id)
    assert isinstance(found, IncidentAccount)
    opening = found.events[0]
    assert (opening.entry.TYPE, opening.decisions[0].reason) == ("wakeup", Reason.INCIDENT_OPENED)
    assert [one.what for one in opening.counted] == ["frontend-1/server holds"]


async def test_it_is_said_why_nothing_was_decided() -> None:
    text = PLAYBOOK.replace("spec:", "spec:\n  mode: 'off'")
    told = container(seconds=1)
    off = await account(await world_of(told, text=text), told.id)
    assert off.verdict == "the last decision about it: mode-off"
    node = health(healthy=True, seconds=1)
    assert (await account(await world_of(node), node.id)).verdict.endswith("no rule of test looks at workload signals")
    world = await world_of()
    await world.broker.publisher("test").publish(told, topic=SIGNALS_KUBERNETES)
    late = await account(world, told.id)
    assert late.verdict == "met by crash, but not in the inbox: not matched yet, or no longer kept"


async def test_without_a_playbook_no_rule_looked() -> None:
    world = World()
    await world.broker.publisher("test").publish(container(), topic=SIGNALS_KUBERNETES)
    assert (await account(world, container().id)).verdict == "nothing was decided: no playbook was in force"


async def test_a_signal_is_explained_by_the_playbook_that_was_in_force_when_it_was_told() -> None:
    signal = container(reason="Crash", seconds=1)
    world = await world_of(signal)
    await world.load(PLAYBOOK.replace("name: crash", "name: other"), seconds=50)
    found = await account(world, signal.id)
    assert found.playbook is not None
    assert found.playbook.hash == activated(PLAYBOOK).hash


async def test_an_incident_is_explained_from_its_opening_to_its_end_also_from_a_file() -> None:
    world = await healed()
    name = world.incident.id
    found = await inquire(world.archive, name)
    assert isinstance(found, IncidentAccount)
    reasons = [decision.reason for event in found.events for decision in event.decisions]
    assert reasons == [Reason.INCIDENT_OPENED, Reason.ACTION_ORDERED, Reason.ACTION_APPLIED, Reason.VERIFIED]
    lines = list(lines_of_incident(found))
    assert "rule crash: met" in lines
    assert lines[-1] == "it stands at: healed by verified"
    exported = ExportArchive(await export_incident(world.archive, name))
    again = await inquire(exported, name)
    assert isinstance(again, IncidentAccount)
    assert document_of_incident(again) == document_of_incident(found)


async def test_what_a_step_asked_of_the_finding_and_what_it_said_is_told() -> None:
    world = await world_of(container(reason="Slow", restarts=0, seconds=1))
    await world.pass_to(100)
    found = await inquire(world.archive, world.incident.id)
    assert isinstance(found, IncidentAccount)
    asked_by = [[(one.step, one.asked.found, one.asked.met) for one in event.steps] for event in found.events]
    assert asked_by == [
        [],
        [
            (2, "false (restarts = 0)", False),
            (3, "false (restarts = 0)", False),
            (4, "false (restarts = 0)", False),
        ],
    ]
    lines = list(lines_of_incident(found))
    assert lines[lines.index("  asked by step 3:") + 1] == "    restarts >= 2: false (restarts = 0)"
    entries = document_of_incident(found)["entries"]
    assert isinstance(entries, list)
    assert isinstance(entries[1], dict)
    assert entries[1]["steps"] == [
        {
            "step": step,
            "asked": {"what": what, "wanted": "true", "found": "false (restarts = 0)", "met": False, "parts": []},
        }
        for step, what in [(2, "restarts >= 1"), (3, "restarts >= 2"), (4, "restarts == 1")]
    ]


async def test_a_step_that_was_taken_says_what_it_asked_and_one_that_a_person_allowed_is_not_asked_again() -> None:
    text = PLAYBOOK.replace("cap: 512Mi,", "cap: 512Mi, when: restarts >= 2,")
    world = await world_of(container(reason="Crash", last_reason="OOMKilled", restarts=3, seconds=1), text=text)
    await world.answer(seconds=2, outcome=Outcome.DRY_RUN)
    await world.approve(seconds=3)
    found = await inquire(world.archive, world.incident.id)
    assert isinstance(found, IncidentAccount)
    told = {one.reason: event.steps for event in found.events for one in event.decisions}
    assert [one.asked for one in told[Reason.PREVIEW_ORDERED]] == [
        Asked("restarts >= 2", "true", "true (restarts = 3)", True)
    ]
    assert told[Reason.ACTION_ORDERED] == []


async def test_a_finding_is_asked_about_by_its_own_id_and_by_its_signals() -> None:
    signal = container(seconds=1)
    world = await world_of(signal)
    cause = world.decisions[0].cause
    assert (await account(world, cause)).signal == signal


@dataclass
class Watched:
    """An archive that counts how often the inbox is read."""

    archive: Archive
    inbox_read: int = 0

    def read(self, topic: Topic, *, start: Mapping[int, int] | None = None) -> AsyncGenerator[Record]:
        self.inbox_read += topic == INBOX
        return self.archive.read(topic, start=start)

    async def read_one(self, topic: Topic, *, partition: int, offset: int) -> Record | None:
        return await self.archive.read_one(topic, partition=partition, offset=offset)

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        return await self.archive.end_offsets(topic)


async def test_the_inbox_is_read_once_and_once_more_for_a_signal_that_only_the_inbox_names() -> None:
    world = await healed()
    cause = world.decisions[0].cause
    signal = await account(world, cause)
    for name, times in [(signal.signal.id, 1), ("sig-0", 1), (cause, 2), (world.incident.id, 2)]:
        watched = Watched(world.archive)
        with suppress(NameUnknownError):
            await inquire(watched, name)
        assert watched.inbox_read == times, name


async def test_what_is_not_on_the_topics_is_said_to_be_unknown() -> None:
    world = await healed()
    with pytest.raises(NameUnknownError, match="nothing of the id 'sig-0' is on the topics; expected the id of a"):
        await inquire(world.archive, "sig-0")
