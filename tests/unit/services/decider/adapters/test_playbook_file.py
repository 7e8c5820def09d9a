"""The playbook's files on disk: what is news, and what is not told twice."""

from pathlib import Path

import pytest

from services.decider.adapters.playbook_file import PlaybookFile
from shared.kernel.errors import ConfigError

HEAD = "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: test}\nspec:\n"
TOP = HEAD + "  include: [sub/one.yaml]\n"
ONE = HEAD + "  rules: [{name: one, signal: container, cooldown: 5m, ladder: [{action: escalate}]}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "top.yaml").write_text(TOP, encoding="utf-8")
    (tmp_path / "sub" / "one.yaml").write_text(ONE, encoding="utf-8")
    return tmp_path


def test_a_change_of_an_included_file_is_news_once(folder: Path) -> None:
    file = PlaybookFile(folder / "top.yaml")
    first = file.news()
    assert first is not None
    assert file.news() is None
    (folder / "sub" / "one.yaml").write_text(ONE.replace("5m", "6m"), encoding="utf-8")
    second = file.news()
    assert second is not None
    assert second.hash != first.hash
    assert file.news() is None


def test_what_is_broken_is_told_once_until_it_changes(folder: Path) -> None:
    file = PlaybookFile(folder / "top.yaml")
    included = folder / "sub" / "one.yaml"
    included.write_text(ONE.replace("signal", "signl"), encoding="utf-8")
    with pytest.raises(ConfigError, match="unknown key"):
        file.news()
    assert file.news() is None
    included.write_text(ONE, encoding="utf-8")
    assert file.news() is not None


def test_a_file_that_appears_is_news(folder: Path) -> None:
    file = PlaybookFile(folder / "top.yaml")
    (folder / "sub" / "one.yaml").unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        file.news()
    assert file.news() is None
    (folder / "sub" / "one.yaml").write_text(ONE, encoding="utf-8")
    assert file.news() is not None


def test_a_folder_that_is_swapped_by_a_link_as_a_config_map_is_news(tmp_path: Path) -> None:
    for version, length in (("v1", "5m"), ("v2", "6m")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "top.yaml").write_text(TOP.replace("sub/", ""), encoding="utf-8")
        (tmp_path / version / "one.yaml").write_text(ONE.replace("5m", length), encoding="utf-8")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "..data").symlink_to(tmp_path / "v1")
    for name in ("top.yaml", "one.yaml"):
        (mounted / name).symlink_to(Path("..data") / name)
    file = PlaybookFile(mounted / "top.yaml")
    with pytest.raises(ConfigError, match="outside"):
        file.news()  # what a link leads to must lie in the mounted folder, as the versions of a ConfigMap do
    for version in ("v1", "v2"):
        (tmp_path / version).rename(mounted / f"..{version}")
    (mounted / "..data").unlink()
    (mounted / "..data").symlink_to("..v1")
    first = file.news()
    (mounted / "..new").symlink_to("..v2")
    (mounted / "..new").rename(mounted / "..data")
    second = file.news()
    assert first is not None
    assert second is not None
    assert first.hash != second.hash
