"""Rules of the project that no other tool checks. Each reads the tracked files, so that none is kept by hand."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from prune_core.clipping import ClipStrategy
from prune_core.data import DataSource
from prune_core.models import ModelSource
from prune_core.pruning import Criterion, Regrowth, Schedule

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("prune_core", "prune_ui")
FAMILIES = (DataSource, ModelSource, ClipStrategy, Criterion, Schedule, Regrowth)
# where an import is called otherwise than its package
PACKAGE_OF = {
    "xdist": "pytest-xdist",
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "importlinter": "import-linter",
    "zmq": "pyzmq",
}
# put together, so that this file itself does not hold them
FORBIDDEN = {
    "a path of one machine": re.compile("|".join(["/" + "work/", "/" + "root/", "/" + "tmp/lab", "/" + r"home/\w+/"])),
    "a package registry's host": re.compile("|".join(["py" + r"pi\.org", "npm" + r"js\.(org|com)", "/opt/" + "pypi"])),
}


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the project: those git knows, or all but the ignored ones where this is no checkout."""
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if git.returncode == 0 and git.stdout:
        return tuple(path for name in git.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())
    skipped = {".git", ".venv", "__pycache__"}
    return tuple(p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts))


def below(*folders: str, suffix: str = ".py") -> list[Path]:
    """Tracked files in ``folders``."""
    return [p for p in tracked() if p.suffix == suffix and p.relative_to(ROOT).parts[0] in folders]


def texts() -> Iterator[tuple[Path, str]]:
    """Every tracked file that is text."""
    for path in tracked():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def imports(path: Path) -> set[str]:
    """Dotted names of all that ``path`` imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def pins(name: str) -> dict[str, str]:
    """``{package: version}`` of a requirements file; every line must pin exactly."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            package, version = re.sub(r"\[.*\]", "", line).split("==")  # extras are pinned by the constraints
            found[re.sub(r"[-_.]+", "-", package).lower()] = version
    return found


# --- words -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_names(what):
    hits = {str(p.relative_to(ROOT)): m[0] for p, text in texts() if (m := FORBIDDEN[what].search(text))}
    assert hits == {}


def test_every_benchmark_has_a_line_in_performance_md():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    names = [p.name for p in below("benchmarks") if not any(part.startswith("_") for part in p.relative_to(ROOT).parts)]
    assert names, "there are benchmarks"
    assert [name for name in names if f"benchmarks/{name}" not in page] == []


def test_links_between_documents_lead_somewhere():
    pages = [p for p in tracked() if p.suffix == ".md"]
    links = [(p, to) for p in pages for to in re.findall(r"\]\(([^)#\s]+)[^)]*\)", p.read_text(encoding="utf-8"))]
    assert [(p.name, to) for p, to in links if "://" not in to and not (p.parent / to).exists()] == []


def test_decisions_are_numbered_without_gaps_and_short():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(p.name[:3]) for p in pages] == list(range(1, len(pages) + 1))
    long = {p.name: n for p in pages if (n := len(p.read_text(encoding="utf-8").splitlines())) > 30}
    assert long == {}


# --- code ------------------------------------------------------------------------------------------------------------
def test_files_stay_small():
    long = {str(p.relative_to(ROOT)): n for p in below(*PACKAGES) if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def test_the_engine_and_the_app_never_import_the_pages():
    assert [str(p) for p in below(*PACKAGES) if {"app", "pages"} & {name.split(".")[0] for name in imports(p)}] == []


def test_every_import_is_a_pinned_requirement():
    """Packages that others happen to bring along may vanish with them."""
    app = pins("requirements.txt")
    known = set(sys.stdlib_module_names) | set(PACKAGES)
    files = [p for p in tracked() if p.suffix == ".py"]
    local = {p.stem for p in files} | {p.parent.name for p in files}
    peers = {"fasterai"}  # a benchmark measures beside it where somebody has installed it
    missing = {}
    for path in below(*PACKAGES, "pages", "app.py", "tests", "benchmarks", "notebooks"):
        allowed = (
            app
            if path.relative_to(ROOT).parts[0] in (*PACKAGES, "pages", "app.py")
            else app | pins("requirements-dev.txt")
        )
        for name in {n.split(".")[0] for n in imports(path)} - known - local - peers:
            if PACKAGE_OF.get(name, name).replace("_", "-").lower() not in allowed:
                missing[name] = str(path.relative_to(ROOT))
    assert missing == {}


def test_pins_agree_with_the_constraints():
    lock = pins("constraints.txt")
    asked = pins("requirements.txt") | pins("requirements-dev.txt")
    assert {name: (version, lock.get(name)) for name, version in asked.items() if lock.get(name) != version} == {}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_import_linter_keeps_all_strategies_of_a_family_apart(family):
    """The contracts list modules; a strategy in a new file must be in one."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    apart = {m for contract in contracts if contract["type"] == "independence" for m in contract["modules"]}
    modules = {e.cls.__module__ for e in family.registry if e.cls.__module__.startswith("prune_core.")}
    assert {m for m in modules if not any(fnmatchcase(m, pattern) for pattern in apart)} == set()


def test_the_public_face_is_whole():
    """All that ``__all__`` promises is there, also what is loaded late."""
    pc = importlib.import_module("prune_core")
    assert [name for name in pc.__all__ if not hasattr(pc, name)] == []


# --- the commands ----------------------------------------------------------------------------------------------------
def test_make_targets_are_one_line_that_calls_a_script():
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if line and not line.startswith(".PHONY")]
    for line in lines:
        script = re.fullmatch(r"\w+:\s+; @(scripts/\w+)", line)
        assert script, line
        assert (ROOT / script[1]).stat().st_mode & 0o111, f"{script[1]} can be executed"


def test_every_browser_test_is_in_a_file_that_its_stage_reads():
    tests = [p for p in tracked() if p.name.startswith("test_") and p.suffix == ".py"]
    marked = {p for p in tests if "mark." + "browser" in p.read_text(encoding="utf-8")}
    assert marked == {p for p in tests if fnmatchcase(p.relative_to(ROOT).as_posix(), "tests/ui/*_browser.py")} != set()


def test_shell_scripts_parse():
    for path in [p for p in tracked() if p.parent.name in ("scripts", ".ci") and p.suffix != ".py"]:
        assert subprocess.run(["bash", "-n", str(path)], capture_output=True, check=False).stderr == b"", path.name
