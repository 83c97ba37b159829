"""A path is a path: nothing but the location of a source is ever taken for a pattern."""

import ast
from pathlib import Path

import workflows_dagster

PACKAGE = Path(workflows_dagster.__file__).parent
READS = ("scan_parquet", "read_parquet")


def test_polars_takes_every_path_as_it_is() -> None:
    """By default polars takes brackets in a path, such as that of the home, for a pattern and finds nothing."""
    called = [
        (f"{path.relative_to(PACKAGE)}:{node.lineno}", node.func.attr, [keyword.arg for keyword in node.keywords])
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    reads = [(place, keywords) for place, name, keywords in called if name in READS]
    assert len(reads) > 10
    assert [place for place, keywords in reads if "glob" not in keywords] == []
    assert [place for place, name, _ in called if name == "read_parquet_schema"] == []
