"""The hook of docs/lakefs, run by a real Lua (5.2, as in lakeFS) over stand-ins of the modules that hooks have."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from workflows_dagster.lib.schema import CLEAN_REVIEW, CORPUS_REVIEW, RAW_REVIEW, REJECT, SYNTHETIC_REVIEW

lua52: Any = pytest.importorskip("lupa.lua52", reason="lupa runs the hook")

DOCS = Path(__file__).parents[4] / "docs" / "lakefs"
PAGE = 2


class RefusedError(Exception):
    """What a failed hook is to lakeFS: its merge is answered with 412."""


def shipped_args() -> dict[str, Any]:
    action = yaml.safe_load((DOCS / "parquet_guard.yaml").read_text())
    [hook] = action["hooks"]
    return hook["properties"]["args"]


def merge(files: dict[str, bytes], *removed: str, **args: Any) -> None:
    """Runs the hook over a merge that adds files and removes others."""
    # Lua's strings are bytes: this encoding maps each to one character and back.
    lua = lua52.LuaRuntime(encoding="latin-1", unpack_returned_tuples=True)
    changes = [
        {"path": name, "type": "added", "path_type": "object", "size_bytes": len(files[name])} for name in sorted(files)
    ] + [{"path": name, "type": "removed", "path_type": "object", "size_bytes": 1} for name in removed]

    def table(value: Any) -> Any:
        return lua.table_from(value, recursive=True)

    def diff_refs(repository: str, left: str, right: str, after: str) -> tuple[int, Any]:
        assert (repository, left, right) == ("reviews", "main", "source")
        begin = int(after or "0")
        pagination = {"has_more": begin + PAGE < len(changes), "next_offset": str(begin + PAGE)}
        return 200, table({"results": changes[begin : begin + PAGE], "pagination": pagination})

    def get_object(repository: str, ref: str, path: str) -> tuple[int, str]:
        assert (repository, ref) == ("reviews", "source")
        return (200, files[path].decode("latin-1")) if files[path] != b"gone" else (410, "")

    def get_schema(content: str) -> Any:
        schema = pq.read_schema(pa.BufferReader(content.encode("latin-1")))
        return table([{"name": name, "type": "BYTE_ARRAY"} for name in schema.names])

    def fail(message: str) -> None:
        raise RefusedError(message)

    modules: dict[str, Any] = {
        "hook": {"fail": fail},
        "lakefs": {"diff_refs": diff_refs, "get_object": get_object},
        "encoding/parquet": {"get_schema": get_schema},
        "regexp": {"match": lambda pattern, text: re.search(pattern, text) is not None},
        "strings": {"has_suffix": lambda text, suffix: text.endswith(suffix)},
    }
    for name, functions in modules.items():
        lua.globals().package.loaded[name] = table(functions)
    lua.globals().args = table(shipped_args() | args)
    lua.globals().action = table({"repository_id": "reviews", "branch_id": "main", "source_ref": "source"})
    lua.execute((DOCS / "parquet_guard.lua").read_text())


def parquet(schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    return sink.getvalue().to_pybytes()


def columns(*names: str) -> bytes:
    return parquet(pa.schema([pa.field(name, pa.string()) for name in names]))


def test_guard_lets_the_tables_of_the_project_pass() -> None:
    merge(
        {
            "raw_reviews/b1/reviews.parquet": parquet(RAW_REVIEW),
            "raw_reviews/b1/rejects.parquet": parquet(REJECT),
            "cleaned_reviews/b1/reviews.parquet": parquet(CLEAN_REVIEW),
            "review_corpus/reviews.parquet": parquet(CORPUS_REVIEW),
            "valid_synthetics/reviews.parquet": parquet(SYNTHETIC_REVIEW),
            "augmented_reviews/reviews.parquet": parquet(CORPUS_REVIEW),
            "lora_adapter/adapter.safetensors": b"not looked at",
        },
        "review_corpus/old.parquet",
    )


@pytest.mark.parametrize("column", ["email", "E_Mail", "phone_number", "customer_name", "author", "ip_address", "iban"])
def test_guard_refuses_columns_that_name_a_person(column: str) -> None:
    with pytest.raises(RefusedError, match=f"x/a.parquet: column '{column}' may not be published"):
        merge({"x/a.parquet": columns("text", column)})


def test_guard_refuses_a_table_without_its_columns_on_any_page() -> None:
    files = {f"x/{number}.parquet": columns("text") for number in range(5)}
    files["cleaned_reviews/b1/reviews.parquet"] = parquet(CORPUS_REVIEW)
    with pytest.raises(RefusedError, match=r"^cleaned_reviews/b1/reviews\.parquet: column 'masked' is missing$"):
        merge(files)


def test_guard_refuses_what_it_cannot_read() -> None:
    files = {"x/a.parquet": b"no table", "x/b.parquet": b"gone", "x/c.parquet": columns("a" * 500)}
    with pytest.raises(RefusedError) as refused:
        merge(files, max_bytes=600)
    assert str(refused.value) == (
        "x/a.parquet: is not a Parquet file; "
        "x/b.parquet: could not be read: HTTP 410; "
        f"x/c.parquet: {len(files['x/c.parquet'])} bytes are more than a hook reads; see max_bytes"
    )


def test_guard_names_twenty_findings_and_counts_the_others() -> None:
    with pytest.raises(RefusedError, match=r"x/19\.parquet.*; and 5 more$"):
        merge({f"x/{number:02}.parquet": columns("email") for number in range(25)})
