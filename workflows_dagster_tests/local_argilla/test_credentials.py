import json
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.local_argilla.credentials import prepare_credentials, read_credentials


def test_a_new_home_gets_an_owner_and_three_annotators_in_a_private_file(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=None, workspace=None)

    assert [account.username for account in made.accounts] == ["owner", "annotator_1", "annotator_2", "annotator_3"]
    assert [account.role for account in made.accounts] == ["owner", "annotator", "annotator", "annotator"]
    assert made.workspace == "reviews"
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600
    secrets = [secret for account in made.accounts for secret in (account.password, account.api_key)]
    assert len({*secrets, made.secret_key}) == 9
    assert min(map(len, secrets)) >= 12


def test_a_home_keeps_its_credentials(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=2, workspace="pilot")

    assert prepare_credentials(tmp_path, annotators=None, workspace=None) == made == read_credentials(tmp_path)


def test_more_annotators_are_added_and_none_is_removed(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=2, workspace=None)

    more = prepare_credentials(tmp_path, annotators=4, workspace=None)

    assert more.accounts[:3] == made.accounts
    assert [account.username for account in more.annotators[2:]] == ["annotator_3", "annotator_4"]
    assert prepare_credentials(tmp_path, annotators=1, workspace=None) == more


def test_secrets_are_not_shown_by_repr(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=1, workspace=None)

    shown = f"{made!r} {made.owner!r}"
    assert made.owner.password not in shown
    assert made.owner.api_key not in shown
    assert made.secret_key not in shown


def test_a_lost_file_beside_a_database_is_an_error_and_never_made_anew(tmp_path: Path) -> None:
    (tmp_path / "argilla.db").touch()

    with pytest.raises(ConfigurationError, match="bring it back"):
        prepare_credentials(tmp_path, annotators=None, workspace=None)


def test_a_lost_file_beside_an_unfinished_database_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "argilla.db").touch()
    (tmp_path / "argilla.db.unfinished").touch()

    assert prepare_credentials(tmp_path, annotators=1, workspace=None).owner.username == "owner"


@pytest.mark.parametrize("content", ["", "[]", '{"accounts": []}', json.dumps({"workspace": "w", "accounts": [1]})])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content, "utf-8")

    with pytest.raises(ConfigurationError, match="does not hold the accounts"):
        prepare_credentials(tmp_path, annotators=None, workspace=None)
