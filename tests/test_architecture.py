"""The rules of the house: who may import whom, how long a file is, what never appears."""

import ast
import re
from pathlib import Path

import pytest

from jaxbeh.config import _Loader, yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "jaxbeh"
TREES = {
    path: ast.parse(path.read_text("utf-8"), str(path)) for path in sorted(PACKAGE.rglob("*.py"))
}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): tree for path, tree in TREES.items()}


def imported(node):
    """The names of modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else str(node.module) for name in names]
    return []


def imports(tree):
    return [(node, name) for node in ast.walk(tree) for name in imported(node)]


def row_of(module):
    """The row of the table below: the package or top-level module."""
    return [*module.split("."), ""][1]


def top_level_functions(tree):
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


COMMANDS = {
    module.removeprefix("jaxbeh.")
    for module, tree in MODULES.items()
    if module.count(".") == 1 and module != "jaxbeh.cli" and "main" in top_level_functions(tree)
}

BASE = {"errors", "finding", "regular", "settings", "vocabulary", "wording"}
LEARNING = BASE | {"config", "data", "features", "models", "metrics"}
ALL = LEARNING | {
    "console",
    "training",
    "inference",
    "provenance",
    "collection",
    "machine",
    "wheels",
}
MAY_IMPORT = {
    "": set(),
    "errors": set(),
    "finding": set(),
    "regular": set(),
    "wording": set(),
    "machine": {"finding"},
    "console": set(),
    "wheels": {"errors"},
    "provenance": set(),
    "settings": set(),
    "config": {"errors", "regular", "settings"},
    "vocabulary": {"errors"},
    "data": BASE,
    "features": BASE,
    "models": {"errors", "settings"},
    "metrics": {"errors", "vocabulary"},
    "collection": BASE | {"console", "data"},
    "training": LEARNING | {"machine"},
    "inference": LEARNING | {"training"},
    "tasks": LEARNING | {"training", "inference"},
    **dict.fromkeys(COMMANDS, ALL | {"tasks"}),
    "cli": COMMANDS | {"console", "errors"},
    "__main__": {"cli"},
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_up_the_table_only(module):
    own = row_of(module)
    assert own in MAY_IMPORT, f"{module} has no row in the table of packages"
    main = top_level_functions(MODULES[module]).get("main")
    lazy = {id(node) for node in ast.walk(main)} if main and own in COMMANDS else set()
    for node, name in imports(MODULES[module]):
        row = row_of(name)
        if name.split(".")[0] != "jaxbeh" or row == own or name == "jaxbeh":
            continue
        if row == "cli" and id(node) in lazy:
            continue  # a command's own `main` hands itself to the command line
        assert row in MAY_IMPORT[own], f"{module}:{node.lineno} imports {name}"


def test_imports_have_no_circle():
    """Among the statements that run when a module is imported."""
    above = {}
    for module, tree in MODULES.items():
        inside = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(node)
        }
        above[module] = {
            name for node, name in imports(tree) if name in MODULES and id(node) not in inside
        }
    done = set()

    def walk(module, way):
        assert module not in way, " → ".join([*way[way.index(module) :], module])
        if module not in done:
            for other in sorted(above[module]):
                walk(other, [*way, module])
            done.add(module)

    for module in above:
        walk(module, [])


def users_of(*libraries):
    """Rows of the table whose modules import one of the libraries."""
    return {
        row_of(module)
        for module, tree in MODULES.items()
        for _, name in imports(tree)
        if name.split(".")[0] in libraries
    }


def test_tables_are_read_where_tables_belong():
    assert users_of("pandas", "pyarrow") <= {"data", "metrics", "inference"} | COMMANDS


def test_plain_modules_stay_plain():
    heavy = users_of("jax", "flax", "optax", "orbax", "pandas", "pyarrow")
    assert not heavy & {"errors", "console", "config", "vocabulary", "cli"}


def test_readers_and_writers_do_not_import_jax(python):
    """Not even by way of another module; only the stores stand on the device."""
    stores = {"jaxbeh.data.store", "jaxbeh.data.pair_store", "jaxbeh.data.shards"}
    readers = [module for module in MODULES if row_of(module) == "data" and module not in stores]
    assert len(readers) > 10
    program = (
        "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    )
    program += "print(sorted({'jax', 'flax', 'pandas'} & set(sys.modules)))"
    done = python("-c", program, *readers)
    assert done.stderr == ""
    assert "jax" not in done.stdout


def test_programs_are_compiled_where_they_are_assembled():
    for module, tree in MODULES.items():
        if row_of(module) in {"training", "inference"}:
            continue
        for node in ast.walk(tree):
            compiles = isinstance(node, ast.Attribute) and node.attr in {"jit", "pjit", "pmap"}
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jax"):
                compiles = any(alias.name in {"jit", "pjit", "pmap"} for alias in node.names)
            assert not compiles, f"{module}:{node.lineno} compiles"


def test_results_leave_the_devices_through_one_function():
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            fetches = isinstance(node, ast.Attribute) and node.attr in {"device_get", "item"}
            if fetches and row_of(module) in {"training", "inference"}:
                assert module == "jaxbeh.training.fetch", f"{module}:{node.lineno} fetches"


HELP = """
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
heavy = {"jax", "jaxlib", "flax", "optax", "orbax", "pandas", "pyarrow", "modal"}
print("imported:", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "words",
    [["jaxbeh", "--help"], ["jaxbeh", "--version"]]
    + [["jaxbeh", name.replace("_", "-"), "--help"] for name in sorted(COMMANDS)]
    + [[f"jaxbeh.{name}", "--help"] for name in sorted(COMMANDS)],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(python, words):
    done = python("-c", HELP, *words)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "imported: []"


# Every file


def files(*endings):
    folders = ("jaxbeh", "tests", "benchmarks", "configs", ".ci")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    found += ROOT.glob("*")
    kept = [path for path in found if path.suffix in endings and "__pycache__" not in path.parts]
    return sorted(path for path in kept if path.is_file())


def test_a_file_has_one_concept_and_at_most_400_lines():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in files(".py")}
    assert {path: length for path, length in lengths.items() if length > 400} == {}
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [path for path in lengths if path.stem in vague] == []


def test_nothing_is_left_for_later():
    words = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]))
    for path in files(".py", ".yaml", ".toml", ".md", ""):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert not words.search(line), f"{path}:{number}"


def test_a_suppressed_warning_has_its_reason():
    suppressed = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:|pragma:)(?P<rest>.*)")
    for path in files(".py"):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            found = suppressed.search(line)
            if found and path != Path(__file__):
                assert re.search(r"# \w+", found["rest"]), f"{path}:{number} has no reason"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_unsafe_or_unclear(module):
    for node in ast.walk(MODULES[module]):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where} imports relatively"
            assert all(alias.name != "*" for alias in node.names), f"{where} imports *"
        for name in imported(node):
            unsafe = {"pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
            assert name.split(".")[0] not in unsafe, f"{where} imports {name}"
            assert not name.startswith("torch"), f"{where} imports {name}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "yaml.unsafe_load", "yaml.full_load"}, where
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert keywords.get("allow_pickle", "False") == "False", where
            if called == "yaml.load":
                assert keywords.get("Loader") in {"yaml.SafeLoader", "_Loader"}, where


def test_the_loader_of_settings_is_a_safe_one():
    assert issubclass(_Loader, yaml.SafeLoader)
    assert set(_Loader.yaml_constructors) == set(yaml.SafeLoader.yaml_constructors)
