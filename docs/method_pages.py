"""Write the methods into README.md and docs/methods.md, from what each method says of itself.

python docs/method_pages.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- methods -->", "<!-- /methods -->"


def main() -> None:
    """Replace the text between the marks of both pages."""
    sys.path.insert(0, str(ROOT))
    from lurk.methods import METHODS

    specs = [METHODS[name].spec for name in METHODS]
    rows = [f"| `{spec.name}` | {spec.gives} | {spec.shows} |" for spec in specs]
    _fill(ROOT / "README.md", ["| method | gives | what is seen |", "|---|---|---|", *rows])
    sections = []
    for spec in specs:
        needs = ", ".join(spec.needs)
        sections += [f"### `{spec.name}`", "", spec.shows, ""]
        kind = f"{'signed ' if spec.signed else ''}{spec.gives}"
        sections += [f"Takes {needs}; gives a {kind}. Version {spec.version}.", ""]
        sections += [f"How it misleads: {spec.caution}", "", spec.paper, ""]
        sections += [f"- `{option.name}`, {option.default}: {option.help}" for option in spec.options]
        sections += [""] if spec.options else []
    _fill(ROOT / "docs" / "methods.md", sections)


def _fill(file: Path, lines: list[str]) -> None:
    before, _, rest = file.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text("\n".join([before + BEGIN, *lines, END + after]))


if __name__ == "__main__":
    main()
