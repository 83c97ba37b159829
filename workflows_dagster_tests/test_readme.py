"""What the documentation says, held against what there is."""

import gzip
import logging
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import polars as pl
import pytest
import typer
import yaml
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from pydantic import SecretStr

from workflows_dagster.cli import app
from workflows_dagster.definitions import build_definitions
from workflows_dagster.lib import schema
from workflows_dagster.lib.cleaning.settings import RejectReason as CleaningReason
from workflows_dagster.lib.ingest.catalog import Batching, load_catalog
from workflows_dagster.lib.ingest.formats import FORMATS
from workflows_dagster.lib.ingest.locations import list_files
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.raw_reviews import IngestSettings, read_batch
from workflows_dagster.lib.ingest.rows import RejectReason as IngestReason
from workflows_dagster.lib.ingest.source import Columns, Source
from workflows_dagster.resources.registry import build_store
from workflows_dagster.settings import Settings
from workflows_dagster_tests.readme.document import DOCUMENTS, PICTURE, ROOT, names_of_blocks, with_blocks
from workflows_dagster_tests.readme.graph import Graph
from workflows_dagster_tests.readme.picture import WIDTH, draw
from workflows_dagster_tests.readme.shell import blocks_of, mismatch
from workflows_dagster_tests.readme.tables import blocks, variable

TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in [*DOCUMENTS, ROOT / "CHANGELOG.md"]}
USERS_FILES = {"sources.yaml", "run.yaml", "config.yaml", ".env"}
"""Names that stand for a file of the reader."""
STORED = (
    ".workflows_dagster",
    ".dagster_home",
    ".venv",
    ".uv",
    "annotation/<",
    "docs/<",
    "store.git/",
    "work/",
    "site/",
    "reports/",
    "tmp/",
)
"""Beginnings of paths that are there only once something has run, or that stand for any of a kind."""
OTHERS_TOOLS = {"uv", "pip", "poetry", "conda", "lakectl"}
"""Commands that a reader may have, and this environment need not."""
EXAMPLE_VARIABLES = {"REVIEW_BUCKET", "REVIEW_BUCKET_KEY", "REVIEW_BUCKET_SECRET"}
LAKEFS_TEST = ("ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "STORAGE_NAMESPACE")
TESTS_VARIABLES = {"WORKFLOWS_DAGSTER_REAL_DATA", *(f"LAKEFS_TEST_{name}" for name in LAKEFS_TEST)}
OPENSSL_VARIABLES = {"SSL_CERT_FILE"}

STAGES = ("annotation", "finetuning")
"""First parts of names of metadata, which look like paths."""

documents = pytest.mark.parametrize("name", TEXTS)


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The definitions of a deployment that has stored nothing yet."""
    return build_definitions(Settings(home=tmp_path_factory.mktemp("home")))


# What is generated


def test_picture_shows_the_assets_and_edges_of_the_definitions(definitions: dg.Definitions) -> None:
    graph = Graph(definitions)
    drawn = ElementTree.parse(PICTURE).getroot()
    assert [node.attrib["data-asset"] for node in drawn.iter() if "data-asset" in node.attrib] == list(graph.specs)
    edges = [(path.attrib["data-from"], path.attrib["data-to"]) for path in drawn.iter() if "data-from" in path.attrib]
    assert len(edges) == len(set(edges))
    assert set(edges) == graph.edges
    assert PICTURE.read_text("utf-8") == draw(graph), "the picture is out of date: run make docs"
    # A curve goes three quarters of the way to its control points.
    curves = [
        re.fullmatch(r"M(\d+) .*C(\d+) .*", path.attrib["d"]) for path in drawn.iter() if "data-from" in path.attrib
    ]
    assert max(int(curve[1]) + 0.75 * (int(curve[2]) - int(curve[1])) for curve in curves if curve) < WIDTH - 2


def test_generated_tables_are_up_to_date(definitions: dg.Definitions) -> None:
    made = blocks(definitions)
    stale = [path.name for path in DOCUMENTS if with_blocks(path.read_text("utf-8"), made) != path.read_text("utf-8")]
    assert stale == [], "run make docs"


def test_every_generated_table_stands_in_one_place(definitions: dg.Definitions) -> None:
    placed = [block for path in DOCUMENTS for block in names_of_blocks(path.read_text("utf-8"))]
    assert sorted(placed) == sorted(blocks(definitions))


def test_every_setting_is_named_by_the_variable_it_is_read_from(monkeypatch: pytest.MonkeyPatch) -> None:
    typed: dict[str, Any] = {"device": "cpu", "threads": 7, "store": "lakefs", "lakefs_create": True}
    typed |= {"keep_versions": 3, "stale_branch_days": 4, "unused_copy_days": 5, "sample_rows": 6}
    typed |= {"annotation": "argilla", "argilla_create": True}
    for name, field in Settings.model_fields.items():
        monkeypatch.setenv(variable(name, field), str(typed.get(name, f"value-of-{name}")))
    settings = Settings()
    for name in Settings.model_fields:
        found: Any = getattr(settings, name)
        value = found.get_secret_value() if isinstance(found, SecretStr) else found
        assert value == typed[name] if name in typed else str(value) == f"value-of-{name}"


def test_newest_version_of_the_changelog_is_the_packages() -> None:
    versions = re.findall(r"^## \[(.+)\]", TEXTS["CHANGELOG.md"], re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert versions[:2] == ["Unreleased", project["version"]]


def test_dagster_dev_keeps_runs_although_it_speaks_of_a_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @dg.asset
    def made() -> None:
        """Something to find again."""

    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    logger = logging.getLogger("the_command")
    caplog.set_level(logging.INFO)
    with get_possibly_temporary_instance_for_cli("dagster dev", logger=logger) as instance:
        run_id = dg.materialize([made], instance=instance).run_id
    assert "Using temporary directory" in caplog.text
    with get_possibly_temporary_instance_for_cli("dagster dev", logger=logger) as instance:
        assert instance.has_run(run_id)
    assert {path.name for path in tmp_path.iterdir()} == {"dagster.yaml", ".dagster_home"}


# Names


@documents
def test_paths_are_there(name: str) -> None:
    known = {
        path.name
        for folder in (ROOT / "workflows_dagster", ROOT / "workflows_dagster_tests", ROOT / "docs")
        for path in folder.rglob("*")
    }
    known |= {path.name for path in ROOT.iterdir()} | USERS_FILES
    for path in set(paths(TEXTS[name])):
        if (
            path.startswith(STORED)
            or "<" in path
            or re.fullmatch(r"\d/\d", path)
            or re.fullmatch(rf"(?:{'|'.join(STAGES)})/[a-z0-9_]+", path)
        ):
            continue
        if "/" in path:
            assert (ROOT / path).exists(), f"{name} names {path}"
        else:
            assert path in known, f"{name} names {path}"


def paths(text: str) -> Iterator[str]:
    """Paths in code spans, and files that a file name alone stands for."""
    for span in spans(text):
        if re.fullmatch(r"[\w.<>*-]+(/[\w.<>*-]*)+|[\w.-]*\.(py|md|ya?ml|toml|lock|svg|env)|\.env", span):
            yield span


@documents
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"(?:\]\(|src=\")([^)\"]+)[)\"]", TEXTS[name]):
        file = target.partition("#")[0]
        assert target.startswith("https://") or ((ROOT / name).parent / file).exists(), target


def test_readme_is_read_in_one_sitting() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 200


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    listed = [
        page for section in site["nav"] for pages in section.values() for entry in pages for page in entry.values()
    ]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


@documents
def test_commands_that_are_not_run_say_why(name: str) -> None:
    assert [block.line for block in blocks_of(TEXTS[name]) if block.kind == "not run" and len(block.name) < 10] == []


@documents
def test_make_targets_are_there(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    named = {
        match for span in [*spans(TEXTS[name]), *commands(TEXTS[name])] for match in re.findall(r"^make (\S+)", span)
    }
    assert named <= targets


@documents
def test_commands_are_there(name: str) -> None:
    installed = Path(sys.executable).parent
    for line in commands(TEXTS[name]):
        tool = shlex.split(line)[0]
        assert tool in OTHERS_TOOLS | {".", "cd"} or (installed / tool).exists() or shutil.which(tool), line


def test_command_line_is_what_the_readme_says() -> None:
    group: Any = typer.main.get_command(app)
    lines = [line for text in TEXTS.values() for line in [*commands(text), *spans(text)]]
    called = [shlex.split(line.partition("workflows-dagster ")[2]) for line in lines if "workflows-dagster " in line]
    called = [words for words in called if words[0] != "--help"]
    assert {words[0] for words in called} == set(group.commands)
    for words in called:
        context = group.commands[words[0]].make_context(words[0], words[1:])
        assert context.command.name == words[0]
    named = {option for line in lines for option in re.findall(r"^--[a-z]+$", line)}
    everything = [group, *group.commands.values(), *group.commands["releases"].commands.values()]
    options = {option for command in everything for one in command.params for option in one.opts}
    assert named <= options


@documents
def test_environment_variables_are_read_by_somebody(name: str) -> None:
    deployment = set(re.findall(r"\{env: (\w+)\}", (ROOT / "dagster.yaml").read_text("utf-8")))
    settings = {variable(field_name, field) for field_name, field in Settings.model_fields.items()}
    schemas = set(vars(schema))
    known = settings | deployment | EXAMPLE_VARIABLES | TESTS_VARIABLES | OPENSSL_VARIABLES | schemas
    assert set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b", TEXTS[name])) <= known


@documents
def test_jobs_assets_and_sensors_are_there(name: str, definitions: dg.Definitions) -> None:
    graph = Graph(definitions)
    things = [*(definitions.jobs or []), *(definitions.sensors or []), *(definitions.schedules or [])]
    checks = [audit for asset in graph.specs for audit in graph.audits(asset)]
    known = {*graph.specs, *(thing.name for thing in [*things, *checks])}
    kinds = r"(?:\w+_(?:reviews|corpus|job|sensor|nightly|weekly|adapter|labels|sample|request|responses))"
    assert {span for span in spans(TEXTS[name]) if re.fullmatch(kinds, span)} <= known


# Examples


def test_sources_example_names_every_field() -> None:
    document: dict[str, Any] = yaml.safe_load(example("every_field.yaml"))
    sources: list[dict[str, Any]] = document["sources"]
    assert {name for source in sources for name in source} == {
        name for kind in FORMATS.values() for name in kind.model_fields
    }
    assert {name for source in sources for name in source["columns"]} == set(Columns.model_fields)
    assert set(document["batching"]) == set(Batching.model_fields)


def test_sources_example_is_loaded_and_reads_files(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(example("every_field.yaml"), "utf-8")
    catalog = load_catalog(tmp_path / "sources.yaml", dict.fromkeys(EXAMPLE_VARIABLES, "anything"))
    (tmp_path / "exports").mkdir()
    header = "Review ID;Title;Review Text;Rating;SKU;Customer;Date\n"
    rows = '1;Fine;"Fits; looks \\"good\\"";5;A1;me@example.org;31.12.2025\n2;Bad;It broke;9;A1;;\n'
    (tmp_path / "exports" / "shop-1.csv.gz").write_bytes(gzip.compress((header + rows).encode("cp1252")))
    (tmp_path / "survey.tsv").write_text("7\t2\tNever again\n8\t5\tSo so\n9\tten\tGreat\n", "utf-8")
    shop = ingest(catalog.source("shop_reviews"), tmp_path / "shop")
    survey = ingest(catalog.source("survey"), tmp_path / "survey")
    assert shop == (1, {"invalid_stars": 1})
    assert survey == (2, {"unknown_label": 1})


def ingest(source: Source, folder: Path) -> tuple[int, dict[str, int]]:
    """Rows kept, and rows rejected by reason."""
    folder.mkdir()
    manifest = Manifest(source=source.name, files=tuple(list_files(source)))
    report = read_batch(manifest, source, IngestSettings(), folder)
    return report.rows_kept, report.reasons


def test_every_reject_reason_is_explained() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (?:has|holds|is|goes) ", TEXTS["docs/own_data.md"], re.MULTILINE)
    assert listed == [*IngestReason, *CleaningReason]


def test_run_configuration_example_is_valid(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("training_job")
    config = yaml.safe_load(example("run.yaml"))
    checked = dg.validate_run_config(job, config)
    assert checked["ops"]["lora_adapter"]["config"]["epochs"] == 1
    assert checked["ops"]["pilot_sample"]["config"]["rows"] == 200


def test_configuration_example_of_the_command_line_is_valid(definitions: dg.Definitions) -> None:
    config: dict[str, dict[str, Any]] = yaml.safe_load(example("config.yaml"))
    for asset, chosen in config.items():
        job = definitions.resolve_job_def({"cleaned_reviews": "ingest_job", "lora_adapter": "training_job"}[asset])
        checked = dg.validate_run_config(job, {"ops": {asset: {"config": chosen}}})
        assert checked["ops"][asset]["config"].items() >= chosen.items()


def test_example_of_looking_at_the_store_prints_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", str(tmp_path))
    store = build_store(Settings(home=tmp_path)).store()
    with store.transaction("review_corpus", "-", label=["b"], metadata={}) as transaction:
        pl.DataFrame({"text": ["It broke."]}).write_parquet(transaction.folder / "reviews.parquet")
    exec(compile(example("look.py"), "look.py", "exec"), {})
    assert "It broke." in capsys.readouterr().out
    written = [*tmp_path.iterdir(), *(tmp_path / "work").iterdir()]
    named = "\n".join(line for line in TEXTS["docs/store.md"].splitlines() if line.startswith(("store.git/", "work/")))
    assert [path.name for path in written if path.name not in named] == []


def spans(text: str) -> list[str]:
    """Code spans, outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def commands(text: str) -> list[str]:
    """Lines of shell blocks."""
    return [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]


def example(name: str) -> str:
    """The code block that a comment names, in whichever document has it."""
    found = [
        block.text for text in TEXTS.values() for block in blocks_of(text) if (block.kind, block.name) == ("file", name)
    ]
    if not found:
        raise LookupError(f"no document has an example {name}")
    return found[-1]


# How outputs are compared


@pytest.mark.parametrize(
    ("expected", "printed", "missing"),
    [
        ("a\nb\n", "a\nx\nb\n", None),
        ("b\na\n", "a\nb\n", "a"),
        ("kept  1,760 (0.5)\n", "kept 3 (12.25)\n", None),
        ("kept 3\n", "kept none\n", "kept 3"),
        ("...\nlabel ... end\n", "\x1b[1mlabel\x1b[0m of any kind end\n", None),
        ("label ...\n", "a label\n", "label ..."),
        ("f(x) = [1]\n", "f(x) = [2]\n", None),
        ("f(x)\n", "fx\n", "f(x)"),
    ],
)
def test_expected_lines_are_looked_for_in_their_order(expected: str, printed: str, missing: str | None) -> None:
    assert mismatch(expected, printed) == missing
