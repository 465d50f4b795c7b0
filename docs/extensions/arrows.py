"""Draws the families and their imports, before pages are read."""

import ast
import pathlib

DOCS = pathlib.Path(__file__).parents[1]
PACKAGE = DOCS.parent / "keras_trainkit"
DARK, LIGHT = "#33557a", "#c8d2dc"


def setup(app):
    app.connect("builder-inited", lambda app: draw(DOCS / "generated" / "arrows.svg"))
    return {"parallel_read_safe": True}


def imports():
    """Each family and the families that its files import."""
    families = {file.parent.name for file in PACKAGE.glob("[a-z]*/__init__.py")}
    return {
        family: {
            name
            for file in (PACKAGE / family).rglob("*.py")
            for name in imported_by(file)
            if name in families - {family}
        }
        for family in sorted(families)
    }


def imported_by(file):
    """First names below `keras_trainkit` in the import statements of a file."""
    for node in ast.walk(ast.parse(file.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        for module in modules:
            package, _, rest = module.partition(".")
            if package == "keras_trainkit":
                yield rest.split(".")[0]


def level(family, arrows):
    """0 for a family that imports none, else above all that it imports."""
    return 1 + max((level(other, arrows) for other in arrows[family]), default=-1)


def direct(arrows):
    """The arrows without those that a way over other families makes plain."""

    def reached(family):
        return set().union(*({o} | reached(o) for o in arrows[family]), set())

    return {
        family: {o for o in others if not any(o in reached(p) for p in others - {o})}
        for family, others in arrows.items()
    }


def draw(path):
    from matplotlib.figure import Figure

    arrows = imports()
    rows: dict[int, list[str]] = {}
    for family in arrows:
        rows.setdefault(level(family, arrows), []).append(family)
    width = max(map(len, rows.values()))
    figure = Figure(figsize=(1.6 * width, 0.85 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(-0.4, len(rows) - 0.6))
    style = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": DARK}
    boxes = {
        family: axes.text(
            (n + 0.5) * width / len(row), height, family, ha="center", bbox=style
        )
        for height, row in rows.items()
        for n, family in enumerate(row)
    }
    for family, others in arrows.items():
        for other in others:
            plain = other in direct(arrows)[family]
            axes.annotate(
                "",
                boxes[other].get_position(),
                boxes[family].get_position(),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": DARK if plain else LIGHT,
                    "patchA": boxes[family].get_bbox_patch(),
                    "patchB": boxes[other].get_bbox_patch(),
                },
                zorder=2 if plain else 1,
            )
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
