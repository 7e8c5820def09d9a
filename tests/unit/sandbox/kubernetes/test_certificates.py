"""Keys and kubeconfigs: readable by their owner alone, one user and one cluster each."""

import json
import stat
from pathlib import Path

from sandbox.kubernetes.certificates import ADMINS, Keys


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_no_key_can_be_read_by_others(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    keys.issue("admin", common_name="admin", group=ADMINS)
    kubeconfig = keys.kubeconfig(tmp_path / "admin.kubeconfig", server="https://127.0.0.1:1", name="admin")
    assert mode_of(tmp_path / "keys") == 0o700
    assert {mode_of(path) for path in (keys.key("admin"), keys.key("accounts"), kubeconfig)} == {0o600}


def test_a_kubeconfig_leads_one_user_to_one_cluster(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    keys.issue("admin", common_name="admin", group=ADMINS)
    path = keys.kubeconfig(tmp_path / "admin.kubeconfig", server="https://127.0.0.1:1", name="admin")
    told = json.loads(path.read_text())
    assert [one["cluster"]["server"] for one in told["clusters"]] == ["https://127.0.0.1:1"]
    assert [one["user"]["client-key"] for one in told["users"]] == [str(keys.key("admin"))]
    assert told["current-context"] == told["contexts"][0]["name"]
