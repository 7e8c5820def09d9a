"""Trials as the JUnit report that CI systems read."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from services.decider.core.judging import Verdict
from services.decider.core.trial import Trial

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, suites: Iterable[tuple[str, Iterable[Trial]]]) -> None:
    """Write a suite for each file of cases, a test case for each of its cases."""
    root = ET.Element("testsuites")
    for file, trials in suites:
        root.append(_suite(file, list(trials)))
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(file: str, trials: list[Trial]) -> ET.Element:
    failures = sum(not trial.passed for trial in trials)
    suite = ET.Element("testsuite", name=_clean(file), tests=str(len(trials)), failures=str(failures), errors="0")
    for trial in trials:
        case = ET.SubElement(suite, "testcase", classname=_clean(file), name=_clean(trial.case.name))
        for verdict in trial.verdicts:
            if not verdict.met:
                case.append(_failure(file, verdict))
    return suite


def _failure(file: str, verdict: Verdict) -> ET.Element:
    place = f"{file}:{verdict.mark.line}:{verdict.mark.column}"
    failure = ET.Element("failure", message=_clean(f"{place}: expected {verdict.expected}"))
    failure.text = _clean(f"{place}\nexpected: {verdict.expected}\nactual: {verdict.actual}")
    return failure


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
