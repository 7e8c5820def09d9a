"""`sre-agent keys create`: a pair, once, and never its private half on the terminal."""

from pathlib import Path

from typer.testing import CliRunner

from services.decider.key_commands import commands
from shared.infra.keys import read_checking_keys, read_signing_key


def test_a_pair_is_made_once_and_only_its_places_are_told(tmp_path: Path) -> None:
    told = [CliRunner().invoke(commands, ["keys", "create", "--to", str(tmp_path)]) for _ in range(2)]
    assert [one.exit_code for one in told] == [0, 0]
    assert told[0].stdout == told[1].stdout
    key = read_signing_key(tmp_path / "signing" / "private.pem")
    assert key.key_id in read_checking_keys(tmp_path / "checking" / "public.pem")
    assert key.key_id in told[0].stdout
    secret = (tmp_path / "signing" / "private.pem").read_text().splitlines()[1]
    assert secret not in told[0].stdout
