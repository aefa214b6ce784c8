"""The fake service of the page's tests against the real one: the same methods, which take and give the same."""

import ast
import inspect
from pathlib import Path
from typing import get_type_hints

import pytest

import lurk.web
from lurk.config.options import Settings
from lurk.jobs.open_queue import open_local_queue
from lurk.service.service import Service
from lurk.service.unit_view import UnitView
from lurk.storage.index_writer import show_in_study
from lurk.storage.render_store import open_renders
from tests.web.ui.fake import FakeService, FakeUnit

WEB = Path(lurk.web.__file__).parent


def methods(kind: type) -> set[str]:
    """Names of the public methods and properties of a class."""
    callables = {name for name, value in vars(kind).items() if inspect.isfunction(value) or hasattr(value, "__get__")}
    return {name for name in callables if not name.startswith("_")}


def signature(kind: type, name: str) -> list[tuple]:
    """Name, kind, default and type of each parameter, and what is returned; a fake unit stands for a real one."""
    found = inspect.getattr_static(kind, name)
    function = found if inspect.isfunction(found) else getattr(found, "func", None) or found.fget
    hints = get_type_hints(function)
    given = inspect.signature(function).parameters.values()
    gives = UnitView if hints.get("return") is FakeUnit else hints.get("return")
    return [*((one.name, one.kind, one.default, hints.get(one.name)) for one in given), ("return", gives)]


def used(variable: str) -> set[str]:
    """The attributes that the web package takes from a variable of that name, or from `self.` and that name."""
    trees = [ast.walk(ast.parse(file.read_text())) for file in WEB.rglob("*.py")]
    parts = [part for tree in trees for part in tree if isinstance(part, ast.Attribute)]
    return {part.attr for part in parts if ast.unparse(part.value) in (variable, f"self.{variable}")}


@pytest.mark.parametrize("name", sorted(methods(FakeService)))
def test_a_method_of_the_fake_is_one_of_the_service(name):
    assert name in methods(Service)
    assert signature(FakeService, name) == signature(Service, name)


@pytest.mark.parametrize("name", sorted(methods(FakeUnit)))
def test_a_method_of_a_fake_unit_is_one_of_a_unit(name):
    assert name in methods(UnitView)
    assert signature(FakeUnit, name) == signature(UnitView, name)


def test_the_fake_has_every_method_that_the_web_package_calls():
    called = used("service") & methods(Service)
    assert {"studies", "status", "ask", "media", "metrics", "cancel_job"} <= called
    assert called <= methods(FakeService)


def test_a_fake_unit_has_all_that_the_web_package_reads(toy_index):
    read = used("view") & set(dir(UnitView(toy_index, "conv", 0)))
    assert {"hits", "bars", "record", "seen", "no_classes"} <= read
    assert read <= set(dir(FakeService().unit("resnet18-birds", "conv1", 0)))


def test_what_the_fake_gives_has_the_keys_of_what_the_service_gives(toy_index, tmp_path):
    settings = Settings(model="toy", data="toy images")
    show_in_study(tmp_path, settings.study, toy_index.folder)
    service = Service({settings.study: settings}, tmp_path, open_local_queue(tmp_path), open_renders(tmp_path))
    service.verify(settings.study, "conv", 0)
    fake, study = FakeService(), "resnet18-birds"
    assert set(fake.status(study)) == set(service.status(settings.study))
    assert set(fake.grid(study, "conv1")) == set(service.grid(settings.study, "conv"))
    assert set(fake.jobs()[0]) <= set(service.jobs()[0])
    unit, real = fake.unit(study, "conv1", 0), service.unit(settings.study, "conv", 0)
    assert set(unit.hits("max")[0]) == set(real.hits("max")[0])
    assert set(unit.bars("max")[0]) == set(real.bars("max")[0])
    assert set(unit.to_json()) <= set(real.to_json())
