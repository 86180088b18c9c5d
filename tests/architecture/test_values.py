"""Values keep their names: what is passed on is a dataclass, a model or a TypedDict, not a bag."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = [path for path in ROOT.glob("*/*/kompetensnav_*/**/*.py") if "versions" not in path.parts]
BAG = "dict[str, Any]"
MOST = 100
"""What is left: JSON of others, and columns that hold it."""


def test_few_values_are_bags_of_anything():
    assert len(PRODUCT) > 200
    left = {str(path.relative_to(ROOT)): path.read_text().count(BAG) for path in PRODUCT}
    assert sum(left.values()) <= MOST, {name: n for name, n in left.items() if n}


def test_no_action_takes_or_returns_a_bag_of_anything():
    """Nor does one pass on what it does not name (`**values: Any`)."""
    found = []
    for path in PRODUCT:
        if not re.search(r"kompetensnav_\w+/(?:\w+/)?actions(?:\.py|/)", str(path)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            every = [*node.args.args, *node.args.kwonlyargs]
            said = [ast.unparse(arg.annotation) for arg in every if arg.annotation]
            said += [ast.unparse(node.returns)] if node.returns else []
            rest = node.args.kwarg and ast.unparse(node.args.kwarg.annotation)
            if any(BAG in each for each in said) or rest == "Any":
                found.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert found == []
