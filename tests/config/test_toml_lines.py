import tomllib

import pytest

from lurk.config.toml_lines import line_of, syntax_error

TEXT = """# a comment

[server]
port = 1
name = '''
two = 3
'''
list = [
  1,
  # two = 4
]

[[study]]
a = "x" # b = 1
[[study]]
"b" = 1
c.d = 2
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ((), 1),
        (("server",), 3),
        (("server", "port"), 4),
        (("server", "name"), 5),
        (("server", "list"), 8),
        (("study", 0), 13),
        (("study", 1), 15),
        (("study", 1, "b"), 16),
        (("study", 1, "c"), 17),
        (("study", 1, "missing"), 18),
        (("study", 2), 18),
        (("server", 0), 18),
    ],
)
def test_a_line_is_where_a_thing_begins(keys, line):
    assert line_of(TEXT, keys) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ("a = [1,\n2\n", 1),
        ("b = 1\na = [1,\n2\n", 2),
        ('a = 1\nb = "x\n', 2),
        ("a = '''\n\n", 1),
    ],
)
def test_a_syntax_error_has_a_line_and_no_brackets(text, line):
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        tomllib.loads(text)
    found, words = syntax_error(text, error.value)
    assert found == line
    assert "(at" not in words


def test_a_long_file_is_searched_quickly_enough(monkeypatch):
    text = "".join(f"[[study]]\nmodel = 'm{number}'\n" for number in range(1000))
    loads, tries = tomllib.loads, []
    monkeypatch.setattr(tomllib, "loads", lambda part: tries.append(1) or loads(part))
    assert line_of(text, ("study", 700)) == 1401
    assert len(tries) < 20
