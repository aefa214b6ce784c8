from dataclasses import replace

from lurk.storage.diagnosis import FAILURE, read_diagnosis, read_summary, write_diagnosis, write_failure
from lurk.storage.results import result_folder


def test_what_was_found_belongs_to_one_sweep(toy_index):
    folder, swept = toy_index.folder, toy_index.manifest.provenance
    assert read_diagnosis(folder, swept) is None
    write_diagnosis(folder, swept, ["red and blue are exchanged"], "all", "checked on 9")
    assert read_diagnosis(folder, swept) == ("red and blue are exchanged",)
    assert read_summary(folder, swept) == "checked on 9"
    assert read_diagnosis(folder, replace(swept, preprocessing="another")) is None


def test_a_failure_is_told_until_the_study_has_been_examined(toy_index):
    folder, swept = toy_index.folder, toy_index.manifest.provenance
    assert read_summary(folder, swept) == ""
    write_failure(folder, "no memory")
    assert read_summary(folder, swept) == "the preprocessing could not be checked: no memory"
    assert read_diagnosis(folder, swept) is None
    write_diagnosis(folder, swept, [], "all", "nothing looks wrong")
    assert read_summary(folder, swept) == "nothing looks wrong"
    assert not (folder / FAILURE).exists()


def test_nothing_wrong_is_not_the_same_as_not_examined(toy_index):
    write_diagnosis(toy_index.folder, toy_index.manifest.provenance, [], "all", "")
    assert read_diagnosis(toy_index.folder, toy_index.manifest.provenance) == ()


def test_a_damaged_file_counts_as_not_examined(toy_index):
    folder, swept = toy_index.folder, toy_index.manifest.provenance
    write_diagnosis(folder, swept, ["wrong"], "all", "")
    for file in result_folder(folder, "x").parent.parent.glob("*/*/result.json"):
        file.write_text("{")
    assert read_diagnosis(folder, swept) is None
