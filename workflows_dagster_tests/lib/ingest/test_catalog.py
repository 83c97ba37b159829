"""sources.yaml: what is accepted, and how a mistake is explained."""

from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.ingest.catalog import load_catalog
from workflows_dagster.lib.ingest.formats.delimited import DelimitedSource

SOURCE = """
sources:
  - name: shop
    location: inbox/*.csv
    format: csv
    columns: {text: text}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "sources.yaml"
    path.write_text(text)
    return path


def test_relative_location_is_taken_from_the_files_folder(tmp_path: Path) -> None:
    (source,) = load_catalog(write(tmp_path, SOURCE)).sources
    assert source.location == str(tmp_path / "inbox/*.csv")


@pytest.mark.parametrize("location", ["/data/a.csv", "s3://bucket/a.csv", "memory://a.csv"])
def test_absolute_location_stays(tmp_path: Path, location: str) -> None:
    (source,) = load_catalog(write(tmp_path, SOURCE.replace("inbox/*.csv", location))).sources
    assert source.location == location


def test_variable_in_a_location_is_replaced(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCE.replace("inbox", "${INBOX}/new"))
    assert load_catalog(path, {"INBOX": "s3://bucket"}).sources[0].location == "s3://bucket/new/*.csv"
    with pytest.raises(ConfigurationError, match=r"source shop names an environment variable .*'INBOX'"):
        load_catalog(path)


def test_format_decides_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCE + SOURCE.replace("sources:", "").replace("shop", "list").replace(": csv", ": tsv"))
    found = [(one.delimiter, one.quoting) for one in load_catalog(path).sources if isinstance(one, DelimitedSource)]
    assert found == [(",", "standard"), ("\t", "infer")]


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ("shop", "My Shop", r"source My Shop: name.*'My Shop'.*lower-case letters, digits"),
        ("format: csv", "format: docx", r"source shop: format.*'docx'.*one of csv, tsv, jsonl, parquet"),
        ("format: csv", "formt: csv", r"source shop: format.*one of csv, tsv, jsonl, parquet"),
        (
            "{text: text}",
            "{text: text}\n    secret: hunter2",
            r"source shop\..*'secret'.*only these fields.*encoding",
        ),
        ("format: csv", "format: parquet\n    quoting: none", r"'quoting'.*fields with format parquet: name, loc"),
        ("format: csv", "format: jsonl\n    header: true", r"'header'.*fields with format jsonl: .*encoding"),
        (
            "{text: text}",
            "{txt: text}",
            r"source shop: columns.*'txt'.*text, which is most like txt; only these fields: text, id, title",
        ),
        ("{text: text}", "{text: text}\n    labels: {1: positive}", r"source shop.*columns\.label names no column"),
        (
            "{text: text}",
            "{text: text, label: l}\n    labels: {1: good}",
            r"source shop: labels\.1.*'good'.*'negative'",
        ),
        ("{text: text}", "{text: text}\n    header: false", r"source shop.*names: the columns in order"),
        ("{text: text}", "{text: text}\n    header: false\n    names: [a]", r"source shop.*\['text'\].*\['a'\]"),
        ("{text: text}", "{text: text}\n    encoding: utf-9", r"source shop.*no codec is called 'utf-9'"),
        ("sources:", "batching: {max_files: 0}\nsources:", r"batching: max_files.*given: 0|batching: max_files"),
        (SOURCE, "sources: {}", r"sources.yaml: sources.*a list of mappings"),
        (SOURCE, "[1]", r"a mapping with the key sources"),
        (SOURCE, "sources: []", r"sources"),
        (SOURCE, "sources: [", r"cannot be read"),
        ("{text: text}", "{text: text}\n    storage_options: hunter2", r"source shop: storage_options.*a mapping"),
        ("format: csv", "format: csv\n    delimiter: ab", r"source shop: delimiter.*'ab'"),
    ],
)
def test_mistake_is_explained_with_source_and_field(tmp_path: Path, change: str, to: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_catalog(write(tmp_path, SOURCE.replace(change, to)))
    assert "hunter2" not in str(caught.value)
    assert "more problems" not in str(caught.value)


def test_field_that_is_left_blank_is_unset(tmp_path: Path) -> None:
    (source,) = load_catalog(write(tmp_path, SOURCE + "    delimiter:\n    language:\n")).sources
    assert isinstance(source, DelimitedSource)
    assert (source.delimiter, source.language) == (",", None)


def test_names_are_distinct(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="several sources are called shop"):
        load_catalog(write(tmp_path, SOURCE + SOURCE.replace("sources:", "")))


def test_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml cannot be read"):
        load_catalog(tmp_path / "nowhere.yaml")


def test_secret_is_referred_to_and_never_shown(tmp_path: Path) -> None:
    options = "\n    storage_options: {secret: {env: SHOP_SECRET}, client_kwargs: {endpoint_url: http://localhost}}"
    path = write(tmp_path, SOURCE.rstrip() + options)
    catalog = load_catalog(path, {"SHOP_SECRET": "hunter2"})
    assert catalog.sources[0].storage_options.reveal() == {
        "secret": "hunter2",
        "client_kwargs": {"endpoint_url": "http://localhost"},
    }
    assert "hunter2" not in repr(catalog) + str(catalog)
    with pytest.raises(ConfigurationError, match="'SHOP_SECRET'"):
        load_catalog(path)


def test_secret_that_is_written_out_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCE.rstrip() + "\n    storage_options: {secret: hunter2}")
    with pytest.raises(ConfigurationError, match="secret is written out") as caught:
        load_catalog(path)
    assert "hunter2" not in str(caught.value)


def test_one_sources_mistake_costs_that_source_alone(tmp_path: Path) -> None:
    others = """
  - {name: typo, location: a.csv, format: csv, colums: {text: t}}
  - {name: unset, location: "${NOWHERE}/a.csv", format: csv, columns: {text: t}}
  - {name: twice, location: a.csv, format: csv, columns: {text: t}}
  - {name: twice, location: b.csv, format: csv, columns: {text: t}}
  - {location: b.csv, format: csv, columns: {text: t}}
"""
    catalog = load_catalog(write(tmp_path, SOURCE.rstrip() + others))
    assert [source.name for source in catalog.sources] == ["shop"]
    assert set(catalog.refused) == {"typo", "unset", "twice", "number 6"}
    assert catalog.names() == {"shop", *catalog.refused}
    with pytest.raises(ConfigurationError, match="columns, which is most like colums"):
        catalog.source("typo")


def test_words_are_words_whatever_yaml_takes_them_for(tmp_path: Path) -> None:
    text = """
sources:
  - name: 2024
    location: a.csv
    format: csv
    header: no
    names: [no, yes, 1, 1.0, on, 2024-01-01]
    columns: {text: no, label: yes, id: 1, product: 1.0, group: [on, 2024-01-01]}
    labels: {yes: positive, no: negative, 5: neutral, 1.0: negative, true: positive, .nan: neutral}
    language: no
    storage_options: {anon: true, port: 9000, words: no}
"""
    (source,) = load_catalog(write(tmp_path, text)).sources
    assert isinstance(source, DelimitedSource)
    assert source.names == ("no", "yes", "1", "1.0", "on", "2024-01-01")
    assert set(source.columns.names()) == {"no", "yes", "1", "1.0", "on", "2024-01-01"}
    assert set(source.labels) == {"yes", "no", "5", "1.0", "true", "True", "TRUE", ".nan"}
    assert (source.name, source.header, source.language) == ("2024", False, "no")
    assert source.storage_options.reveal() == {"anon": True, "port": 9000, "words": "no"}


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS + SOURCE, "over 20,000 values"),
        ("[" * 100_000, "20 levels"),
        ("{a: " * 50_000, "20 levels"),
        ("sources: &a\n  - *a\n", "a list of mappings"),
        ("batching: {max_files: " + "9" * 500_000 + "}\n" + SOURCE, "thousands of digits"),
        ("#" * 2_000_000 + SOURCE, "more than 1,048,576 bytes"),
        ("batching: {settle_s: 2020-99-99}\n" + SOURCE, r"batching: settle_s.*'2020-99-99'"),
        ("batching: {settle_s: nan}\n" + SOURCE, r"batching: settle_s.*'nan'"),
        ("sources: !!python/object/apply:os.system [ls]", "line 1, column 10"),
        ("sources:\n  - name: a: b\n", r"line 2, column 12.*'- name: a: b'"),
        ("sources:\n\t- name: a\n", r"line 2, column 1.*'- name: a'"),
        (SOURCE.rstrip() + "\n    format: tsv\n", r"line 7, column 5: format is there twice"),
    ],
)  # fmt: skip
def test_yaml_that_cannot_be_is_refused_before_it_grows(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_catalog(write(tmp_path, text))
