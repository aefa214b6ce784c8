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
    ("is_there", "line"),
    [
        (lambda table: "server" in table, 3),
        (lambda table: "port" in table.get("server", {}), 4),
        (lambda table: "name" in table.get("server", {}), 5),
        (lambda table: "list" in table.get("server", {}), 8),
        (lambda table: len(table.get("study", ())) > 0, 13),
        (lambda table: len(table.get("study", ())) > 1, 15),
        (lambda table: len(table.get("study", ())) > 1 and "b" in table["study"][1], 16),
        (lambda table: len(table.get("study", ())) > 1 and "c" in table["study"][1], 17),
        (lambda table: False, 18),
    ],
)
def test_a_line_is_where_a_thing_begins(is_there, line):
    assert line_of(TEXT, is_there) == line


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


def test_a_long_file_is_searched_quickly_enough():
    text = "".join(f"[[study]]\nmodel = 'm{number}'\n" for number in range(1000))
    tries = []

    def is_there(table):
        tries.append(1)
        return len(table.get("study", ())) > 700

    assert line_of(text, is_there) == 1401
    assert len(tries) < 20
