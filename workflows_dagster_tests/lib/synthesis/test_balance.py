"""How many rows are made of each class and source."""

import pytest

from workflows_dagster.lib.synthesis.balance import BalanceSettings, Cell, plan

COUNTS = {
    ("negative", "posts"): 100,
    ("negative", "shop"): 300,
    ("neutral", "shop"): 900,
    ("positive", "shop"): 2000,
}


def made(settings: BalanceSettings) -> dict[tuple[str, str], int]:
    return {(cell.label, cell.source): cell.make for cell in plan(COUNTS, settings).cells if cell.make}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Goal 1000: negative lacks 600 but may get half of its 400; neutral lacks 100.
        (BalanceSettings(), {("negative", "posts"): 50, ("negative", "shop"): 150, ("neutral", "shop"): 100}),
        # Goal 500: neutral has more.
        (BalanceSettings(target_ratio=0.25), {("negative", "posts"): 25, ("negative", "shop"): 75}),
        (BalanceSettings(target_ratio=0), {}),
        # 200 and 100 wanted, 30 allowed.
        (BalanceSettings(max_rows=30), {("negative", "posts"): 5, ("negative", "shop"): 15, ("neutral", "shop"): 10}),
        # Too few parents in posts: its share goes to the other source.
        (BalanceSettings(min_parents=101), {("negative", "shop"): 200, ("neutral", "shop"): 100}),
    ],
)
def test_plan_is_bounded(settings: BalanceSettings, expected: dict[tuple[str, str], int]) -> None:
    assert made(settings) == expected


def test_plan_names_every_cell() -> None:
    balance = plan(COUNTS, BalanceSettings())
    assert balance.cells[0] == Cell("negative", "posts", real=100, make=50)
    assert (balance.real["negative"], balance.target["negative"], balance.target["positive"]) == (400, 1000, 2000)
