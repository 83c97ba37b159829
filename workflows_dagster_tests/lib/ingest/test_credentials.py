"""Credentials in a location reach the file, and nothing else: no manifest, table, error or traceback."""

import base64
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.errors import ConfigurationError, SourceUnreadableError, WorkflowError
from workflows_dagster.lib.ingest.catalog import load_catalog
from workflows_dagster.lib.ingest.credentials import Credentials, hide_urls
from workflows_dagster.lib.ingest.locations import list_files
from workflows_dagster.lib.ingest.manifests import Manifest, Manifests
from workflows_dagster.lib.ingest.raw_reviews import IngestSettings, read_batch
from workflows_dagster.lib.ingest.source import Source

USER, PASSWORD, SIGNATURE, BUCKET = "vera", "hunter-2x", "c2lnbmF0dXJl/+0", "quiet-otter"
SECRETS = (PASSWORD, SIGNATURE, "c2lnbmF0dXJl%2F%2B0", "c2lnbmF0dXJl/%2B0", BUCKET)


class _Guarded(BaseHTTPRequestHandler):
    """Serves one file to who knows the password and the signature; `fault` makes it fail."""

    fault = 0

    def do_GET(self) -> None:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        allowed = self.headers.get("Authorization") == f"Basic {expected}" and "sig=" in self.path
        status = type(self).fault or (200 if allowed and self.path.startswith(f"/{BUCKET}/reviews.csv") else 403)
        content = b"id,text\n1,a lovely dress\n" if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    """Address of the server, without the scheme."""
    _Guarded.fault = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Guarded) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{running.server_port}"
        running.shutdown()


def described(folder: Path, location: str) -> Source:
    """A source whose location is written with variables and literal secrets."""
    path = folder / "sources.yaml"
    path.write_text(
        f"sources:\n- {{name: shop, format: csv, location: '{location}', columns: {{id: id, text: text}}}}\n"
    )
    return load_catalog(path, {"BUCKET": BUCKET, "SIG": SIGNATURE, "WORD": PASSWORD}).sources[0]


LOCATIONS = (
    "http://vera:hunter-2x@{server}/${{BUCKET}}/reviews.csv?sig=c2lnbmF0dXJl/+0",
    "http://vera:${{WORD}}@{server}/${{BUCKET}}/reviews.csv?sig=${{SIG}}",
)


def assert_hidden(shown: object) -> None:
    assert [secret for secret in SECRETS if secret in str(shown)] == []


@pytest.mark.parametrize("location", LOCATIONS)
def test_credentials_reach_the_file_and_nothing_that_is_kept(tmp_path: Path, server: str, location: str) -> None:
    source = described(tmp_path, location.format(server=server))
    (file,) = list_files(source)
    manifest = Manifest(source="shop", files=(file,))
    Manifests(tmp_path / "manifests").write([manifest])
    out = tmp_path / "out"
    out.mkdir()

    report = read_batch(manifest, source, IngestSettings(), out)

    rows = pq.read_table(out / "reviews.parquet").to_pylist()
    assert [row["text"] for row in rows] == ["a lovely dress"]
    assert_hidden([source, file, manifest.key, report, rows, report.to_metadata()])
    for path in [*(tmp_path / "manifests").iterdir(), *out.iterdir()]:
        assert_hidden(path.read_bytes().decode("latin-1"))


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("fault", [403, 404, 500])
def test_errors_and_their_tracebacks_name_no_credential(tmp_path: Path, server: str, location: str, fault: int) -> None:
    source = described(tmp_path, location.format(server=server))
    (file,) = list_files(source)
    _Guarded.fault = fault
    out = tmp_path / "out"
    out.mkdir()
    for step in (lambda: list_files(source), lambda: read_batch(_batch(file), source, IngestSettings(), out)):
        with pytest.raises(SourceUnreadableError) as raised:
            step()
        assert_hidden("".join(traceback.format_exception(raised.value)))


def _batch(file: object) -> Manifest:
    return Manifest.model_validate({"source": "shop", "files": [file]})


def test_errors_name_no_credential_where_nothing_answers(tmp_path: Path) -> None:
    source = described(tmp_path, LOCATIONS[1].format(server="127.0.0.1:9"))
    with pytest.raises(SourceUnreadableError) as raised:
        list_files(source)
    assert_hidden("".join(traceback.format_exception(raised.value)))


@pytest.mark.parametrize(
    "entry",
    [
        "{name: shop, format: csv, location: 'http://vera:hunter-2x@h/x?sig=${SIG}'}",
        "{name: SHOP, format: csv, location: 'http://vera:hunter-2x@h/${BUCKET}', columns: {text: text}}",
        "{name: shop, format: csv, location: ['http://vera:hunter-2x@h/'], columns: {text: text}}",
        "{name: shop, format: none, location: 'http://vera:hunter-2x@h/${BUCKET}'}",
        "{name: shop, format: csv, location: 'unknown://vera:hunter-2x@h/', columns: {text: text}",
        "{name: shop, location: 'http://vera:hunter-2x@h/x?token=hunter-2x', format: csv, columns: [}",
    ],
)
def test_a_refused_description_names_no_credential(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(f"sources:\n- {entry}\n")
    with pytest.raises(ConfigurationError) as raised:
        load_catalog(path, {"BUCKET": BUCKET, "SIG": SIGNATURE})
    assert_hidden("".join(traceback.format_exception(raised.value)))


def test_an_unknown_file_system_names_no_credential(tmp_path: Path) -> None:
    source = described(tmp_path, "unknown://vera:hunter-2x@h/x?sig=${SIG}")
    with pytest.raises(WorkflowError) as raised:
        list_files(source)
    assert_hidden("".join(traceback.format_exception(raised.value)))


def test_a_folder_named_by_a_variable_is_kept_by_its_name(tmp_path: Path) -> None:
    inbox = tmp_path / "private-inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("id,text\n1,fine\n")
    path = tmp_path / "sources.yaml"
    path.write_text("sources:\n- {name: shop, format: csv, location: '${INBOX}/*.csv', columns: {text: text}}\n")
    source = load_catalog(path, {"INBOX": str(inbox)}).sources[0]
    (file,) = list_files(source)
    assert file.uri == "${INBOX}/a.csv"


def test_what_is_hidden_can_be_put_back_for_the_file_alone() -> None:
    location = "https://vera:hunter-2x@host/quiet-otter/a.csv?sig=abc&page=2"
    credentials = Credentials.of(location, {"BUCKET": "quiet-otter"}, {})
    hidden = credentials.hide_uri(location)
    assert hidden == "https://<credentials>@host/${BUCKET}/a.csv?sig=<sig>&page=2"
    assert credentials.reveal(hidden) == location
    assert_hidden(repr(credentials))


def test_urls_in_any_text_lose_what_looks_like_a_credential() -> None:
    said = "at https://vera:hunter-2x@host/x?token=abc&page=2, line 3"
    assert hide_urls(said) == "at https://<credentials>@host/x?token=<token>&page=2, line 3"
