import importlib
import sys
import threading
import time

import pytest

from lurk.errors import ModelError
from lurk.registry import Registry

ENTER = "from plugins import TABLE\n\nTABLE.register(__name__.partition('.')[2])(4)\n"


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Folder of a package `plugins` whose `TABLE` is filled by its files."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from lurk.registry import Registry\n\nTABLE = Registry[int]('plugins', '--shape')\n"
    )
    (folder / "circle.py").write_text(ENTER)
    (folder / "square.py").write_text(ENTER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "plugins"]:
        del sys.modules[name]


def table_of(folder):
    importlib.invalidate_caches()
    return importlib.import_module(folder.name).TABLE


def test_an_unknown_name_lists_the_good_ones_and_the_flag():
    table = Registry[int]("lurk.web", "--shape", ModelError)
    table.register("square")(4)
    table.register("circle")(1)
    with pytest.raises(ModelError, match=r"--shape 'star'; known are: circle, square"):
        table["star"]


def test_entries_are_found_by_name():
    table = Registry[int]("lurk.web", "--shape")
    table.register("square")(4)
    assert table["square"] == 4
    assert list(table) == ["square"]
    assert "square" in table
    assert "star" not in table


def test_a_new_file_in_the_folder_is_a_new_entry(plugins):
    (plugins / "star.py").write_text(ENTER)
    assert list(table_of(plugins)) == ["circle", "square", "star"]


@pytest.mark.parametrize("look", [list, lambda table: table["circle"], lambda table: "circle" in table])
def test_each_look_up_raises_while_a_file_fails_to_import(plugins, look):
    (plugins / "middle.py").write_text("import no_such_package\n")
    table = table_of(plugins)
    for _ in range(3):
        with pytest.raises(ModuleNotFoundError, match="no_such_package"):
            look(table)


def test_a_table_is_whole_once_the_file_imports(plugins):
    (plugins / "middle.py").write_text("import no_such_package\n")
    table = table_of(plugins)
    with pytest.raises(ModuleNotFoundError):
        list(table)
    (plugins / "middle.py").write_text(ENTER)
    importlib.invalidate_caches()
    assert list(table) == ["circle", "middle", "square"]


def test_a_file_may_look_at_the_table_while_it_is_filled(plugins):
    (plugins / "double.py").write_text(
        "from plugins import TABLE\n\nTABLE.register('double')(2 * TABLE['square'])\nassert 'circle' in TABLE\n"
    )
    assert table_of(plugins)["double"] == 8


def test_a_file_imported_by_itself_may_look_at_the_table(plugins):
    (plugins / "double.py").write_text("from plugins import TABLE\n\nTABLE.register('double')(2 * TABLE['square'])\n")
    table = table_of(plugins)
    importlib.import_module("plugins.double")
    assert list(table) == ["circle", "double", "square"]


def test_threads_that_look_up_at_once_all_see_the_whole_table(plugins):
    (plugins / "slow.py").write_text("import time\n\ntime.sleep(0.2)\n" + ENTER)
    table, seen = table_of(plugins), []

    def look(pause_s):
        time.sleep(pause_s)
        seen.append(list(table))

    threads = [threading.Thread(target=look, args=(number * 0.02,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["circle", "slow", "square"]] * 8
