"""The commands that work on playbooks: check one, try its cases, tell what a rule does, and compare two."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.decider.adapters.cases_file import CasesFile, read_cases_file
from services.decider.adapters.grants_file import read_grants
from services.decider.adapters.junit import write_junit
from services.decider.adapters.playbook_file import read_playbook
from services.decider.core.announcing import fault_told
from services.decider.core.comparing import Difference, differences_between
from services.decider.core.coverage import Coverage, coverage_of
from services.decider.core.faults import Fault, PlaybookError, did_you_mean
from services.decider.core.judging import Verdict
from services.decider.core.linting import Level, Remark, remarks_on
from services.decider.core.playbook import Playbook
from services.decider.core.telling import rule_in_words
from services.decider.core.trial import Trial, try_cases
from services.decider.inquiry_words import lines_of_unmet
from shared.kernel.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Work on playbooks.")
commands = typer.Typer(no_args_is_help=True)
commands.add_typer(app, name="playbook")
_FAILED, _UNUSABLE = 1, 2


class Output(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="A table for people, JSON for programs.")]


@app.command("check")
def check(
    file: Path,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings as well.")] = False,
    rights: Annotated[
        list[Path] | None,
        typer.Option("--rights", help="Manifests with the remediator's roles: actions that they forbid are errors."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check a playbook: exit code 0, or 1 with every fault's line, column and what was expected."""
    try:
        playbook = read_playbook(file)
    except PlaybookError as invalid:
        _print_faults(invalid.faults, output, what="the playbook cannot be used")
        raise typer.Exit(_FAILED) from invalid
    remarks = remarks_on(playbook, grants=read_grants(rights) if rights else None)
    _print_playbook(playbook, remarks, file=file, output=output)
    if any(strict or remark.level is Level.ERROR for remark in remarks):
        raise typer.Exit(_FAILED)


@app.command("show")
def show(file: Path, output: OutputOption = Output.TABLE) -> None:
    """Print a playbook as one text, with all that it includes and every parameter filled in: what is put in force."""
    playbook = read_playbook(file)
    told = {"hash": playbook.hash, "files": list(playbook.files), "text": playbook.text}
    print(json.dumps(told, indent=2) if _is_json(output) else playbook.text.rstrip("\n"))


@app.command("explain")
def explain(
    rule: str,
    *,
    file: Annotated[Path, typer.Option("--file", "-f", help="The playbook.")] = Path("healing-playbook.yaml"),
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell in words what a rule does, with the modes that hold after all that is around them."""
    playbook = read_playbook(file)
    found = playbook.rules.get(rule)
    if found is None:
        known, hint = list(playbook.rules), did_you_mean(rule, list(playbook.rules))
        typer.echo(f"{file} has no rule {rule!r}; expected one of: {', '.join(known)}{hint and f' ({hint})'}", err=True)
        raise typer.Exit(_UNUSABLE)
    lines = rule_in_words(playbook, found)
    print(
        json.dumps({"rule": rule, "hash": playbook.hash, "words": lines}, indent=2)
        if _is_json(output)
        else "\n".join(lines)
    )


@app.command("diff")
def diff(before: Path, after: Path, output: OutputOption = Output.TABLE) -> None:
    """Show what changed between two playbooks: exit code 0 where nothing did, 1 where something did."""
    found = differences_between(read_playbook(before), read_playbook(after))
    if _is_json(output):
        print(json.dumps([asdict(difference) for difference in found], indent=2))
    for difference in [] if _is_json(output) else found:
        print(_difference_line(difference))
    if found:
        raise typer.Exit(_FAILED)


def _is_json(output: Output) -> bool:
    return output is Output.JSON


def _difference_line(difference: Difference) -> str:
    whose = f"rule {difference.rule}" if difference.rule else "playbook"
    if not difference.field:
        return f"{difference.change.value:8} {whose}"
    before, after = (json.dumps(value, ensure_ascii=False) for value in (difference.before, difference.after))
    return f"{difference.change.value:8} {whose}: {difference.field}: {before} → {after}"


@app.command("test")
def try_files(
    files: Annotated[list[Path], typer.Argument(help="Files of cases, each naming its playbook.")],
    *,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report.", dir_okay=False)] = None,
    coverage_threshold: Annotated[
        float,
        typer.Option("--coverage-threshold", help="Fail where less of the rules and steps is reached.", min=0, max=100),
    ] = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Try a playbook's cases: exit code 0, 1 where one fails or too little is reached, 2 where a file is unusable."""
    found = _read_all(files, output)
    tried = [(file, try_cases(file.cases, file.playbook)) for file in found]
    coverages = _coverages(tried)
    if junit is not None:
        write_junit(junit, [(str(file.path), trials) for file, trials in tried])
    if output is Output.JSON:
        print(json.dumps(_trials_words(tried, coverages), indent=2))
    else:
        _print_trials(tried, coverages)
    too_low = [path for path, coverage in coverages.items() if coverage.percent < coverage_threshold]
    for path in too_low:
        typer.echo(f"{path}: {coverages[path].percent:.0f} % reached; expected {coverage_threshold:g} %", err=True)
    if too_low or not all(trial.passed for _, trials in tried for trial in trials):
        raise typer.Exit(_FAILED)


def _read_all(files: Iterable[Path], output: Output) -> list[CasesFile]:
    """Read all files before anything is tried, so that all faults are told at once."""
    found: list[CasesFile] = []
    faults: list[Fault] = []
    unreadable: list[str] = []
    for file in files:
        try:
            found.append(read_cases_file(file))
        except PlaybookError as invalid:
            faults += invalid.faults
        except ConfigError as missing:
            unreadable.append(str(missing))
    for line in unreadable:
        typer.echo(line, err=True)
    if faults:
        _print_faults(faults, output, what="nothing was tried")
    if faults or unreadable:
        raise typer.Exit(_UNUSABLE)
    return found


def _coverages(tried: Iterable[tuple[CasesFile, list[Trial]]]) -> dict[Path, Coverage]:
    """Return what was reached of each playbook, by all files of cases that name it."""
    playbooks: dict[Path, Playbook] = {}
    trials: dict[Path, list[Trial]] = {}
    for file, own in tried:
        path = file.playbook_path.resolve()
        playbooks[path] = file.playbook
        trials.setdefault(path, []).extend(own)
    return {path: coverage_of(playbook, trials[path]) for path, playbook in playbooks.items()}


def _print_trials(tried: list[tuple[CasesFile, list[Trial]]], coverages: dict[Path, Coverage]) -> None:
    table = Table("case", "place", "expected", "actual", title="Cases")
    for file, trials in tried:
        for place, trial in enumerate(trials):
            table.add_section()
            for row in _trial_rows(file, place, trial):
                table.add_row(*map(escape, row))
    Console().print(table)
    for file, trial in ((file, trial) for file, trials in tried for trial in trials if not trial.passed):
        for line in lines_of_unmet(trial, file.playbook):
            print(f"{trial.case.name}: {line}")
    passed = [trial.passed for _, trials in tried for trial in trials]
    print(f"{sum(passed)} of {len(passed)} cases passed")
    for path, coverage in coverages.items():
        missed = f"; not reached: {', '.join(map(str, coverage.missed))}" if coverage.missed else ""
        print(f"{path.name}: {coverage.percent:.0f} % of {coverage.parts} rules and steps reached{missed}")


def _trial_rows(file: CasesFile, place: int, trial: Trial) -> Iterator[tuple[str, ...]]:
    """Yield one row for a case that passed, and one for each expectation that was not met."""
    if trial.passed:
        line = file.cases.place_of(place).line
        yield (
            trial.case.name,
            f"{file.path.name}:{line}",
            f"{len(trial.verdicts)} expectation{'s' if trial.verdicts[1:] else ''}",
            "met",
        )
    for verdict in trial.verdicts:
        if not verdict.met:
            yield _verdict_row(file.path, verdict)


def _verdict_row(path: Path, verdict: Verdict) -> tuple[str, ...]:
    actual = verdict.actual.replace("; ", "\n")
    return verdict.case, f"{path.name}:{verdict.mark.line}", verdict.expected, f"FAILED\n{actual}"


def _trials_words(
    tried: list[tuple[CasesFile, list[Trial]]], coverages: dict[Path, Coverage]
) -> dict[str, list[dict[str, object]]]:
    return {
        "cases": [
            {
                "file": str(file.path),
                "name": trial.case.name,
                "passed": trial.passed,
                "unmet": [] if trial.passed else list(lines_of_unmet(trial, file.playbook)),
                "verdicts": [_verdict_words(verdict) for verdict in trial.verdicts],
            }
            for file, trials in tried
            for trial in trials
        ],
        "coverage": [
            {
                "playbook": str(path),
                "parts": coverage.parts,
                "percent": round(coverage.percent, 1),
                "missed": [{"rule": part.rule, "step": part.step} for part in coverage.missed],
            }
            for path, coverage in coverages.items()
        ],
    }


def _verdict_words(verdict: Verdict) -> dict[str, object]:
    return {
        "line": verdict.mark.line,
        "column": verdict.mark.column,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "met": verdict.met,
    }


def _print_faults(faults: list[Fault], output: Output, *, what: str) -> None:
    if output is Output.JSON:
        print(json.dumps([fault_told(fault).model_dump() for fault in faults], indent=2))
        return
    for fault in faults:
        print(fault)
    print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}; {what}")


def _print_playbook(playbook: Playbook, remarks: list[Remark], *, file: Path, output: Output) -> None:
    if output is Output.JSON:
        told = [{"level": remark.level.value, **fault_told(remark.fault).model_dump()} for remark in remarks]
        known = {"hash": playbook.hash, "files": list(playbook.files), "rules": list(playbook.rules)}
        print(json.dumps({"file": str(file), **known, "remarks": told}))
        return
    for remark in remarks:
        print(remark)
    errors = sum(remark.level is Level.ERROR for remark in remarks)
    verdict = f"can be loaded, but has {errors} error{'s' if errors > 1 else ''}" if errors else "fit for use"
    together = f" of {len(playbook.files)} files" if playbook.files[1:] else ""
    print(f"{file}: {len(playbook.rules)} rules{together}, hash {playbook.hash}: {verdict}")
