"""The load of all benchmarks of matching: rules whose `where` differ, and signals of which one in twenty meets one."""

from datetime import UTC, datetime

from shared.contracts.signals import ContainerSignal, ContainerState
from shared.contracts.workloads import ObjectRef, WorkloadRef

ONE_LOOKS_BAD_IN = 10
"""One signal in so many has what a rule's `where` asks for; its condition is evaluated."""
ONE_IS_BAD_IN = 20
"""One signal in so many meets a rule."""
_HEAD = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: bench}
spec:
  rules:
"""
_RULE = """\
    - name: rule-{n}
      signal: container
      where: {{reason: CrashLoopBackOff, workload: service-{n}}}
      when: restarts >= 3 && exit_code != 0
      ladder: [{{action: restart-pod}}]
"""


def playbook_of(rules: int) -> str:
    """Return a playbook of so many rules, each for a workload of its own."""
    return _HEAD + "".join(_RULE.format(n=n) for n in range(rules))


def signal_of(number: int, *, workloads: int) -> ContainerSignal:
    """Return the signal of a number; runs of twenty tell of one workload after the other, one of the twenty is bad."""
    service = f"service-{number // ONE_IS_BAD_IN % workloads}"
    return ContainerSignal(
        id=f"signal-{number}",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        cluster="bench",
        workload=WorkloadRef(kind="Deployment", namespace="bank", name=service),
        object=ObjectRef(kind="Pod", namespace="bank", name=f"{service}-{number}", uid=f"uid-{number}"),
        container="server",
        state=ContainerState.WAITING,
        reason="CrashLoopBackOff" if number % ONE_LOOKS_BAD_IN == 0 else "",
        restarts=5 if is_bad(number) else 1,
        exit_code=1,
    )


def is_bad(number: int) -> bool:
    """Tell whether the signal of a number meets a rule."""
    return number % ONE_IS_BAD_IN == 0
