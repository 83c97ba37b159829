"""A path is a path: nothing but the location of a source is ever taken for a pattern."""

import ast
from pathlib import Path

import workflows_dagster

PACKAGE = Path(workflows_dagster.__file__).parent
READS = ("scan_parquet", "read_parquet")


def test_polars_takes_every_path_as_it_is() -> None:
    """By default polars takes brackets in a path, such as that of the home, for a pattern and finds nothing."""
    calls = [
        (path, node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    reads = [(path, node) for path, node in calls if isinstance(node.func, ast.Attribute) and node.func.attr in READS]
    assert len(reads) > 10
    patterned = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, node in reads
        if not any(keyword.arg == "glob" for keyword in node.keywords)
    ]
    assert patterned == []
    assert not any(isinstance(node.func, ast.Attribute) and node.func.attr == "read_parquet_schema" for _, node in calls)
