"""Draws the asset graph: assets from top to bottom, stages as bands, what skips an asset as an arc.

The picture brings its own background, in two sets of colours: it is readable on light and on dark pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise

from workflows_dagster_tests.readme.graph import Graph

STEP, BOX_HEIGHT, MARGIN, TOP = 34, 26, 16, 18
BOX_LEFT, BOX_WIDTH = 130, 300
BOX_RIGHT = BOX_LEFT + BOX_WIDTH
WIDTH = 540
HUES = {
    "ingest": ("#0969da", "#58a6ff"),
    "cleaning": ("#1a7f37", "#3fb950"),
    "annotation": ("#9a6700", "#d29922"),
    "synthesis": ("#8250df", "#bc8cff"),
    "finetuning": ("#cf222e", "#ff7b72"),
    "export": ("#0e7490", "#39c5cf"),
    "benchmark": ("#bf3989", "#f778ba"),
}
OTHER = ("#57606a", "#8b949e")
"""Colour of a stage, on a light and on a dark page."""


@dataclass(frozen=True)
class _Arc:
    parent: str
    child: str
    stage: str
    start: float
    end: float

    @property
    def path(self) -> str:
        """The curve, as far to the right as its ends are apart."""
        reach = BOX_RIGHT + 18 + 0.4 * abs(self.end - self.start)
        start, end = f"{self.start:g}", f"{self.end:g}"
        return f"M{BOX_RIGHT} {start}C{reach:.0f} {start} {reach:.0f} {end} {BOX_RIGHT + 7} {end}"


def draw(graph: Graph) -> str:
    """The picture as SVG; the same graph gives the same bytes."""
    names = list(graph.specs)
    middle = {name: TOP + number * STEP + BOX_HEIGHT / 2 for number, name in enumerate(names)}
    stages = {name: spec.group_name or "" for name, spec in graph.specs.items()}
    height = TOP * 2 + (len(names) - 1) * STEP + BOX_HEIGHT
    following = set(pairwise(names))
    edges = sorted(graph.edges, key=lambda edge: (names.index(edge[1]), names.index(edge[0])))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Asset graph: {len(names)} assets from {names[0]} to {names[-1]}">',
        f"<style>{_style()}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        *_bands(names, stages, middle),
        *(_spine(edge, middle, stages) for edge in edges if edge in following),
        *(_curve(arc) for arc in _arcs([edge for edge in edges if edge not in following], middle, stages)),
        *(_box(name, graph, stages[name], middle[name]) for name in names),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _style() -> str:
    def colours(theme: int) -> str:
        page, ink, muted, band = (
            ("#ffffff", "#1f2328", "#57606a", "#f3f4f6"),
            ("#0d1117", "#e6edf3", "#9198a1", "#1b222c"),
        )[theme]
        return (
            f".page{{fill:{page}}}.band{{fill:{band}}}.name{{fill:{ink}}}.note{{fill:{muted}}}.box rect{{fill:{page}}}"
            + "".join(
                f".{stage} rect,path.{stage}{{stroke:{hue[theme]}}}text.{stage},polygon.{stage}{{fill:{hue[theme]}}}"
                for stage, hue in {**HUES, "other": OTHER}.items()
            )
        )

    font = "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
    return (
        f"text{{font:13px {font};dominant-baseline:central}}.stage{{font-weight:600}}.note{{font-size:11px}}"
        "path{fill:none;stroke-width:1.5}.box rect{stroke-width:1.5}.outside rect{stroke-dasharray:4 3}"
        f"{colours(0)}@media (prefers-color-scheme: dark){{{colours(1)}}}"
    )


def _hue(stage: str) -> str:
    return stage if stage in HUES else "other"


def _bands(names: Sequence[str], stages: Mapping[str, str], middle: Mapping[str, float]) -> list[str]:
    bands: list[str] = []
    for stage, members in groupby(names, key=stages.__getitem__):
        inside = [middle[name] for name in members]
        top, bottom = inside[0] - STEP / 2 + 2, inside[-1] + STEP / 2 - 2
        bands.append(
            f'<rect class="band" x="{MARGIN / 2:g}" y="{top:g}" width="{BOX_RIGHT + 2}" '
            f'height="{bottom - top:g}" rx="6"/>'
            f'<text class="stage {_hue(stage)}" x="{MARGIN + 4}" y="{(top + bottom) / 2:g}">{escape(stage)}</text>'
        )
    return bands


def _box(name: str, graph: Graph, stage: str, y: float) -> str:
    spec, external = graph.specs[name], graph.is_external(name)
    cut = "" if spec.partitions_def is None else f"per {_partition_noun(graph, name)}"
    note = "from outside" if external else cut
    return (
        f'<g class="box {_hue(stage)}{" outside" if external else ""}" data-asset="{escape(name)}">'
        f'<rect x="{BOX_LEFT}" y="{y - BOX_HEIGHT / 2:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"/>'
        f'<text class="name" x="{BOX_LEFT + 12}" y="{y:g}">{escape(name)}</text>'
        f'<text class="note" x="{BOX_RIGHT - 12}" y="{y:g}" text-anchor="end">{escape(note)}</text></g>'
    )


def _partition_noun(graph: Graph, name: str) -> str:
    keys = graph.partitions(name)
    return "technique" if "," in keys else keys


def _spine(edge: tuple[str, str], middle: Mapping[str, float], stages: Mapping[str, str]) -> str:
    parent, child = edge
    x, start, end = BOX_LEFT + 26, middle[parent] + BOX_HEIGHT / 2, middle[child] - BOX_HEIGHT / 2
    hue = _hue(stages[parent])
    return (
        f'<path class="{hue}" data-from="{escape(parent)}" data-to="{escape(child)}" d="M{x} {start:g}V{end - 5:g}"/>'
        f'<polygon class="{hue}" points="{x},{end:g} {x - 4},{end - 6:g} {x + 4},{end - 6:g}"/>'
    )


def _arcs(edges: Sequence[tuple[str, str]], middle: Mapping[str, float], stages: Mapping[str, str]) -> list[_Arc]:
    """Arcs beside the boxes. They reach a box above its middle and leave it below, outer arcs outside of inner ones."""
    children = {name: [to for of, to in edges if of == name] for name in middle}
    parents = {name: [of for of, to in edges if to == name] for name in middle}

    def place(name: str, others: list[str], other: str, shift: float, sign: int) -> float:
        farthest_first = sorted(others, key=lambda one: -abs(middle[one] - middle[name]))
        gap = min(5.0, (BOX_HEIGHT - 8 - 2 * abs(shift)) / max(1, len(others) - 1))
        return middle[name] + shift + sign * (farthest_first.index(other) - (len(others) - 1) / 2) * gap

    return [
        _Arc(
            parent,
            child,
            _hue(stages[parent]),
            place(parent, children[parent], child, 6 if parents[parent] else 0, 1),
            place(child, parents[child], parent, -6 if children[child] else 0, -1),
        )
        for parent, child in edges
    ]


def _curve(arc: _Arc) -> str:
    tip = f"{BOX_RIGHT + 1},{arc.end:g} {BOX_RIGHT + 8},{arc.end - 3:g} {BOX_RIGHT + 8},{arc.end + 3:g}"
    return (
        f'<path class="{arc.stage}" data-from="{escape(arc.parent)}" data-to="{escape(arc.child)}" d="{arc.path}"/>'
        f'<polygon class="{arc.stage}" points="{tip}"/>'
    )
