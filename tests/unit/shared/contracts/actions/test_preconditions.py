"""What holds for every action: what is protected is left alone, by whichever label, whatever its labels look like."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.preconditions import is_protected

KEYS, VALUES = st.sampled_from(["app", "sre-agent.dev/protected"]), st.sampled_from(["true", "false", ""])
LABELS = st.dictionaries(KEYS, VALUES)


@given(own=LABELS, inside=LABELS, by=st.dictionaries(KEYS, st.lists(VALUES, min_size=1)))
def test_an_object_is_protected_by_its_own_label_or_by_that_of_the_pods_it_makes(
    own: dict[str, str], inside: dict[str, str], by: dict[str, list[str]]
) -> None:
    labelled = {"metadata": {"labels": own}, "spec": {"template": {"metadata": {"labels": inside}}}}
    carried = {*own.items(), *inside.items()}
    named = {(key, value) for key, values in by.items() for value in values}
    assert is_protected(cast("Any", labelled), by) is bool(carried & {("sre-agent.dev/protected", "true"), *named})


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_labels_of_any_shape_never_break_the_reading(labels: Any) -> None:
    by = {"tier of no other": ["database"]}
    assert not is_protected({"metadata": labels, "spec": labels}, by)
    assert not is_protected({"metadata": {"labels": labels}}, by)
