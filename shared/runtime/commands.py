"""The part of the CLI that every installation has: the topics."""

import asyncio
from typing import Annotated

import typer

from shared.contracts.topics import TOPICS
from shared.infra.kafka import create_topics

app = typer.Typer(no_args_is_help=True)
topics_app = typer.Typer(no_args_is_help=True, help="Work on topics.")
app.add_typer(topics_app, name="topics")


@topics_app.command("create")
def create(
    *,
    bootstrap: Annotated[
        str, typer.Option("--bootstrap", envvar="SRE_KAFKA_BOOTSTRAP", help="The broker, host:port.")
    ] = "127.0.0.1:9092",
    replicas: Annotated[
        int | None,
        typer.Option(min=1, help="Copies of each partition; unless told, as many as there are brokers, 3 at the most."),
    ] = None,
) -> None:
    """Create the declared topics that are not there, and check the partitions of those that are."""
    there = asyncio.run(create_topics(bootstrap, replicas=replicas))
    print(f"{len(TOPICS)} topics are there, with the declared partitions; {len(there.made)} of them are new")
    copies = there.copies
    if there.made:
        print(f"new ones: {copies.replicas} replicas, of which {copies.in_sync} must be in sync for a write")
    if there.fewer:
        print(f"with fewer than {copies.replicas} replicas, which are left as they are: {', '.join(there.fewer)}")


@topics_app.command("list")
def show() -> None:
    """Show the declaration: what each topic is for and how it is kept."""
    for topic in TOPICS:
        kept = "compacted" if topic.retention is None else f"{topic.retention.days} days"
        print(f"{topic.name:40} {topic.partitions} partitions  {kept:10}  {topic.purpose}")
