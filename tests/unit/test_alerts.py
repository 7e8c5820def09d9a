"""The alert rules name metrics that the services export; each is documented, and played, with trouble and without."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

import shared.runtime.metrics
from shared.contracts.incidents import Phase

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def exported() -> dict[str, Sequence[str]]:
    """Return the labels of each metric, by the name under which it is exported."""
    metrics = (one for one in vars(shared.runtime.metrics).values() if isinstance(one, Counter | Gauge | Histogram))
    return {_name_of(one): vars(one)["_labelnames"] for one in metrics}  # the library tells them nowhere else


def _name_of(metric: Counter | Gauge | Histogram) -> str:
    name = next(iter(metric.describe())).name
    return f"{name}_total" if isinstance(metric, Counter) else name


def test_each_rule_names_metrics_and_labels_that_are_exported() -> None:
    metrics = exported()
    for rule in rules():
        named = re.findall(r"\b(sre_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert named, rule["alert"]
        for metric, matchers in named:
            assert metric in metrics, rule["alert"]
            assert set(re.findall(r"(\w+)(?:=|!=)", matchers)) <= set(metrics[metric]), rule["alert"]


def test_the_phases_that_are_waited_for_are_shown_from_the_start() -> None:
    phases = {phase for rule in rules() for phase in re.findall(r'phase="([^"]+)"', rule["expr"])}
    assert phases == {Phase.AWAITING_APPROVAL.value, Phase.ESCALATED.value}
    import_module("services.decider.handlers")  # as a decider does at its start
    assert None not in {REGISTRY.get_sample_value("sre_incidents_told_total", {"phase": one}) for one in phases}


def test_each_alert_is_documented_and_played() -> None:
    names = [rule["alert"] for rule in rules()]
    text = (ROOT / "docs" / "operating.md").read_text()
    assert [name for name in names if f"`{name}`" not in text] == []
    quiet, troubled = yaml.safe_load((MONITORING / "alerts.test.yaml").read_text())["tests"]
    assert sorted(one["alertname"] for one in quiet["alert_rule_test"] if "exp_alerts" not in one) == sorted(names)
    assert sorted(one["alertname"] for one in troubled["alert_rule_test"] if one["exp_alerts"]) == sorted(names)
