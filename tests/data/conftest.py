from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from prune_core.data import clear_cache

_spec = importlib.util.spec_from_file_location("files_on_disk", Path(__file__).with_name("files_on_disk.py"))
assert _spec and _spec.loader
files_on_disk = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(files_on_disk)


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty folder for data files; the cache of loaded data sets is empty before and after."""
    monkeypatch.setenv("PRUNE_LAB_DATA", str(tmp_path / "data"))
    clear_cache()
    yield tmp_path / "data"
    clear_cache()


@pytest.fixture
def written(data_folder):
    """The same folder with tiny files of every downloadable set; the module that wrote them."""
    files_on_disk.write_all(data_folder)
    return files_on_disk


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt to open an address fails as it does without a network; the list of addresses tried."""
    tried: list[str] = []

    def refuse(url, timeout=None):
        tried.append(url)
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return tried
