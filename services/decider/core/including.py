"""Which files a playbook consists of: how they are named, how far they may reach, how many and how large they may be.

Nothing is read here: `wanted` names what is to be read next, and `given` takes what was read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from services.decider.core.explaining import faults_of
from services.decider.core.faults import Fault, PlaybookError
from services.decider.core.file_words import COMPOSITION, IncludeWords
from services.decider.core.source import MAX_CHARS, MAX_VALUES, Path, Source, read_source
from shared.contracts.model import JsonObject, JsonValue

MAX_FILES = 64
_INCLUDE: Path = ("spec", "include")


class IncludeError(ValueError):
    """Signal that a name cannot be the name of an included file."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file cannot be read; empty where that is told already."""

    why: str


_TOLD_ALREADY = Unreadable("")


@dataclass(frozen=True, slots=True)
class Include:
    """One mention of another file: where it stands, and the name of the file from the top file's folder."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a playbook that are known so far, by their names from the folder of the top one."""

    folder: str
    top: str
    text: str
    """That of the top file."""
    sources: Mapping[str, Source]
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict[str, Unreadable])
    faults: tuple[Fault, ...] = ()

    @property
    def is_single(self) -> bool:
        """Tell whether the top file says everything itself, as it is written."""
        return not COMPOSITION & spec_of(self.sources[self.top]).keys()

    def wanted(self) -> list[str]:
        """Return the names of the files that are mentioned and not known yet."""
        mentioned = (one for name, source in self.sources.items() for one in includes_of(source, name)[0])
        known = {*self.sources, *self.unreadable}
        return list(dict.fromkeys(one.name for one in mentioned if one.name not in known))

    def given(self, name: str, text: str | Unreadable) -> "Files":
        """Return the files with one more.

        Raises:
            PlaybookError: they are too many or too large.
        """
        if len(self.sources) + len(self.unreadable) >= MAX_FILES:
            raise self._too_much(f"expected at most {MAX_FILES} files")
        if isinstance(text, Unreadable):
            return replace(self, unreadable={**self.unreadable, name: text})
        try:
            source = read_source(text, file=f"{self.folder}{name}")
        except PlaybookError as broken:
            known = {**self.unreadable, name: _TOLD_ALREADY}
            return replace(self, unreadable=known, faults=(*self.faults, *broken.faults))
        sources = {**self.sources, name: source}
        self._bound(sources.values())
        return replace(self, sources=sources)

    def _bound(self, sources: Collection[Source]) -> None:
        chars = sum(len(line) + 1 for source in sources for line in source.lines)
        if chars > MAX_CHARS:
            raise self._too_much(f"expected at most {MAX_CHARS} characters in all files, found {chars}")
        values = sum(len(source.marks) for source in sources)
        if values > MAX_VALUES:
            raise self._too_much(f"expected at most {MAX_VALUES} values in all files, found {values}")

    def _too_much(self, expected: str) -> PlaybookError:
        return PlaybookError([*self.faults, self.sources[self.top].fault(_INCLUDE, expected)])


def files_of(text: str, *, file: str) -> Files:
    """Return the files of a playbook, of which the top one alone is known yet.

    Raises:
        PlaybookError: the text is no YAML, or there is too much of it.
    """
    folder, slash, name = file.rpartition("/")
    return Files(f"{folder}{slash}", name, text, {name: read_source(text, file=file)})


def spec_of(source: Source) -> JsonObject:
    """Return what a file says under `spec`; nothing where it is no such thing."""
    spec = source.value.get("spec") if isinstance(source.value, dict) else None
    return spec if isinstance(spec, dict) else {}


def includes_of(source: Source, name: str) -> tuple[list[Include], list[Fault]]:
    """Return the files that a file mentions, and what is wrong with how it does; `name` is that of the file."""
    found: list[Include] = []
    faults: list[Fault] = []
    mentioned = spec_of(source).get("include", [])
    if not isinstance(mentioned, list):
        return [], [source.fault(_INCLUDE, "expected a list of files")]
    for place, one in enumerate(mentioned):
        try:
            found.append(_include(source, one, path=(*_INCLUDE, place), within=name))
        except PlaybookError as wrong:
            faults += wrong.faults
    return found, faults


def _include(source: Source, mentioned: JsonValue, *, path: Path, within: str) -> Include:
    place = path if isinstance(mentioned, str) else (*path, "file")
    words = _include_words(source, mentioned, path=path)
    try:
        return Include(path, name_from(within, words.file))
    except IncludeError as wrong:
        raise PlaybookError([source.fault(place, str(wrong))]) from wrong


def _include_words(source: Source, mentioned: JsonValue, *, path: Path) -> IncludeWords:
    if not isinstance(mentioned, str | dict):
        raise PlaybookError([source.fault(path, "expected the name of a file, or `file` and `with`")])
    try:
        return IncludeWords.model_validate({"file": mentioned} if isinstance(mentioned, str) else mentioned)
    except ValidationError as invalid:
        raise PlaybookError(faults_of(source, invalid, {"": IncludeWords}, at=path)) from invalid


def name_from(within: str, word: str) -> str:
    """Return the name, from the top file's folder, of what a file calls by a word.

    Raises:
        IncludeError: it is no path that stays within that folder.
    """
    if "://" in word:
        raise IncludeError("no address is ever fetched; expected the path of a file, from where this one lies")
    if word.startswith(("/", "~")) or "\\" in word or not word.isprintable():
        raise IncludeError("expected the path of a file, from where this one lies")
    name = "/".join(_steps([*within.split("/")[:-1], *word.split("/")]))
    if not name.endswith((".yaml", ".yml")):
        raise IncludeError("expected the name of a file that ends with .yaml")
    return name


def _steps(parts: list[str]) -> list[str]:
    steps: list[str] = []
    for part in parts:
        if part == ".." and not steps:
            raise IncludeError("expected a file in the folder of the playbook's own file, or below it")
        if part == "..":
            steps.pop()
        elif part not in {"", "."}:
            steps.append(part)
    return steps
