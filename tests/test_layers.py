"""Imports point down: each package may import those before it, and none after."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS: dict[str, set[str]] = {
    "memory": set(),
    "kbs": {"memory"},
    "tools": {"memory", "kbs"},
    "agent": {"memory", "kbs", "tools"},
    "api": {"memory", "kbs", "tools", "agent"},
    "evals": {"memory", "kbs", "tools", "agent"},
}
MODULES = sorted(path for package in LAYERS for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of the absolute imports of a file, wherever in it they stand."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_what_lies_below(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    climbs = imported(path) & (set(LAYERS) | {"tests"}) - LAYERS[package] - {package}
    assert not climbs, f"{path.relative_to(ROOT)} imports {sorted(climbs)}"


def test_a_climb_is_found(tmp_path: Path) -> None:
    climbing = tmp_path / "climbing.py"
    climbing.write_text("def f():\n    from api.app import create_app\n    return create_app\n")
    assert imported(climbing) & {"api"}


def test_every_module_has_a_docstring() -> None:
    silent = [
        str(path.relative_to(ROOT)) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert [path for path in silent if "migrations/versions" not in path] == []


def test_the_environment_is_read_in_one_place() -> None:
    """The libraries' own switches may be set elsewhere; values are read in `agent/settings.py` alone."""
    readers = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.getenv", "os.environ.get"}
    }
    assert readers <= {"agent/settings.py"}


def room_of(module: str) -> str:
    """`tools.tickets` of `tools.tickets.editing`; a file beside the rooms is one of its own."""
    return ".".join(module.split(".")[:2])


def rooms() -> dict[str, set[str]]:
    """Which rooms of its own package each room imports from."""
    found: dict[str, set[str]] = {}
    for path in MODULES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        room = room_of(".".join(parts))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == parts[0]:
                named = [node.module] if "." in node.module else [f"{node.module}.{each.name}" for each in node.names]
                found.setdefault(room, set()).update({room_of(each) for each in named} - {room})
    return found


def circle_in(rooms: dict[str, set[str]]) -> list[str]:
    """Rooms of which each is reached from the one before, and the first from the last; none where none is."""
    left = {room: set(reached) for room, reached in rooms.items()}
    while loose := [room for room in left if not left[room] & left.keys()]:
        for room in loose:
            del left[room]
    walk = [min(left)] if left else []
    while walk and len(set(walk)) == len(walk):
        walk.append(min(left[walk[-1]] & left.keys()))
    return walk[walk.index(walk[-1]) :] if walk else []


def test_rooms_of_a_package_go_in_no_circle() -> None:
    assert circle_in(rooms()) == []


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c", "d"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
