"""Splits by group."""

import hashlib

import polars as pl
import pytest
from pydantic import ValidationError

from workflows_dagster.lib.cleaning.labels import LabelSettings
from workflows_dagster.lib.cleaning.splits import SplitSettings, position, split_groups


def test_position_can_be_reproduced_with_sha256() -> None:
    number = int(hashlib.sha256(b"seed\0product 7").hexdigest()[:16], 16)

    assert position("seed", "product 7") == (number >> 11) / 2**53


def test_split_groups_is_a_function_of_the_group_alone() -> None:
    groups = [f"product {number}" for number in range(300)]
    settings = SplitSettings()
    all_at_once = split_groups(pl.Series(groups), settings)

    assert [split_groups(pl.Series([group]), settings)[0] for group in groups] == all_at_once.to_list()


def test_split_groups_has_the_shares_asked_for() -> None:
    settings = SplitSettings(validation_ratio=0.2, test_ratio=0.05)

    counts = dict(split_groups(pl.Series(map(str, range(20_000))), settings).value_counts().iter_rows())

    # Standard deviations of the counts are 61, 57 and 31 rows.
    assert counts["train"] == pytest.approx(15_000, abs=250)
    assert counts["validation"] == pytest.approx(4_000, abs=230)
    assert counts["test"] == pytest.approx(1_000, abs=130)


def test_test_split_stays_when_validation_grows() -> None:
    groups = pl.Series(map(str, range(1_000)))

    small, large = (split_groups(groups, SplitSettings(validation_ratio=ratio)) for ratio in (0.1, 0.3))

    assert ((small == "test") == (large == "test")).all()


def test_settings_refuse_what_cannot_be_split_or_labelled() -> None:
    with pytest.raises(ValidationError, match=r"0\.6 \+ test_ratio=0\.5"):
        SplitSettings(validation_ratio=0.6, test_ratio=0.5)
    with pytest.raises(ValidationError, match="negative_up_to_stars=3"):
        LabelSettings(negative_up_to_stars=3, positive_from_stars=3)
