"""The import graph of the package: layers, no cycles, leaf to leaf.

Everything is read from the source, so imports inside functions count as well: a lazy
import may save time, but it may not point upwards.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS = {
    "_utils": 0,
    "_segments": 1,
    "_blending": 1,
    "_audio": 1,
    "_safe_pickle": 1,
    "cache": 1,
    "_data_home": 1,
    "_download": 1,
    "nn": 1,
    "_weights": 2,
    "views": 2,
    "preprocessing": 2,
    "model_selection": 2,
    "metrics": 2,
    "mixture": 2,
    "datasets": 2,
    "_training": 3,
    "persistence": 3,
    "neural_network": 4,
    "embedding": 4,
    "ensemble": 4,
    "segmentation": 4,
    "inspection": 5,
    "papers": 5,
    "export": 5,
}
MAX_DEPTH = 8

Sources = dict[str, str]
Graph = dict[str, set[str]]


def read_package(folder: Path) -> Sources:
    """Dotted name -> source text; a package stands for its ``__init__``."""
    sources = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text(encoding="utf-8")
    return sources


def is_package(module: str, sources: Sources) -> bool:
    return any(other.startswith(f"{module}.") for other in sources)


def unit(module: str) -> str:
    """The second part of the dotted name: what the layers are made of."""
    return module.partition(".")[2].partition(".")[0]


def imports(source: str) -> list[tuple[str, str | None, int]]:
    """Every import as (module, name or None, relative level)."""
    found: list[tuple[str, str | None, int]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", a.name, node.level) for a in node.names]
    return found


def targets(source: str, sources: Sources) -> list[tuple[str, str | None]]:
    """Imports of the package itself: (module that is reached, name taken from it)."""
    root = min(sources, key=len)
    reached = []
    for module, name, _ in imports(source):
        if module.partition(".")[0] != root:
            continue
        if name is not None and f"{module}.{name}" in sources:
            module, name = f"{module}.{name}", None
        reached.append((module, name))
    return reached


def import_graph(sources: Sources) -> Graph:
    """Edges to all imports and to every foreign package's ``__init__`` on the way.

    Importing ``a.b._c`` runs ``a.b`` first. For a module inside ``a.b`` that is no
    edge, as it is already running; for all others it is.
    """
    graph: Graph = {}
    for module, source in sources.items():
        edges = set()
        for target, _ in targets(source, sources):
            parts = target.split(".")
            ancestors = {".".join(parts[: i + 1]) for i in range(len(parts))}
            edges |= {a for a in ancestors if not f"{module}.".startswith(f"{a}.")}
        graph[module] = edges & sources.keys() - {module}
    return graph


def find_cycle(graph: Graph) -> list[str]:
    """One cycle as a list of modules, first one repeated; empty if there is none."""
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for target in sorted(graph[module]):
            if cycle := visit(target, [*trail, module]):
                return cycle
        done.add(module)
        return []

    return next((c for m in sorted(graph) if (c := visit(m, []))), [])


def leaves(graph: Graph) -> Graph:
    """The graph without packages, which are only lists of names."""
    packages = {m for m in graph if any(o.startswith(f"{m}.") for o in graph)}
    return {m: edges - packages for m, edges in graph.items() if m not in packages}


def longest_chain(graph: Graph) -> list[str]:
    """The longest chain of modules that import one another; needs no cycles."""
    best: dict[str, list[str]] = {}

    def visit(module: str) -> list[str]:
        if module not in best:
            tails = [visit(target) for target in sorted(graph[module])]
            best[module] = [module, *max(tails, key=len, default=[])]
        return best[module]

    return max((visit(module) for module in sorted(graph)), key=len)


def upward_imports(sources: Sources, layers: dict[str, int]) -> list[str]:
    found = []
    for module, source in sources.items():
        for target, name in targets(source, sources):
            here, there = unit(module), unit(target)
            if here == there or (there == "" and name == "__version__"):
                continue
            if layers.get(there, 99) >= layers.get(here, -1):
                found.append(f"{module} imports {target}")
    return found


def imports_through_init(sources: Sources) -> list[str]:
    """Names taken from a package instead of from the leaf that defines them."""
    root = min(sources, key=len)
    return [
        f"{module} takes {name or 'the package'} from {target}"
        for module, source in sources.items()
        for target, name in targets(source, sources)
        if is_package(target, sources) and (target, name) != (root, "__version__")
    ]


def foreign_imports(sources: Sources, library: str) -> dict[str, set[str]]:
    """Module -> dotted names that it imports from ``library``."""
    found: dict[str, set[str]] = {}
    for module, source in sources.items():
        names = {
            f"{m}.{n}" if n else m
            for m, n, _ in imports(source)
            if m.partition(".")[0] == library
        }
        if names:
            found[module] = names
    return found


def is_private(dotted: str) -> bool:
    return any(p.startswith("_") and not p.endswith("__") for p in dotted.split("."))


@pytest.fixture(scope="module")
def sources() -> Sources:
    return read_package(ROOT / "skaudio")


# ------------------------------------------------------------------ laws of skaudio


def test_the_package_is_read(sources):
    assert "skaudio" in sources
    assert "skaudio._utils._validation" in sources
    assert import_graph(sources)["skaudio._utils._validation"] == {
        "skaudio._utils._container",
        "skaudio._utils._decisions",
        "skaudio._utils._lazy",
        "skaudio._utils._rows",
        "skaudio._utils._sklearn",
        "skaudio._utils._types",
        "skaudio._utils._view_array",
    }


def test_every_module_has_a_layer(sources):
    units = {unit(module) for module in sources} - {""}
    assert units <= LAYERS.keys(), "give new modules a layer in LAYERS"


def test_the_table_in_contributing_is_this_one():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (.*?) \|", text, flags=re.MULTILINE)
    found = [(name, int(n)) for n, names in rows for name in re.findall(r"\w+", names)]
    assert dict(found) == LAYERS


def test_imports_point_downwards(sources):
    assert upward_imports(sources, LAYERS) == []


def test_imports_are_absolute(sources):
    relative = [m for m, s in sources.items() if any(i[2] for i in imports(s))]
    assert relative == []


def test_imports_go_from_leaf_to_leaf(sources):
    assert imports_through_init(sources) == []


def test_no_cycles(sources):
    assert find_cycle(import_graph(sources)) == []


def test_depth(sources):
    chain = longest_chain(leaves(import_graph(sources)))
    assert len(chain) <= MAX_DEPTH, " -> ".join(chain)


def test_private_sklearn_names_stay_in_one_module(sources):
    private = {
        module: sorted(filter(is_private, names))
        for module, names in foreign_imports(sources, "sklearn").items()
        if any(map(is_private, names))
    }
    assert private.keys() == {"skaudio._utils._sklearn"}, private


def test_only_training_imports_skorch(sources):
    users = {unit(module) for module in foreign_imports(sources, "skorch")}
    assert users <= {"_training"}


def test_networks_import_only_torch(sources):
    for library in ("sklearn", "skorch", "pandas"):
        users = {unit(module) for module in foreign_imports(sources, library)}
        assert "nn" not in users, f"skaudio.nn imports {library}"


# ------------------------------------------------------- the checks above can fail

TOY_LAYERS = {"low": 0, "_file": 1, "high": 2}


def toy(**changed: str) -> Sources:
    """A small package of two sub-packages and one module; ``__`` stands for a dot."""
    sources = {
        "toy": "",
        "toy.low": "from toy.low._a import a",
        "toy.low._a": "a = 1",
        "toy.low._b": "from toy.low._a import a",
        "toy._file": "def f():\n    from toy.low._b import a",
        "toy.high": "from toy.high._c import c",
        "toy.high._c": "from toy import __version__\nfrom toy._file import f",
    }
    return sources | {k.replace("__", "."): v for k, v in changed.items()}


def test_the_toy_package_is_clean():
    sources = toy()
    assert upward_imports(sources, TOY_LAYERS) == []
    assert imports_through_init(sources) == []
    assert find_cycle(import_graph(sources)) == []
    assert longest_chain(leaves(import_graph(sources))) == [
        "toy.high._c",
        "toy._file",
        "toy.low._b",
        "toy.low._a",
    ]


@pytest.mark.parametrize(
    ("source", "culprit"),
    [
        ("from toy.high._c import c", "toy.low._a imports toy.high._c"),
        ("def f():\n    import toy._file", "toy.low._a imports toy._file"),
        ("import toy.unknown", "toy.low._a imports toy.unknown"),
    ],
)
def test_upward_imports_are_found(source, culprit):
    assert upward_imports(toy(toy__low___a=source), TOY_LAYERS) == [culprit]


def test_imports_through_init_are_found():
    sources = toy(toy__high___c="from toy.low import a\nfrom toy.low import _a")
    assert imports_through_init(sources) == ["toy.high._c takes a from toy.low"]


def test_cycles_are_found():
    between_leaves = toy(toy__low___a="from toy.low._b import a")
    assert find_cycle(import_graph(between_leaves)) == [
        "toy.low._a",
        "toy.low._b",
        "toy.low._a",
    ]
    # toy.low._a -> toy.high._c runs toy.high's __init__ and from there comes back
    through_init = toy(toy__low___a="import toy.high._c")
    assert find_cycle(import_graph(through_init)) != []


def test_private_names_are_recognised():
    assert is_private("sklearn.utils._param_validation.Interval")
    assert is_private("sklearn.base._fit_context")
    assert not is_private("sklearn.__version__")
    assert not is_private("sklearn.utils.check_array")
