"""What a file may say besides the rules themselves: other files, parameters, ladders that rules take by name."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.decider.core.language import Metadata, Name, RuleWords, Rung, Scalar, Spec

ParameterValue = Scalar | list[Scalar]
PARAMETER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, defer_build=True)


class ParameterWords(_Words):
    """A value that whoever includes the file may choose."""

    default: ParameterValue
    """The value where nothing else is said; its type is the parameter's: a text, a number, true or false, or a list."""
    description: str = ""
    """What the value means, and what speaks for another one."""


class IncludeWords(_Words):
    """Another file whose rules and ladders are added, with values for its parameters."""

    file: str = Field(min_length=1, max_length=255)
    """A path from where this file lies; never above the folder of the playbook's own file."""
    with_: dict[str, ParameterValue] = Field(default_factory=dict[str, "ParameterValue"], alias="with")
    """Values for parameters of that file, by their names."""


class Composition(_Words):
    """What one document is made of before it is one."""

    include: tuple[str | IncludeWords, ...] = ()
    """Other playbooks, whose rules come before this file's own; they can only make things stricter."""
    parameters: dict[Name, ParameterWords] = Field(default_factory=dict[str, ParameterWords])
    """Values that are used as `${name}` anywhere in the spec; whoever includes this file may choose others."""
    ladders: dict[Name, tuple[Rung, ...]] = Field(default_factory=dict[str, "tuple[Rung, ...]"])
    """Ladders that rules take by name, as in `ladder: restart-then-rollback`."""


class FileSpec(Composition, Spec):
    """The spec of a file: rules and what holds for all of them, and the parts that it is made of."""

    rules: tuple[RuleWords, ...] = ()
    """The rules, in the order in which they are looked at, after those of the files that are included."""


class FileWords(_Words):
    """A whole `healing-playbook.yaml`, as it is written."""

    apiVersion: Literal["sre-agent.dev/v1alpha1"]  # noqa: N815 - Kubernetes' own spelling
    """The version of this language."""
    kind: Literal["HealingPlaybook"]
    """What this file is."""
    metadata: Metadata
    """What people call it."""
    spec: FileSpec
    """The rules and what holds for all of them."""


COMPOSITION = frozenset(Composition.model_fields)
