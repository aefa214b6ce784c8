from lurk.worker import memory


def test_the_machine_tells_its_memory():
    assert memory.memory_bytes() > 1 << 28


def test_a_container_allows_less(tmp_path, monkeypatch):
    file = tmp_path / "memory.max"
    file.write_text("1048576\n")
    monkeypatch.setattr(memory, "LIMITS", (str(file), str(tmp_path / "none")))
    assert memory.memory_bytes() == 1 << 20
    file.write_text("max\n")
    assert memory.memory_bytes() > 1 << 20


def test_where_nothing_is_told_it_is_four_gigabytes(monkeypatch):
    monkeypatch.setattr(memory, "LIMITS", ())
    monkeypatch.setattr(memory, "_machine", lambda: None)
    assert memory.memory_bytes() == 4 << 30
