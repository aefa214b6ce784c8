import argparse
import dataclasses

import pytest

from lurk.config.options import OWN_PATHS, Settings, add_options, flag, pass_to_workers, settings_from
from lurk.errors import LurkError
from lurk.web.auth.access import TokenAccess
from lurk.web.ui.app import create_app
from tests.web.ui.fake import FakeService


def parse(*arguments, environment=None):
    parser = argparse.ArgumentParser()
    add_options(parser, tuple(item.name for item in dataclasses.fields(Settings)))
    return settings_from(vars(parser.parse_args(arguments)), environment or {})


def test_defaults_are_those_of_the_design():
    settings = parse()
    assert (settings.model, settings.data, settings.top, settings.host, settings.device) == (
        "efficientnet_lite0",
        "demo",
        9,
        "127.0.0.1",
        "auto",
    )
    assert settings.port is None


def test_a_flag_wins_over_the_environment():
    environment = {"LURK_TOP": "5", "LURK_MODEL": "vgg16", "LURK_NO_BROWSER": "1"}
    settings = parse("--top", "7", environment=environment)
    assert (settings.top, settings.model, settings.no_browser) == (7, "vgg16", True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--top", "0"), "--top"),
        (("--sample", "-1"), "--sample"),
        (("--port", "70000"), "--port"),
        (("--layers", "("), "--layers"),
    ],
)
def test_a_bad_value_names_its_flag(arguments, named):
    with pytest.raises(LurkError, match=named):
        parse(*arguments)


def test_a_bad_number_in_the_environment_names_its_variable():
    with pytest.raises(LurkError, match="LURK_TOP"):
        parse(environment={"LURK_TOP": "many"})


def test_study_name_is_plain_where_nothing_special_is_asked():
    assert Settings().study == "efficientnet_lite0-demo"
    assert Settings(model="resnet18").study == "resnet18-demo"


def test_study_names_differ_where_results_differ(tmp_path):
    given = [
        Settings(),
        Settings(weights="random"),
        Settings(top=5),
        Settings(sample=3),
        Settings(layers="conv"),
        Settings(data=str(tmp_path)),
        Settings(data=str(tmp_path / "other" / tmp_path.name)),
    ]
    assert len({settings.study for settings in given}) == len(given)


def test_study_does_not_depend_on_how_it_is_computed():
    assert Settings(batch_size=3, workers=2, device="cpu", port=1).study == Settings().study


def test_a_spec_gives_the_settings_back(tmp_path):
    settings = Settings(
        model="resnet18", weights="random", sample=3, layers="layer1", top=4, batch_size=2, cache=str(tmp_path)
    )
    assert Settings.from_spec(settings.sweep_spec(), tmp_path) == settings


def test_every_option_has_help_and_a_flag():
    for item in dataclasses.fields(Settings):
        assert item.metadata["help"]
        assert flag(item.name).startswith("--")


def test_a_study_keeps_its_name_when_its_folder_is_gone(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    before = Settings(data=str(folder)).study
    folder.rmdir()
    assert Settings(data=str(folder)).study == before


def test_a_part_of_a_weights_file_stays_with_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Settings(weights="runs/a.ckpt:ema").identity["weights"] == f"{tmp_path}/runs/a.ckpt:ema"
    assert Settings(weights="a.tar").identity["weights"] == f"{tmp_path}/a.tar"
    assert Settings(weights="random").identity["weights"] == "random"


def test_a_given_name_is_the_studys_and_travels_with_its_spec(tmp_path):
    settings = Settings(name="birds", cache=str(tmp_path))
    assert settings.study == settings.sweep_spec().study == "birds"
    assert Settings.from_spec(settings.sweep_spec(), tmp_path) == settings
    assert settings.identity == Settings().identity


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-a", "ä", "a\n", "x" * 81, "%2e"])
def test_a_name_that_is_no_part_of_an_address_is_refused(name):
    with pytest.raises(LurkError, match="--name must be"):
        Settings(name=name)


def test_names_made_of_long_options_fit_into_a_file_name():
    settings = Settings(model="m" * 900 + ".py:make", data="d" * 900)
    assert len(settings.study) <= 80
    assert Settings(name=settings.study).study == settings.study


def test_flags_and_environment_win_over_a_file():
    config = {"port": 1, "host": "::1", "no_browser": True}
    settings = settings_from({"port": 3}, {"LURK_HOST": "localhost"}, config)
    assert (settings.port, settings.host, settings.no_browser) == (3, "localhost", True)


def test_the_memory_is_passed_to_workers_by_the_environment(monkeypatch):
    monkeypatch.delenv("LURK_MEMORY", raising=False)
    pass_to_workers(Settings())
    assert settings_from({}).memory is None
    monkeypatch.setenv("LURK_MEMORY", "1")
    pass_to_workers(Settings(memory=7))
    assert settings_from({}).memory == 7


def test_workers_learn_the_size_of_the_one_store_of_images_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LURK_KEEP_IMAGES", "1")
    pass_to_workers(Settings(keep_images=7))
    assert Settings.from_spec(Settings().sweep_spec(), tmp_path).keep_images == 7


@pytest.mark.parametrize(
    ("given", "prefix"),
    [("", None), ("/", None), ("/lurk", "/lurk"), ("lurk/", "/lurk"), ("/user/me/proxy/8050/", "/user/me/proxy/8050")],
)
def test_a_path_prefix_has_a_slash_before_it_and_none_behind_it(given, prefix):
    assert Settings(path_prefix=given).path_prefix == prefix


@pytest.mark.parametrize(
    "given", ["/a b", "/a//b", "/..", "/./a", "http://x/y", "/a?b", "/ä", "/a\n", "/%2e%2e", "/a;b", '/"x']
)
def test_a_path_prefix_that_is_no_plain_path_is_refused(given):
    with pytest.raises(LurkError, match="--path-prefix is a path such as /lurk"):
        Settings(path_prefix=given)


def test_a_path_prefix_that_begins_like_an_address_of_the_page_is_refused():
    rules = create_app(FakeService(), access=TokenAccess("key", "secret", "boss")).server.url_map.iter_rules()
    ours = {rule.rule.split("/")[1] for rule in rules} - {"", "<path:path>"} | {"s", "jobs"}
    assert {name for name in ours if not name.startswith("_")} == set(OWN_PATHS)
    for name in ours:
        with pytest.raises(LurkError, match="begins like an address of the page's own"):
            Settings(path_prefix=f"/{name}/x")
