from torch import nn

from lurk.models.programs.steps import Step, make_body, part_kind


def test_a_value_is_forgotten_after_its_last_use():
    left = []

    def doubled(name, to):
        def run(values):
            left.append(set(values))
            values[to] = 2 * values[name]

        return Step(run, (name,), (to,))

    body = make_body(["a"], [doubled("a", "b"), doubled("b", "c"), doubled("b", "d"), doubled("d", "e")], ["c", "e"])
    assert body.run({"a": 1}) == [4, 8]
    assert left == [{"a"}, {"b"}, {"b", "c"}, {"c", "d"}]


def test_a_part_has_the_name_and_the_nature_of_the_original():
    made = part_kind(nn.Identity, "torch.nn.modules.conv.Conv2d")
    assert made.__name__ == "Conv2d"
    assert issubclass(made, nn.Conv2d)
    assert part_kind(nn.Identity, "mine.net.Block").__name__ == "Block"
    assert part_kind(nn.Identity, "mine.net.<locals>").__name__ == "Identity"
