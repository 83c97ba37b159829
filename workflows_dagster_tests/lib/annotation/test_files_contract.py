"""The file desk does what every desk does."""

import csv
from pathlib import Path

import pytest

from workflows_dagster.lib.annotation.files import FileDesk
from workflows_dagster_tests.lib.annotation import desk_contract as contract


class FileBench:
    """People who each fill in a copy of the form."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.desk = FileDesk(root)

    def answer(self, round_id: str, answers: contract.Answers, reason: str = "") -> None:
        for annotator in sorted({annotator for annotator, *_ in answers}):
            own = {review: label for who, review, label in answers if who == annotator}
            [form] = (form for form in (self.root / round_id).glob("*.csv") if "-" not in form.name)
            with form.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
            with form.with_name(f"{form.stem}-{annotator}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                for row in rows:
                    label = own.get(row["review_id"], "")
                    free_text = list(rows[0])[-1]
                    writer.writerow({**row, "label": label, free_text: reason if label else ""})

    def add_strange_review(self, round_id: str) -> None:
        form = self.root / round_id / "pilot-annotator_1.csv"
        form.write_text("review_id,label\nstrange,positive\n", "utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> FileBench:
    return FileBench(tmp_path)


@pytest.mark.parametrize("name", contract.CASES)
def test_progress_follows_the_answers(bench: FileBench, name: str) -> None:
    contract.check_progress(bench, name)


def test_request_again_keeps_answers(bench: FileBench) -> None:
    contract.check_request_again(bench, "again")


def test_changed_answer_replaces_the_first(bench: FileBench) -> None:
    contract.check_changed_answer(bench, "changed")


def test_changed_sample_is_another_round(bench: FileBench) -> None:
    contract.check_changed_sample(bench, "sample")


def test_answer_to_a_strange_review_does_not_count(bench: FileBench) -> None:
    contract.check_strange_review(bench, "strange")


def test_round_may_ask_something_else(bench: FileBench) -> None:
    contract.check_other_choices(bench, "choices")
