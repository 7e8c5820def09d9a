"""An incident exported from the topics: all that concerns its workload, and enough to decide it again elsewhere."""

from collections import Counter
from datetime import timedelta

import pytest

from services.decider.adapters.export_file import ExportArchive
from services.decider.adapters.exporting import IncidentUnknownError, export_incident
from services.decider.adapters.rehearsing import rehearse_topics
from services.decider.adapters.replaying import differences, replay_inbox
from services.decider.core.announcing import in_force
from services.decider.core.divergence import Change
from services.decider.core.exports import Export
from services.decider.core.playbook import load_playbook
from shared.contracts.codec import Record
from shared.contracts.incidents import Incident
from shared.contracts.topics import (
    COMMANDS,
    DECISIONS,
    EVIDENCE,
    INBOX,
    INCIDENTS,
    PLAYBOOKS,
    RCA_REQUESTS,
    SIGNALS_KUBERNETES,
    Topic,
)
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import FRONTEND, PLAYBOOK, activated, container, pause
from tests.unit.services.decider.world import World, healed

OTHER = WorkloadRef(kind="Deployment", namespace="bank", name="other-6")


async def busy() -> World:
    """Return a world in which another workload, in the same partition, has trouble as well."""
    world = World()
    await world.load()
    signal = container(seconds=0, reason="CrashLoopBackOff").model_copy(update={"workload": OTHER, "id": "sig-other"})
    await world.tell(signal, seconds=0)
    await healed(world, begin=1)
    await world.broker.publisher("api").broadcast(pause(60), topic=INBOX)
    return world


async def again(export: Export) -> list[str]:
    archive = ExportArchive(export)
    return await differences(archive, await replay_inbox(archive), looks=0)


async def test_all_that_concerns_the_workload_is_in_the_file_and_nothing_of_others() -> None:
    world = await busy()
    export = await export_incident(world.archive, world.incident.id)
    counts = Counter(record.topic for record in export.records)
    assert counts == {
        SIGNALS_KUBERNETES.name: 3,
        INBOX.name: 7,
        DECISIONS.name: 4,
        COMMANDS.name: 1,
        EVIDENCE.name: 1,
        INCIDENTS.name: 4,
        RCA_REQUESTS.name: 1,
    }
    assert not any(b"other-6" in (record.value or b"") for record in export.records)
    assert (export.header.workload, export.header.redactions) == (FRONTEND.key, 2)


async def test_it_is_decided_again_byte_for_byte_from_the_file_alone() -> None:
    world = await busy()
    export = await export_incident(world.archive, world.incident.id)
    assert await again(export) == []


@pytest.mark.parametrize("topic", [DECISIONS, COMMANDS, INCIDENTS], ids=lambda topic: topic.name)
async def test_an_output_that_is_not_what_is_decided_again_is_told(topic: Topic) -> None:
    world = await busy()
    export = await export_incident(world.archive, world.incident.id)
    changed = [_changed(record) if record.topic == topic.name else record for record in export.records]
    assert await again(Export(export.header, changed)) != []


def _changed(record: Record) -> Record:
    return record._replace(value=(record.value or b"").replace(b'"crash"', b'"other"'))


async def test_an_incident_that_no_topic_knows_is_an_error() -> None:
    with pytest.raises(IncidentUnknownError, match=r"no incident 'inc-0' is on sre\.incidents"):
        await export_incident((await healed()).archive, "inc-0")


async def test_a_finding_is_held_against_its_own_signal_where_the_topic_has_lost_it() -> None:
    world = await busy()
    export = await export_incident(world.archive, world.incident.id)
    without = [record for record in export.records if record.topic != SIGNALS_KUBERNETES.name]
    assert await again(Export(export.header, without)) == []
    told = [
        record._replace(value=(record.value or b"").replace(b'"rule":"crash"', b'"rule":"twice"')) for record in without
    ]
    assert any("matched again, do not give it" in line for line in await again(Export(export.header, told)))


async def test_a_signal_that_is_told_again_with_a_later_moment_is_no_difference() -> None:
    world = World()
    await world.load()
    first = container(seconds=0, reason="CrashLoopBackOff")
    await world.tell(first, seconds=0)
    later = first.model_copy(update={"at": first.at + timedelta(seconds=9)})
    await world.broker.publisher("collector").publish(later, topic=SIGNALS_KUBERNETES)  # not matched yet
    replay = await replay_inbox(world.archive)
    told = [record.value async for record in world.archive.read(SIGNALS_KUBERNETES)]
    assert (len(set(told)), len(replay.findings)) == (2, 1)
    assert await differences(world.archive, replay, looks=0) == []


async def test_of_a_group_the_signals_are_there_by_which_it_was_found() -> None:
    world = World()
    await world.load(PLAYBOOK + "    - {name: more, signal: container, by: node, ladder: [{action: escalate}]}\n")
    await world.tell(container(seconds=1, reason="Other", node="node-1"), seconds=1)
    await world.tell(container(seconds=2, reason="Other"), seconds=2)
    incident = next(one for one in world.made if isinstance(one, Incident))
    export = await export_incident(world.archive, incident.id)
    assert export.header.workload == "-/Node/node-1"
    assert [dict(record.headers)["ce_id"] for record in export.of(SIGNALS_KUBERNETES.name)] == [
        b"sig-frontend-1-Other-1"
    ]
    assert await again(export) == []


async def test_a_log_whose_beginning_is_lost_is_decided_again_by_the_playbook_that_is_still_in_force() -> None:
    world = await busy()
    told = in_force(load_playbook(PLAYBOOK, file="test"), activated())
    await world.broker.publisher("decider").publish(told, topic=PLAYBOOKS)
    for partition in range(INBOX.partitions):
        del world.broker.log(INBOX.name, partition)[0]
    assert await differences(world.archive, await replay_inbox(world.archive), looks=0) == []
    same = await rehearse_topics(world.archive, load_playbook(PLAYBOOK + "# the same\n", file="test"))
    assert same.parting.decisions == []
    other = load_playbook(PLAYBOOK.replace("spec:", "spec:\n  mode: 'off'"), file="test")
    assert (await rehearse_topics(world.archive, other)).parting.decisions[0].change is Change.LOST
    export = await export_incident(world.archive, world.incident.id)
    assert export.header.begins == 1
    assert await again(export) == []
