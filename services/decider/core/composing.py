"""Several files as one document: their rules in order, parameters filled in, ladders where rules take them by name.

An included file can only make things stricter: its mode holds for its own rules, what it protects is protected for all,
and so do its maintenance windows hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from pydantic import BaseModel, ValidationError

from services.decider.core.explaining import faults_of
from services.decider.core.faults import MAX_FAULTS, Fault, PlaybookError, did_you_mean, one_of, shortened
from services.decider.core.file_words import COMPOSITION, FileSpec, FileWords
from services.decider.core.filling import Filling, arguments_of, unused
from services.decider.core.including import Files, Include, includes_of, spec_of
from services.decider.core.language import MOST_WINDOWS, Protected
from services.decider.core.parameters import Argument
from services.decider.core.source import Origin, Path, Source
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.modes import Mode, strictest

MAX_DEPTH = 8
MAX_INCLUSIONS = 200
Sections = Mapping[str, type[BaseModel]]
_SPEC: Path = ("spec",)
_LADDERS: Path = ("spec", "ladders")
_RULES: Path = ("spec", "rules")
_MAINTENANCE: Path = ("spec", "maintenance")
_PROTECTED: Path = ("spec", "protected")
_NAMESPACES: Path = (*_PROTECTED, "namespaces")
_LABELS: Path = (*_PROTECTED, "labels")
_MODES = frozenset(mode.value for mode in Mode)
_APART = frozenset({"include", "parameters", "rules", "maintenance"})
"""What is not judged as it stands in its file, but as it stands in the whole."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A value with where it stands; the paths of `origins` are within the value."""

    value: JsonValue
    origins: Mapping[Path, Origin]

    @property
    def where(self) -> str:
        """Return its place in its file."""
        return self.origins[()].where

    def having(self, name: str, part: "_Placed") -> "_Placed":
        """Return it with another member."""
        value: JsonValue = {**self.value, name: part.value} if isinstance(self.value, dict) else self.value
        return _Placed(value, {**self.origins, **{(name, *path): one for path, one in part.origins.items()}})

    def used_at(self, where: str) -> "_Placed":
        """Return it as it is told of where it is used."""
        return replace(
            self, origins={path: replace(one, used=f"used at {where}") for path, one in self.origins.items()}
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a file comes to with all that it includes; `files` are itself and those, filled in."""

    files: tuple[Source, ...] = ()
    rules: tuple[_Placed, ...] = ()
    ladders: Mapping[str, _Placed] = field(default_factory=dict[str, _Placed])


def compose(files: Files, sections: Sections, *, given: Mapping[str, Argument]) -> Source:
    """Return the one document that files come to; what is refused on the way stands in its faults.

    `sections` names the model that a key holds, `given` the values that the top file's parameters have.

    Raises:
        PlaybookError: it would be too much.
    """
    if files.is_single and "$" not in files.text and not given:
        return files.sources[files.top]
    composer = _Composer(files, sections)
    piece = composer.piece(files.top, given, chain=())
    faults = [*files.faults, *composer.faults]
    if (
        faults and not piece.rules
    ):  # the rules are in what is refused: it is no fault of their own that they are missing
        raise PlaybookError(faults)
    whole = _whole(piece)
    whole.faults, whole.hints = faults, composer.hints
    return whole


class _Composer:
    """Goes through the files from the top one; it bounds how often and how deep they include each other."""

    def __init__(self, files: Files, sections: Sections) -> None:
        self.faults: list[Fault] = []
        self.hints: list[Fault] = []
        self._files = files
        self._sections = sections
        self._filling = Filling()
        self._inclusions = 0

    def piece(self, name: str, given: Mapping[str, Argument], *, chain: Sequence[str]) -> _Piece:
        source = self._files.sources[name]
        arguments, wrong = arguments_of(source, given)
        own = self._filling.filled(source, arguments)
        includes, mistaken = includes_of(source, name)
        self.faults += [*source.faults, *wrong, *own.faults, *mistaken, *self._apart_from_rules(own, is_top=not chain)]
        self.hints += unused(source, arguments)
        pieces = [self._included(own, include, chain=(*chain, name)) for include in includes]
        ladders = self._ladders(own, pieces)
        rules = [*(rule for piece in pieces for rule in piece.rules), *self._rules(own, ladders)]
        if not chain:
            self.hints += islice(_never_taken(own, rules), MAX_FAULTS)
        files = (own, *(file for piece in pieces for file in piece.files))
        return _Piece(files, tuple(rules), ladders)

    def _apart_from_rules(self, own: Source, *, is_top: bool) -> list[Fault]:
        """Return what is wrong with a file besides its rules; of the top one the whole document tells the rest."""
        head = own.value if isinstance(own.value, dict) else {}
        spec = {name: value for name, value in spec_of(own).items() if name not in _APART}
        try:
            if is_top:
                FileSpec.model_validate({"ladders": spec.get("ladders", {})})
            else:
                FileWords.model_validate({**head, "spec": spec} if isinstance(head.get("spec"), dict) else own.value)
        except ValidationError as invalid:
            return faults_of(own, invalid, self._sections, at=_SPEC if is_top else ())
        return []

    def _included(self, own: Source, include: Include, *, chain: Sequence[str]) -> _Piece:
        refused = self._refusal(include, chain=chain)
        if refused:
            self.faults.append(own.fault(include.path, refused))
        if refused or include.name not in self._files.sources:
            return _Piece()
        self._inclusions += 1
        if self._inclusions > MAX_INCLUSIONS:
            raise PlaybookError(
                [*self.faults, own.fault(include.path, f"expected at most {MAX_INCLUSIONS} inclusions in all")]
            )
        path = (*include.path, "with")
        given = {name: Argument(value, Origin(own, (*path, name))) for name, value in own.members_at(path).items()}
        return _with_its_mode(self.piece(include.name, given, chain=chain))

    def _refusal(self, include: Include, *, chain: Sequence[str]) -> str:
        if include.name in chain:
            cycle = [*chain[chain.index(include.name) :], include.name]
            return f"a file cannot include itself: {' → '.join(cycle)}"
        if len(chain) > MAX_DEPTH:
            return f"expected files to include each other at most {MAX_DEPTH} levels deep"
        unreadable = self._files.unreadable.get(include.name)
        if unreadable is not None:
            return f"expected a readable playbook: {unreadable.why}" if unreadable.why else ""
        return "" if include.name in self._files.sources else "this text stands alone; expected it to include no file"

    def _ladders(self, own: Source, pieces: Sequence[_Piece]) -> dict[str, _Placed]:
        """Return the ladders that a file's rules take by name: those of the files it includes, and its own."""
        known: dict[str, _Placed] = {}
        mine = {
            name: _Placed(value, {(): Origin(own, (*_LADDERS, name))})
            for name, value in own.members_at(_LADDERS).items()
        }
        for ladders in [*(piece.ladders for piece in pieces), mine]:
            for name, ladder in ladders.items():
                other = known.setdefault(name, ladder)
                if other is not ladder and other.where != ladder.where:
                    self.faults.append(_name_twice(name, ladder, other))
        return known

    def _rules(self, own: Source, ladders: Mapping[str, _Placed]) -> Iterator[_Placed]:
        rules = spec_of(own).get("rules", [])
        if not isinstance(rules, list):
            self.faults.append(own.fault(_RULES, "expected a list"))
            return
        for place, value in enumerate(rules):
            if len(self.faults) >= MAX_FAULTS:
                return
            rule = _Placed(value, {(): Origin(own, (*_RULES, place))})
            named = value.get("ladder") if isinstance(value, dict) else None
            yield (
                rule.having("ladder", self._taken(own, named, ladders, place=place)) if isinstance(named, str) else rule
            )

    def _taken(self, own: Source, name: str, ladders: Mapping[str, _Placed], *, place: int) -> _Placed:
        path = (*_RULES, place, "ladder")
        if name in ladders:
            return ladders[name].used_at(Origin(own, path).where)
        known = one_of(list(ladders)) if ladders else "expected a list of rungs"
        self.faults.append(
            own.fault(path, f"there is no ladder {shortened(name)}; {known}", hint=did_you_mean(name, list(ladders)))
        )
        return _placed(own, path)


def _placed(own: Source, path: Path) -> _Placed:
    return _Placed(own.at(path), {(): Origin(own, path)})


def _name_twice(name: str, ladder: _Placed, other: _Placed) -> Fault:
    origin = ladder.origins[()]
    return origin.source.fault(
        origin.path,
        f"ladder name {name!r} is used twice; expected unique names",
        hint=f"the other one stands at {other.where}",
        mark=origin.source.key_of(origin.path),
    )


def _never_taken(own: Source, rules: Sequence[_Placed]) -> Iterator[Fault]:
    taken = {one.path for rule in rules for one in rule.origins.values() if one.source is own}
    for name in own.members_at(_LADDERS):
        path = (*_LADDERS, name)
        if path not in taken:
            yield own.fault(path, f"no rule takes the ladder {name!r}", mark=own.key_of(path))


def _with_its_mode(piece: _Piece) -> _Piece:
    """Return an included piece whose own mode is said by each of its rules, where it is the stricter one."""
    own = piece.files[0]
    mode = spec_of(own).get("mode")
    if mode not in _MODES:
        return piece
    said = _placed(own, (*_SPEC, "mode"))
    return replace(piece, rules=tuple(_at_least(rule, said) for rule in piece.rules))


def _at_least(rule: _Placed, mode: _Placed) -> _Placed:
    said = rule.value.get("mode", Mode.LIVE.value) if isinstance(rule.value, dict) else ""
    if said not in _MODES:
        return rule
    strict = strictest(Mode(str(said)), Mode(str(mode.value)))
    return rule if strict == said else rule.having("mode", mode)


def _whole(piece: _Piece) -> Source:
    """Return the document of the top piece: what its file says of the whole, and all rules."""
    top = piece.files[0]
    whole = Source(top.file, origins={(): Origin(top, ())})
    if not isinstance(top.value, dict) or not isinstance(top.value.get("spec"), dict):
        whole.value = top.value
        return whole
    spec = {name: value for name, value in spec_of(top).items() if name not in COMPOSITION or name == "rules"}
    if isinstance(spec.get("rules", []), list) and ("rules" in spec or piece.rules):
        spec["rules"] = [rule.value for rule in piece.rules]
        for place, rule in enumerate(piece.rules):
            whole.origins.update({(*_RULES, place, *path): origin for path, origin in rule.origins.items()})
    _protect(whole, spec, piece.files[1:])
    _protect_labels(whole, spec, piece.files[1:])
    _maintain(whole, spec, piece.files)
    whole.value = {**top.value, "spec": spec}
    return whole


def _protect(whole: Source, spec: JsonObject, included: Sequence[Source]) -> None:
    """Add what included files protect to what the top file does, or to what is protected where nothing is said."""
    protected = spec.get("protected", {})
    if not isinstance(protected, dict):
        return
    said = protected.get("namespaces", sorted(Protected().namespaces))
    names = [*said] if isinstance(said, list) else []
    for origin, name in _protected_by(included):
        if isinstance(said, list) and name not in names:
            whole.origins[*_NAMESPACES, len(names)] = origin
            names.append(name)
            spec["protected"] = {**protected, "namespaces": names}


def _protect_labels(whole: Source, spec: JsonObject, included: Sequence[Source]) -> None:
    """Add the labels that included files protect, value by value, to those that the top file does."""
    protected = spec.get("protected", {})
    said = protected.get("labels", {}) if isinstance(protected, dict) else None
    if not isinstance(protected, dict) or not isinstance(said, dict):
        return
    labels = {key: _listed(values) for key, values in said.items()}
    added = False
    for origin, key, value in _labels_protected_by(included):
        values = labels.setdefault(key, [])
        if value not in values:
            whole.origins.setdefault((*_LABELS, key), origin)
            whole.origins[*_LABELS, key, len(values)] = origin
            values.append(value)
            added = True
    if added:
        spec["protected"] = {**protected, "labels": {key: [*values] for key, values in labels.items()}}


def _listed(values: JsonValue) -> list[JsonValue]:
    return [*values] if isinstance(values, list) else [values]


def _labels_protected_by(included: Sequence[Source]) -> Iterator[tuple[Origin, str, JsonValue]]:
    for own in included:
        for key, values in own.members_at(_LABELS).items():
            yield from ((Origin(own, (*_LABELS, key)), key, value) for value in _listed(values))


def _maintain(whole: Source, spec: JsonObject, files: Sequence[Source]) -> None:
    """Let the maintenance windows of all files hold; one that another inclusion of its file says again is the same."""
    windows: list[JsonValue] = []
    for own in files:
        said = spec_of(own).get("maintenance", [])
        if not isinstance(said, list):
            return
        for place, window in enumerate(said):
            if len(windows) > MOST_WINDOWS:
                break  # too many are one fault, however many there are
            if own is files[0] or window not in windows:
                whole.origins[*_MAINTENANCE, len(windows)] = Origin(own, (*_MAINTENANCE, place))
                windows.append(window)
    if windows:
        spec["maintenance"] = windows


def _protected_by(included: Sequence[Source]) -> Iterator[tuple[Origin, JsonValue]]:
    for own in included:
        names = own.members_at(_NAMESPACES[:-1]).get("namespaces", [])
        for place, name in enumerate(names if isinstance(names, list) else []):
            yield Origin(own, (*_NAMESPACES, place)), name
