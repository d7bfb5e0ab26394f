"""Drawings of a lab: text for a terminal, SVG, PNG (by rsvg-convert), DOT. Nodes are boxes, interfaces rows in them."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from dataclasses import dataclass, field

from sniffkit.errors import LabError, MissingToolError
from sniffkit.lab.model import Interface, LabSpec, Point
from sniffkit.lab.report import details, leads_to

ROW, HEAD, PAD, GAP_X, GAP_Y = 18, 26, 10, 130, 34
CHAR = 6.9  # a character of DejaVu Sans Mono, 0.602 em of 11, with room for fonts that are a little wider
STEP, DOT = 14, 8  # indentation of what stands on another; from the dot of a row to its text
COLORS = {
    "veth": "#4a6fa5",
    "bridge": "#2e7d32",
    "vlan": "#8e5aa8",
    "vxlan": "#c0632b",
    "macvlan": "#00838f",
    "macvtap": "#00838f",
    "ipvlan": "#00695c",
    "ipvtap": "#00695c",
    "macsec": "#b71c1c",
}
OTHER = "#5f6368"
KEEP = 'xml:space="preserve"'  # two blanks stay two


def draw(spec: LabSpec, out: str | None) -> None:
    """Write a drawing; the suffix of `out` says which. None: text to standard output."""
    if out is None:
        print(text(spec), end="")
        return
    suffix = os.path.splitext(out)[1].lower()
    if suffix not in (".svg", ".png", ".dot", ".txt"):
        raise LabError(f"{out}: a drawing is .svg, .png, .dot or .txt")
    from sniffkit.sinks.file import NewFile

    drawing = png(svg(spec)) if suffix == ".png" else {".svg": svg, ".dot": dot, ".txt": text}[suffix](spec).encode()
    with NewFile(out) as file:
        file.write(drawing)


def png(drawing: str) -> bytes:
    """The SVG as PNG at twice its size."""
    if shutil.which("rsvg-convert") is None:
        raise MissingToolError("PNG needs rsvg-convert: sudo apt install librsvg2-bin; .svg needs nothing")
    done = subprocess.run(["rsvg-convert", "--zoom", "2"], input=drawing.encode(), capture_output=True, check=False)
    if done.returncode:
        raise LabError(f"rsvg-convert: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout


def label(one: Interface) -> str:
    """An interface's row: name, kind, what its kind says, addresses."""
    said = details(one)
    parts = [one.name, "" if one.kind == "veth" else one.kind, said, " ".join(one.addresses)]
    return "  ".join(part for part in parts if part)


def order(spec: LabSpec, node: str) -> list[Interface]:
    """A node's interfaces, each followed by those that stand on it or are its ports."""
    there = spec.of(node)
    out: list[Interface] = []

    def add(one: Interface) -> None:
        if one not in out:
            out.append(one)
            for other in there:
                if other.parent == one.point or other.bridge == one.name:
                    add(other)

    for one in there:
        if one.bridge is None and (one.parent is None or one.parent[0] != node):
            add(one)
    return out + [one for one in there if one not in out]


def depth(spec: LabSpec, one: Interface) -> int:
    """How far its row is indented: below its bridge or what it stands on."""
    if one.bridge is not None:
        return 1
    return 1 + depth(spec, spec.interfaces[one.parent]) if one.parent and one.parent[0] == one.node else 0


def edges(spec: LabSpec) -> list[tuple[Point, Point, str]]:
    """Lines between nodes: pairs, parents in other nodes, and the two ends of a tunnel (dashed)."""
    out: list[tuple[Point, Point, str]] = []
    owners = {address.partition("/")[0]: one for one in spec.interfaces.values() for address in one.addresses}
    for one in spec.interfaces.values():
        if one.peer is not None and one.point < one.peer:
            out.append((one.point, one.peer, "pair"))
        if one.parent is not None and one.parent[0] != one.node:
            out.append((one.parent, one.point, "parent"))
        if one.kind == "vxlan":
            for other in spec.interfaces.values():
                same = other.kind == "vxlan" and other.data["id"] == one.data["id"] and other.node != one.node
                far = [one.data.get("remote"), *(entry["dst"] for entry in one.data.get("fdb", []))]
                meets = one.data.get("group") and one.data.get("group") == other.data.get("group")
                if (
                    same
                    and one.point < other.point
                    and (meets or other.node in {owners[a].node for a in far if a in owners})
                ):
                    out.append((one.point, other.point, "tunnel"))
    return out


def text(spec: LabSpec) -> str:
    """A block a node; an interface's row ends with where it leads."""
    out = []
    for node in [*spec.nodes, *(["host"] if any(one.node == "host" for one in spec.interfaces.values()) else [])]:
        rows = order(spec, node)
        out.append(f"{node}{services(spec, node)}")
        for number, one in enumerate(rows):
            last = not any(depth(spec, other) == 0 for other in rows[number + 1 :])
            lead = ("└─" if last else "├─") if depth(spec, one) == 0 else "   " * depth(spec, one) + "└─"
            to = f"  ── {leads_to(spec, one)}" if one.peer or (one.parent and one.parent[0] != node) else ""
            out.append(f"{lead}{label(one)}{to}")
    return "\n".join(out) + "\n"


def services(spec: LabSpec, node: str) -> str:
    """What a node does beside having interfaces."""
    if node not in spec.nodes:
        return ""
    given = spec.nodes[node].settings
    words = [word for key, word in (("forward", "router"), ("nat", "NAT"), ("firewall", "firewall")) if given.get(key)]
    words += [name for name, _ in given.get("services", [])]
    return f"  [{', '.join(words)}]" if words else ""


def dot(spec: LabSpec) -> str:
    """Graphviz: a record a node."""

    def quote(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    out = ["graph lab {", "  node [shape=box fontname=monospace];"]
    for node in dict.fromkeys([*spec.nodes, *(one.node for one in spec.interfaces.values())]):
        rows = "\\l".join([node + services(spec, node), *(label(one) for one in order(spec, node)), ""])
        out.append(f"  {quote(node)} [label={quote(rows).replace(chr(92) * 2 + 'l', chr(92) + 'l')}];")
    for a, b, how in edges(spec):
        style = "" if how == "pair" else " style=dashed"
        out.append(f"  {quote(a[0])} -- {quote(b[0])} [label={quote(f'{a[1]} – {b[1]}')}{style}];")
    return "\n".join(out) + "\n}\n"


@dataclass
class Box:
    """A node's place in the drawing."""

    node: str
    title: str
    rows: list[Interface]
    width: float
    height: float
    x: float = 0
    y: float = 0
    layer: int = 0
    near: set[str] = field(default_factory=set)

    def row_y(self, name: str) -> float:
        """The middle of an interface's row."""
        number = [one.name for one in self.rows].index(name)
        return self.y + HEAD + ROW * number + ROW / 2


def layout(spec: LabSpec) -> dict[str, Box]:
    """Boxes in columns: neighbours in neighbouring columns, ordered so that lines cross little."""
    boxes: dict[str, Box] = {}
    for node in dict.fromkeys([*spec.nodes, *(one.node for one in spec.interfaces.values())]):
        rows = order(spec, node)
        title = services(spec, node)
        wide = [(len(node) + len(title)) * CHAR, *(_indent(spec, one) + len(label(one)) * CHAR for one in rows)]
        boxes[node] = Box(node, title, rows, max(90, max(wide) + 2 * PAD), HEAD + ROW * len(rows) + 6)
    for a, b, how in edges(spec):
        if a[0] != b[0] and how != "tunnel":
            boxes[a[0]].near.add(b[0])
            boxes[b[0]].near.add(a[0])
    columns: list[list[Box]] = []
    placed: set[str] = set()
    while len(placed) < len(boxes):
        start = _far_end(boxes, next(name for name in boxes if name not in placed))
        level, base = [start], 0
        placed.add(start)
        while level:
            while len(columns) <= base:
                columns.append([])
            for name in level:
                boxes[name].layer = base
                columns[base].append(boxes[name])
            level = sorted({other for name in level for other in boxes[name].near} - placed, key=list(boxes).index)
            placed.update(level)
            base += 1
    for _ in range(4):
        for column in columns:
            _stack(column)
        for column in columns:
            column.sort(key=lambda box: _middle(boxes, box))
    x = 30.0
    tallest = max((sum(box.height + GAP_Y for box in column) for column in columns), default=0)
    for column in columns:
        _stack(column)
        used = sum(box.height + GAP_Y for box in column)
        for box in column:
            box.x = x
            box.y += (tallest - used) / 2 + 30
        x += max((box.width for box in column), default=0) + GAP_X
    return boxes


def _indent(spec: LabSpec, one: Interface) -> float:
    """Where a row's text begins, from the padding of its box on."""
    return STEP * depth(spec, one) + DOT


def _far_end(boxes: dict[str, Box], start: str) -> str:
    """A node at one end of a longest way from `start`: drawings begin with it."""
    seen, last = {start}, [start]
    while True:
        further = sorted({other for name in last for other in boxes[name].near} - seen, key=list(boxes).index)
        if not further:
            return last[0]
        seen.update(further)
        last = further


def _stack(column: list[Box]) -> None:
    y = 0.0
    for box in column:
        box.y = y
        y += box.height + GAP_Y


def _middle(boxes: dict[str, Box], box: Box) -> float:
    near = [boxes[name].y + boxes[name].height / 2 for name in box.near if boxes[name].layer != box.layer]
    return sum(near) / len(near) if near else box.y


def svg(spec: LabSpec) -> str:
    """The drawing as SVG."""
    boxes = layout(spec)
    width = max((box.x + box.width for box in boxes.values()), default=0) + 30
    lines = edges(spec)
    low = max((box.y + box.height for box in boxes.values()), default=0)
    far = [edge for edge in lines if abs(boxes[edge[0][0]].layer - boxes[edge[1][0]].layer) > 1]
    height = low + 30 + 12 * len(far)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
        'font-size="11">',
        f"<title>{html.escape(spec.name or 'lab')}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    lanes = {edge: low + 18 + 12 * number for number, edge in enumerate(far)}
    out += [_line(spec, boxes, *edge, below=lanes.get(edge, low)) for edge in lines]
    for box in boxes.values():
        out += _box(spec, box)
    return "\n".join(out) + "\n</svg>\n"


def _line(spec: LabSpec, boxes: dict[str, Box], a: Point, b: Point, how: str, below: float) -> str:
    """A curve between two rows; one that passes over a column runs below all boxes, at `below`."""
    one, two = boxes[a[0]], boxes[b[0]]
    if one.x > two.x:
        one, two, a, b = two, one, b, a
    y1, y2 = one.row_y(a[1]), two.row_y(b[1])
    color = COLORS.get(spec.interfaces[b].kind, OTHER)
    dash = {"pair": "", "parent": ' stroke-dasharray="2 3"', "tunnel": ' stroke-dasharray="7 4"'}[how]
    x1, x2 = one.x + one.width, two.x
    if one.layer == two.layer:
        x2 = two.x + two.width
        turn = max(x1, x2) + 50
        path = f"M{x1:.0f},{y1:.0f} C{turn:.0f},{y1:.0f} {turn:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    elif two.layer - one.layer > 1:
        path = f"M{x1:.0f},{y1:.0f} C{x1 + 70:.0f},{y1:.0f} {x1:.0f},{below:.0f} {x1 + 90:.0f},{below:.0f} "
        path += f"L{x2 - 90:.0f},{below:.0f} C{x2:.0f},{below:.0f} {x2 - 70:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    else:
        path = f"M{x1:.0f},{y1:.0f} C{x1 + 45:.0f},{y1:.0f} {x2 - 45:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6"{dash}/>'


def _box(spec: LabSpec, box: Box) -> list[str]:
    out = [
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="5" '
        'fill="#f7f9fc" stroke="#37474f" stroke-width="1.2"/>',
        f'<text {KEEP} x="{box.x + PAD:.0f}" y="{box.y + 17:.0f}" font-weight="bold">{html.escape(box.node)}'
        f'<tspan font-weight="normal" fill="#607d8b">{html.escape(box.title)}</tspan></text>',
    ]
    for one in box.rows:
        y = box.row_y(one.name)
        x = box.x + PAD + STEP * depth(spec, one)
        color = COLORS.get(one.kind, OTHER)
        out.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{color}"/>')
        out.append(f'<text {KEEP} x="{x + DOT:.0f}" y="{y + 4:.0f}" fill="#263238">{html.escape(label(one))}</text>')
    return out
