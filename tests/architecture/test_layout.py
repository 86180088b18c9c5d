"""The layout of the code and its pages: what import-linter cannot see."""

import ast
import re
import subprocess
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from kompetensnav_topology import stack
from support.packages import shared_by

ROOT = Path(__file__).parents[2]
SERVICES = sorted(p.name for p in (ROOT / "services").iterdir() if p.is_dir())
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {c["id"]: c for c in LINTER["contracts"]}
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]  # fmt: skip
MODULES = [p for p in TRACKED if p.suffix == ".py"]
OURS = [p for p in MODULES if re.search(r"/kompetensnav_\w+/", str(p)) and "/versions/" not in str(p)]


def short(path):
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else str(path)


@cache
def parsed(module):
    return ast.parse(module.read_text())


def test_every_service_is_in_the_import_contracts():
    packages = [f"kompetensnav_{name}" for name in SERVICES]
    assert sorted(name.strip() for name in CONTRACTS["distributions"]["layers"][0].split("|")) == packages
    in_slices = CONTRACTS["slices"]["containers"]
    assert sorted([*CONTRACTS["layers"]["containers"], *in_slices]) == packages
    assert CONTRACTS["layers"]["exhaustive"]
    assert CONTRACTS["slices"]["exhaustive"]


def test_every_slice_of_the_registry_is_in_the_import_contracts():
    """A folder with layers in it is a slice, and each slice is held inside and between."""
    package = ROOT / "services/registry/kompetensnav_registry"
    slices = {p.parent.name for p in package.glob("*/actions*")}
    held = {name.removeprefix("kompetensnav_registry.") for name in CONTRACTS["slice-layers"]["containers"]}
    assert slices == held <= set(CONTRACTS["slices"]["layers"])
    assert CONTRACTS["slice-layers"]["exhaustive"]


def test_every_service_is_among_the_root_packages():
    packages = [f"kompetensnav_{name}" for name in SERVICES]
    assert set(packages) <= set(LINTER["root_packages"])


def test_every_domain_and_engine_is_held_pure():
    pure = set(CONTRACTS["domain-is-pure"]["source_modules"])
    for service in SERVICES:
        for room in ("domain", "engine"):
            package = ROOT / f"services/{service}/kompetensnav_{service}"
            for path in (*package.rglob(f"{room}.py"), *package.rglob(room)):
                module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
                assert module in pure


@pytest.mark.parametrize("service", SERVICES)
def test_service_depends_only_on_shared(service):
    project = tomllib.loads((ROOT / f"services/{service}/pyproject.toml").read_text())["project"]
    ours = shared_by(service)
    shared = {"kompetensnav-contracts", "kompetensnav-chassis"}
    assert shared <= ours <= shared | {"kompetensnav-pages"}
    assert project["name"] == f"kompetensnav-{service}"


def test_every_module_says_which_layer_it_is():
    silent = [short(m) for m in MODULES if not ast.get_docstring(parsed(m))]
    assert MODULES
    assert silent == [], "every module opens with a docstring"


def test_every_module_has_at_most_500_lines():
    migrations = [m for m in MODULES if "/versions/" in str(m)]
    assert migrations
    lines = {short(m): len(m.read_text().splitlines()) for m in (*OURS, *migrations)}
    assert len(lines) > 200
    assert {m: n for m, n in lines.items() if n > 500} == {}


def test_public_functions_and_classes_have_docstrings():
    bare = [
        f"{short(module)}: {node.name}"
        for module in OURS
        for node in parsed(module).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not any(getattr(one, "id", "") == "overload" for one in node.decorator_list)
    ]
    assert bare == []


WIDE = {".lock", ".json", ".csv", ".sum"}


def test_no_line_is_over_110_characters():
    long = []
    for path in TRACKED:
        if path.suffix in WIDE or path.name in {"LICENSE", "events.md"} or b"\0" in path.read_bytes()[:1000]:
            continue
        is_table = path.suffix == ".md"  # a row of a Markdown table cannot be broken
        for n, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > 110 and not (is_table and line.startswith("|")):
                long.append(f"{short(path)}:{n}")
    assert long == []


def test_no_importable_package_is_called_shared():
    assert not (ROOT / "shared/__init__.py").exists()
    assert not [p for p in TRACKED if p.name in {"utils.py", "helpers.py", "common.py", "base.py"}]


def test_nothing_forbidden_is_tracked():
    registries = re.compile("py" + "pi[.]org|python" + "hosted|npm" + "js[.]org|deb[.]debian")
    for path in TRACKED:
        text = path.read_bytes()
        assert path.name != "uv.lock"
        assert not registries.search(text.decode(errors="ignore")), f"{path} names a package registry"
        assert ("/wo" + "rk/").encode() not in text, f"{path} holds a path of somebody's machine"


def test_every_pinned_package_has_a_hash():
    lock = (ROOT / "requirements.lock").read_text()
    names = re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9._-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(names) == len(blocks) > 50
    assert all("--hash=sha256:" in block for block in blocks)
    assert "http" not in re.sub(r"^[a-z0-9._-]+==.*", "", lock, flags=re.MULTILINE)


PACED = {"proxy.py", "load.py", "soak.py"}
"""A proxy's delay, people's pace and how long a strike lasts are what these are for."""


def test_tests_are_named_by_what_they_prove_and_not_by_numbers():
    """Faults (F1 to F20) and invariants (I1 to I12) have names of their own."""
    tests = [p for p in MODULES if p.name.startswith("test_")]
    assert len(tests) > 60
    numbered = re.compile(r"^(?:async )?def test_\d|^\"\"\"(?:Items? )?\d", re.MULTILINE)
    assert [short(p) for p in tests if p.name[5].isdigit() or numbered.search(p.read_text())] == []


def test_no_test_sleeps():
    paths = [p for p in MODULES if "/tests/" in str(p) and p.name not in PACED]
    called = [
        f"{short(path)}:{node.lineno}"
        for path in paths
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr == "sleep"
    ]
    assert len(paths) > 80
    assert called == [], "wait for what you need with eventually()"


def test_no_property_is_held_to_a_time():
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def at_import(node):
    """Every node that runs when a module is imported: all but the insides of its functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in (*child.decorator_list, child.args):
                yield from ast.walk(each)
        elif not isinstance(child, ast.Lambda):
            yield child
            yield from at_import(child)


def test_no_day_or_moment_is_kept_from_the_import():
    """A service lives for weeks and a run of the tests passes midnight: ask the clock when you need it."""
    kept = [
        f"{short(path)}:{node.lineno}"
        for path in MODULES
        for node in at_import(parsed(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in {"now", "today", "utcnow", "monday"}
        and ast.unparse(node.func) != "func.now"  # asked by the database, at each row
    ]
    assert kept == []


def selects(tree):
    """(line, whole statement) of every query built in a module."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"select", "update", "delete"}
        ):
            whole = node
            while whole in parents and not isinstance(parents[whole], ast.stmt):
                whole = parents[whole]
            yield node, parents.get(whole, whole)


LISTED = {
    "Delegation", "EducationProvider", "Employer", "EmployerMerge", "LearningCentre", "SharingAgreement",
    "Agreement", "Locality", "Occupation", "Substitution", "TravelTime",
}  # fmt: skip
"""Tables that name no person and that the whole stack reads."""
SCOPED = (
    "municipality",
    "municipalities",
    "every municipality",
    "shown.subquery",
    "offered.order_by",
    "where(mine)",
)
"""Said in the query, or in a comment on it; counting a list counts what was filtered before."""


def test_every_query_filters_by_municipality_or_says_why_not():
    modules = [p for p in OURS if re.search("/services/(?!operations)", str(p))]
    looked, unscoped = 0, []
    for module in modules:
        lines = module.read_text().splitlines()
        for call, statement in selects(parsed(module)):
            looked += 1
            source = "\n".join(lines[statement.lineno - 1 : (statement.end_lineno or statement.lineno)])
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            if names & LISTED or any(word in source for word in SCOPED):
                continue
            before = "\n".join(lines[max(0, statement.lineno - 4) : statement.lineno])
            if not any(word in before for word in SCOPED):
                unscoped.append(f"{short(module)}:{call.lineno} {source[:200]}")
    assert looked > 200
    assert unscoped == []


def routes(service):
    module = import_module(f"kompetensnav_{service}.main")
    return [route for router in module.ROUTERS for route in router.routes]


OPEN = ("/answer/", "/catalogue", "/login", "/logout")


def has_municipal_rows(service):
    """Whether any table of a service is of a municipality; one without concerns the whole stack."""
    tables = import_module(f"kompetensnav_{service}.tables").Base.metadata.tables.values()
    return any("municipality" in table.columns for table in tables)


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_says_who_may_call_it(service):
    from kompetensnav_chassis.identity import Allow, May, open_to_all

    for route in routes(service):
        calls = [d.call for d in route.dependant.dependencies] + [
            inner.call for d in route.dependant.dependencies for inner in d.dependencies
        ]
        guards = [c for c in calls if isinstance(c, May | Allow) or c is open_to_all]
        assert len(guards) == 1, f"{route.path} has no authoriser"
        if isinstance(guards[0], May):
            assert route.path.startswith("/{municipality}"), route.path
        elif isinstance(guards[0], Allow):
            assert not has_municipal_rows(service), f"{route.path} is of a municipality"
        else:
            assert route.path.startswith(OPEN), f"{route.path} is open"


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_listens_to_is_in_its_metadata(service):
    listener = import_module(f"kompetensnav_{service}.main").LISTENER
    declared = {s.name: s for s in stack.installed_services()}[service]
    heard = {c.durable: tuple(sorted(e.name for e in c.events)) for c in listener.consumers}
    assert heard == {**declared.durables, **declared.exchanges}
    federated = {d.durable for d in listener.consumers if d.stream("x") == "FEDIN_X"}
    assert federated == set(declared.exchanges)


def test_topology_table_is_as_the_services_declare():
    assert stack.SERVICES.read_text() == stack.write_services(stack.installed_services()), (
        "run `make topology`"
    )


def test_generated_pages_are_as_the_code_says():
    from kompetensnav_chassis.pages import files

    for path, text in files(ROOT).items():
        assert path.read_text() == text, f"{short(path)}: run `make docs`"


def test_every_fault_and_promise_has_a_test_named_after_it_and_the_table_says_so():
    from support.faults_page import PAGE, page

    assert PAGE.read_text() == page(), "run `make docs`"


def test_the_picture_of_the_architecture_is_as_the_import_contracts_say():
    from support.architecture_page import PAGE, page

    assert PAGE.read_text() == page(), "run `make docs`"


def test_every_alert_has_its_words_on_the_page_for_operators():
    from support.alerts_page import PAGE, page

    assert PAGE.read_text() == page(), "run `make docs`"


README = ("Listens to", "Tells", "Serves", "Stores", "Settings", "Run alone", "When it is down")


@pytest.mark.parametrize("service", SERVICES)
def test_service_readme_follows_the_template(service):
    text = (ROOT / f"services/{service}/README.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(README)


DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))


def test_every_decision_has_its_parts_and_is_in_the_index():
    index = (ROOT / "docs/decisions/index.md").read_text()
    for page in DECISIONS:
        heads = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert heads == ["Status", "Context", "Decision", "Consequences", "How it is enforced"], short(page)
        assert f"({page.name})" in index
    assert len(DECISIONS) > 20


PAGES = [p for p in TRACKED if p.suffix == ".md"]


def test_links_between_pages_lead_somewhere():
    astray = [
        f"{short(page)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert len(PAGES) > 50
    assert astray == []


def test_every_test_that_the_page_on_security_names_is_there():
    text = (ROOT / "docs/architecture/security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {name for path in MODULES for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert len(named) > 40
    assert named - there == set()
    assert all((ROOT / path).exists() for path in re.findall(r"`(tests/[\w/.]+)`", text))


def test_readme_names_every_service_and_its_folder():
    text = (ROOT / "README.md").read_text()
    for service in SERVICES:
        assert f"services/{service}" in text


def test_service_packages_ship_their_data():
    for path in TRACKED:
        if path.suffix in {".toml", ".html", ".css", ".txt"} and "/kompetensnav_" in str(path):
            assert path.stat().st_size > 0


def _avoided():
    """Word in code -> words to avoid for it, of the rows of the glossary that name something in code."""
    for line in (ROOT / "docs/glossary.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].startswith("`") and cells[3].startswith("*"):
            yield cells[1].strip("`"), {word.strip() for word in cells[3].strip("*").split(",")}


TAKEN = {
    "school", "contact", "place", "agreement", "message", "invitation", "queue", "consumer", "alert",
}  # fmt: skip
"""Words that are to be avoided for one thing and are right for another: a school unit's table, whom to write
to, the verb of placing by hand, a sharing agreement, what notifications sends, an employer's to a visit; a
durable, in the console, with what waits for it; a rule that is broken."""


def test_no_event_table_or_path_uses_a_word_the_glossary_avoids():
    import json

    avoided = {word: for_ for for_, words in _avoided() for word in words} | {"learner_ref": "learner_id"}
    right = {for_ for for_, _ in _avoided()}
    names = set()
    for schema in (ROOT / "shared/contracts/schemas").glob("*.json"):
        names |= set(schema.stem.split(".")) | set(json.loads(schema.read_text())["properties"])
    for service in SERVICES:
        metadata = import_module(f"kompetensnav_{service}.tables").Base.metadata
        names |= {table.name for table in metadata.tables.values()}
        names |= {part.rstrip("s") for route in routes(service) for part in route.path.split("/")}
    wrong = {n: avoided[n] for n in names if n in avoided and n not in right | TAKEN}
    assert not wrong
