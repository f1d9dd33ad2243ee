"""The project as a whole: what is packed, what an import costs, and who may import whom."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = {name: ROOT / folder for name, folder in SETUP["package-dir"].items()}

# A layer may import itself and those named here, and nothing else of ours.
MAY_IMPORT = {"envs": set(), "ram": {"envs"}, "agents": {"envs", "ram"}, "configs": set()}

HEAVY = ("torch", "stable_baselines3", "matplotlib", "sklearn", "scipy", "tensorboard", "pygame",
         "PIL", "imageio", "pooch", "jsonargparse")  # fmt: skip

# Extras of their own environments: what `agents/examples` is written for. Top-level modules.
CLIENTS = {"torchrl": {"torchrl", "tensordict"}, "tianshou": {"tianshou"}, "rllib": {"ray"},
           "ray": {"ray"}, "zoo": {"rl_zoo3"}, "hf": {"datasets"}, "minigrid": {"minigrid"},
           "atari": {"ale_py"}}  # fmt: skip


def source_files():
    """The Python files of the package: those of the layers, and the root's own."""
    files = [path for layer in MAY_IMPORT for path in (ROOT / layer).rglob("*.py")]
    return [*sorted(files), *ROOT.glob("*.py")]


def run_python(code, folder, **environment):
    """Run `code` in a fresh interpreter in `folder`; its output."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, built from a copy of the tree and unpacked; the folder it was unpacked into."""
    top = tmp_path_factory.mktemp("wheel")
    tree = top / "tree"
    tree.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    for layer in MAY_IMPORT:
        shutil.copytree(ROOT / layer, tree / layer, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [*build, "--wheel-dir", str(top), str(tree)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = top.glob("saccade-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(top / "site")
    return top / "site"


def test_every_folder_with_code_is_a_listed_package():
    found = {"saccade"}
    for path in source_files():
        parts = path.relative_to(ROOT).parts[:-1]
        found.add(".".join(("saccade", *parts)))
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"
    assert set(SETUP["packages"]) == set(FOLDERS) == found


def test_no_module_lies_loose_at_the_root():
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_wheel_holds_the_package_and_nothing_else(installed):
    wanted = {Path("saccade") / path.relative_to(ROOT) for path in source_files()}
    wanted |= {Path("saccade") / path.relative_to(ROOT) for path in ROOT.glob("configs/**/*.yaml")}
    wanted |= {
        Path("saccade") / path.relative_to(ROOT)
        for path in ROOT.glob("agents/examples/rl_zoo3/*.yml")
    }
    wanted |= {Path("saccade/py.typed"), Path("saccade/agents/report.html.jinja")}
    found = {
        path.relative_to(installed) for path in (installed / "saccade").rglob("*") if path.is_file()
    }
    assert found == wanted
    (other,) = [path for path in installed.iterdir() if path.name != "saccade"]
    assert other.name.endswith(".dist-info")


def test_every_module_of_the_wheel_imports(installed):
    code = f"""
import importlib, pkgutil, saccade
for module in pkgutil.walk_packages(saccade.__path__, "saccade."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as missing:  # an example of a client that is not installed
        example = module.name.startswith("saccade.agents.examples.")
        if not example or missing.name not in {set().union(*CLIENTS.values())}:
            raise
    print(module.name)
print(saccade.__file__)
"""
    names = run_python(code, installed.parent, PYTHONPATH=str(installed)).split()
    assert Path(names.pop()) == installed / "saccade" / "__init__.py"
    files = {path.relative_to(ROOT).with_suffix("") for path in source_files()}
    dotted = {".".join(("saccade", *path.parts)).removesuffix(".__init__") for path in files}
    assert set(names) == dotted - {"saccade"}


def test_import_saccade_is_light_and_touches_no_data(tmp_path):
    quiet = {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    code = f"""
import sys
opened = []
def watch(event, details):
    if event == "open" and not str(details[0]).endswith((".py", ".pyc")):
        opened.append(str(details[0]))
    if event in ("os.mkdir", "socket.connect"):
        opened.append(event)
import gymnasium
sys.addaudithook(watch)
import saccade, saccade.envs, saccade.envs.datasets
print([name for name in {HEAVY} if name in sys.modules], opened)
"""
    assert run_python(code, tmp_path, **quiet).strip() == "[] []"


def test_an_import_under_the_folders_own_name_registers_nothing(tmp_path):
    (tmp_path / "checkout").symlink_to(ROOT, target_is_directory=True)
    code = "import sys, checkout; print([name for name in sys.modules if 'checkout.' in name])"
    assert run_python(code, tmp_path).strip() == "[]"


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_run_one_way(layer):
    allowed = MAY_IMPORT[layer] | {layer}
    for path in (ROOT / layer).rglob("*.py"):
        for line, target in own_imports(path):
            assert target in allowed, f"{path.relative_to(ROOT)}:{line} imports {target}"


def own_imports(path):
    """(line, layer) for each import of ours in a file: all relative, wherever they stand."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module.split(".") if node.module else ()))
            # `from .. import name` is a layer or something of the root's own
            names = [target[0]] if target else [alias.name for alias in node.names]
            layers = [name for name in names if target or (ROOT / name).is_dir()]
            yield from ((node.lineno, layer) for layer in layers)
            continue
        else:
            continue
        for name in names:
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            assert name.split(".")[0] != "saccade", f"{where}: imports of ours are relative"


def test_every_requirement_has_a_pin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for name, extra in project["optional-dependencies"].items():
        wanted += [] if name in CLIENTS else extra
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonical(line.split("==")[0]) for line in lines if line and line[0] != "#"}
    assert {canonical(requirement_name(line)) for line in wanted} <= pinned
    assert "torch==2.13.0" in lines


def requirement_name(requirement):
    return requirement.split(">")[0].split("[")[0].strip()


def canonical(name):
    return name.lower().replace("_", "-")


def test_every_file_is_written_whole():
    """Nothing puts text or bytes in place by itself: `envs/files.py` does."""
    scripts = [path for part in ("docs", "results") for path in (ROOT / part).glob("*.py")]
    alone = re.compile(
        r"""\.write_(text|bytes)\(|\bopen\(.*["'][wax][b+]*["']|\.savefig\(["'A-Z]"""
    )
    for path in [*source_files(), *scripts]:
        if path != ROOT / "envs" / "files.py":
            assert not alone.search(path.read_text()), path
