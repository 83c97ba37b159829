"""Writes what is generated of the documentation: the picture of the asset graph, and the tables."""

from workflows_dagster.definitions import build_definitions
from workflows_dagster.settings import Settings
from workflows_dagster_tests.readme.document import DOCUMENTS, PICTURE, with_blocks
from workflows_dagster_tests.readme.graph import Graph
from workflows_dagster_tests.readme.picture import draw
from workflows_dagster_tests.readme.tables import blocks

definitions = build_definitions(Settings())
PICTURE.write_text(draw(Graph(definitions)), "utf-8")
made = blocks(definitions)
for document in DOCUMENTS:
    document.write_text(with_blocks(document.read_text("utf-8"), made), "utf-8")
