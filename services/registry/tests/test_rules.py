"""The rule pack: one permitted and one refused everyday case of each rule, with the numbers of the table."""

import ast
import re
from dataclasses import fields, replace
from datetime import date, time
from pathlib import Path

import pytest

from kompetensnav_registry import rules
from kompetensnav_registry.ground.domain.ages import age_class, in_compulsory_school
from kompetensnav_registry.ledger.actions import cases
from kompetensnav_registry.rules.actions import pack
from kompetensnav_registry.rules.domain import CHECKS, broken, verdicts
from kompetensnav_registry.rules.domain.case import Case
from kompetensnav_registry.rules.domain.pack import Setting, changes, in_force

TODAY = date(2027, 1, 4)
RULES = in_force(pack(), date(2027, 3, 1))


def case(placement_type="apl", **values):
    """An everyday placement of two weeks in March 2027."""
    days = {"starts_on": date(2027, 3, 1), "ends_on": date(2027, 3, 12), "today": TODAY} | values
    return Case(placement_type=placement_type, **days)


def prao(**values):
    return case("prao", age_class="older_child", age=14, **values)


def youth(**values):
    return case(age_class="youth", age=17, **values)


def adult(placement_type="apl", **values):
    return case(placement_type, age_class="adult", age=30, **values)


def paid(**values):
    """Three weeks of holiday practice of a fifteen-year-old."""
    return case("holiday_practice", age_class="older_child", age=15, **values)


EIGHT = {"starts_at": time(8), "ends_at": time(16)}
CASES = {
    "R3": (case("prao", age_class="older_child"), case("prao", age_class="younger_child")),
    "R4": (paid(is_school_week=False, hours_per_day=7, hours_per_week=35, **EIGHT),
           paid(is_school_week=True, hours_per_day=3, hours_per_week=12)),
    "R5": (youth(hours_per_day=8, hours_per_week=40, starts_at=time(14), ends_at=time(23)),
           youth(hours_per_day=8, starts_at=time(14, 30), ends_at=time(23, 30))),
    "R6": (youth(hours_per_day=7, break_minutes=30, break_after=4.5),
           youth(hours_per_day=7, break_minutes=30, break_after=5)),
    "R7": (prao(hours_per_day=7, weekdays=frozenset({1, 2, 3}), **EIGHT), prao(weekdays=frozenset({6}))),
    "R8": (youth(hours_per_week=32, school_hours_per_week=8),
           youth(hours_per_week=33, school_hours_per_week=8)),
    "R9": (youth(hazards=frozenset({"age_restricted_sales"})), youth(hazards=frozenset({"asbestos"}))),
    "R10": (case(declared=frozenset({"R10"})), case()),
    "R11": (case(supervisor_is_adult=True), case(supervisor_is_adult=False, declared=frozenset({"R11"}))),
    "R16": (youth(programmes=frozenset({"vo"}), programme="vo", study_years=frozenset({2}), study_year=2),
            youth(programmes=frozenset({"vo"}), programme="el")),
    "R17": (adult("vfu", setting="preschool", check_shown_on=date(2026, 9, 1)),
            adult("vfu", setting="preschool", check_shown_on=date(2026, 2, 1))),
    "R18": (adult("vfu", setting="preschool", today=date(2027, 2, 15)),
            adult("vfu", setting="preschool", today=date(2027, 2, 16))),
    "R19": (adult("work_practice", decision={"by": "af"}, ends_on=date(2027, 8, 31)),
            adult("work_practice", decision={"by": "af"}, ends_on=date(2027, 9, 1))),
    "R20": (case(declared=frozenset({"R20"})), case()),
    "R22": (case(is_protected=True), case(is_protected=True, is_automatic=True)),
    "R23": (case("apprenticeship", age_class="youth", guardian_consents=True),
            case("apprenticeship", age_class="youth", guardian_consents=False)),
    "R24": (adult(max_travel_minutes=90), youth(max_travel_minutes=61)),
    "R29": (case(needs=frozenset({"quiet"}), offers_needs=frozenset({"quiet", "step_free"})),
            case(needs=frozenset({"step_free"}))),
    "R35": (paid(ends_on=date(2027, 3, 21)), paid(ends_on=date(2027, 3, 22))),
}  # fmt: skip
"""Rule -> (permitted, refused)."""


def test_every_rule_has_its_data_and_one_that_decides_here_its_function_and_its_two_cases():
    assert sorted(RULES, key=lambda id: int(id[1:])) == [f"R{n}" for n in range(1, 36)]
    here = [id for id, rule in RULES.items() if rule.decides == "here"]
    assert sorted(here) == sorted(CHECKS) == sorted(CASES)
    assert all(bool(rule.when) == (rule.decides == "here") for rule in pack())


def test_what_nobody_goes_by_yet_has_no_numbers_to_set():
    assert [rule.id for rule in RULES.values() if rule.decides == "not yet" and rule.configurable] == []


def test_every_fact_of_a_case_is_read_by_a_rule_and_filled_by_the_registry():
    """Properties of a case are worked out from its other values."""
    folder = Path(rules.__file__).parent / "domain"
    read = {
        node.attr
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ("case", "self")
    }
    filled = Path(cases.__file__).read_text()
    names = {field.name for field in fields(Case)}
    assert names - read == set()
    assert {name for name in names if not re.search(rf"\b{name}\b", filled)} == set()


@pytest.mark.parametrize("rule", CASES)
def test_an_everyday_case_is_permitted_and_another_refused(rule):
    permitted, refused = CASES[rule]
    parameters = RULES[rule].parameters
    assert CHECKS[rule](permitted, parameters) is True
    assert CHECKS[rule](refused, parameters) is False


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_covers_the_placement_types_it_names_and_says_so_in_two_languages(rule):
    about = RULES[rule]
    for one in CASES[rule]:
        assert one.placement_type in about.placement_types
    assert about.law
    assert about.sv != about.en


MORE = [
    ("R3", case(age_class=None), None),
    ("R4", case("prao", age_class="older_child", hours_per_day=7), None),  # R7 governs prao
    ("R4", paid(is_school_week=False, hours_per_day=7.5), False),
    ("R4", paid(hours_per_day=7), False),  # in March, and nobody says that school is out
    ("R4", paid(starts_on=date(2027, 6, 21), ends_on=date(2027, 7, 9), hours_per_day=7), True),
    ("R4", paid(starts_on=date(2026, 6, 8), ends_on=date(2026, 6, 26), hours_per_day=7), True),
    ("R4", paid(starts_on=date(2026, 6, 5), ends_on=date(2026, 6, 26), hours_per_day=7), False),
    ("R4", paid(starts_on=date(2026, 8, 17), ends_on=date(2026, 9, 4), hours_per_day=7), False),
    ("R4", paid(is_school_week=False, starts_at=time(22), ends_at=time(4)), False),  # through the night
    ("R4", paid(is_school_week=False, starts_at=time(6), ends_at=time(16)), True),
    ("R4", paid(is_school_week=False, starts_at=time(6), ends_at=time(16, 30)), False),  # 14 hours' rest
    ("R4", paid(is_school_week=False, hours_per_day=5, weekdays=frozenset({1, 2, 3, 4, 5, 6})), False),
    ("R5", youth(starts_at=time(22), ends_at=time(6)), False),
    ("R5", youth(starts_at=time(8), ends_at=time(20, 30)), False),  # 12 hours' rest
    ("R5", youth(hours_per_day=5, weekdays=frozenset({1, 2, 3, 4, 5, 6})), True),
    ("R5", youth(hours_per_day=5, weekdays=frozenset({1, 2, 3, 4, 5, 6, 7})), False),
    ("R7", prao(starts_at=time(13), ends_at=time(1)), False),
    ("R5", adult(hours_per_day=10), None),
    ("R5", youth(hours_per_week=41), False),
    ("R6", youth(hours_per_day=4.5), True),
    ("R6", youth(hours_per_day=6, break_minutes=20, break_after=3), False),
    ("R7", prao(hours_per_day=7.5), False),
    ("R7", prao(starts_at=time(5), ends_at=time(12)), False),
    ("R9", prao(hazards=frozenset({"lone_work"})), False),
    ("R9", adult(hazards=frozenset({"asbestos"})), True),
    ("R17", prao(setting="preschool"), None),  # prao pupils are not caught
    ("R17", youth(setting="preschool", school_form="GY"), None),  # nor is youth APL
    ("R17", youth(setting="preschool"), None),  # of a school for the young, when none is named
    ("R17", adult(setting="preschool"), False),
    ("R17", youth(setting="preschool", school_form="VUX"), False),
    ("R18", adult("vfu", setting="preschool", check_shown_on=TODAY), None),
    ("R18", adult("vfu", setting="preschool", today=date(2027, 2, 20),
                  check_shown_on=date(2026, 2, 1)), False),
    ("R19", adult("work_practice"), False),
    ("R19", adult("work_practice", authority_answers=True), True),
    ("R19", case("work_practice", age=24, age_class="adult", decision={"by": "af"}), False),
    ("R19", case("work_practice", age=24, age_class="adult", decision={"by": "af", "exception": True}), True),
    ("R19", adult("work_practice", ends_on=date(2027, 3, 21),
                  decision={"by": "af", "for": "skill_assessment"}), True),
    ("R19", adult("work_practice", ends_on=date(2027, 3, 22),
                  decision={"by": "af", "for": "skill_assessment"}), False),
    ("R19", adult("work_training", ends_on=date(2027, 12, 1), decision={"by": "municipality"}), True),
    ("R23", case("apl", age_class="youth", guardian_consents=False), None),
    ("R23", case("apprenticeship", age_class="youth"), None),
    ("R24", youth(needs_licence=True), False),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "values", "said"), MORE)
def test_the_edges_of_a_rule(rule, values, said):
    assert CHECKS[rule](values, RULES[rule].parameters) is said


def test_the_ten_year_school_moves_prao_to_grade_nine_from_july_2028():
    (change,) = changes(pack(), TODAY, date(2028, 8, 1))
    assert (change.id, change.before.parameters["from_grade"], change.after.parameters["from_grade"]) == (
        "R1", 8, 9,
    )  # fmt: skip
    assert changes(pack(), TODAY, date(2028, 6, 30)) == []


@pytest.mark.parametrize(("form", "year", "on", "is_there"), [
    ("GR", 9, date(2027, 3, 1), True),
    ("GR", 9, date(2027, 7, 1), False),  # completed in the summer
    ("GR", None, date(2027, 3, 1), False),  # not known
    ("GY", 1, date(2027, 3, 1), False),
])  # fmt: skip
def test_a_grade_nine_pupil_of_sixteen_is_an_older_child(form, year, on, is_there):
    assert in_compulsory_school("holiday_practice", form, year, on) is is_there
    assert in_compulsory_school("prao", None, None, on)
    assert age_class(date(2010, 8, 1), date(2026, 9, 1), in_compulsory_school=True) == "older_child"
    assert age_class(date(2010, 8, 1), date(2026, 9, 1)) == "youth"
    assert age_class(date(2009, 1, 1), date(2027, 9, 1), in_compulsory_school=True) == "adult"


def test_a_licence_is_asked_for_where_the_slot_is_known():
    young = youth(needs_licence=True)
    assert [rule.id for rule in broken(young, RULES.values(), "seat")] == ["R24"]


def test_a_municipality_decides_how_long_its_own_practice_lasts():
    own = [Setting("R19", date(2027, 1, 1), None, {"municipality_days": 90, "days": 900}, switched_off=True)]
    rule = in_force(pack(), date(2027, 3, 1), own)["R19"]
    assert (rule.parameters["municipality_days"], rule.parameters["days"]) == (90, 184)
    long = adult("work_training", ends_on=date(2027, 12, 1), decision={"by": "municipality"})
    assert CHECKS["R19"](long, rule.parameters) is False


def test_every_rule_that_is_broken_is_named_and_only_where_it_is_asked():
    bad = prao(hours_per_day=8, hazards=frozenset({"asbestos"}))
    assert [rule.id for rule in broken(bad, RULES.values(), "seat")] == ["R7", "R9"]
    assert broken(bad, RULES.values(), "request") == []
    said = {v.rule.id: v.permits for v in verdicts(bad, RULES.values())}
    assert (said["R7"], said["R9"], "R28" in said) == (False, False, False)


def test_a_municipality_changes_what_is_its_own_to_decide_and_nothing_else():
    own = [
        Setting("R7", date(2027, 1, 1), None, {"latest": "18:00"}),
        Setting("R9", date(2027, 1, 1), None, {"forbidden_under_18": []}),
        Setting("R24", date(2027, 1, 1), date(2027, 6, 30), {}, switched_off=True),
    ]
    then = in_force(pack(), date(2027, 3, 1), own)
    assert then["R7"].parameters["latest"] == "18:00"
    assert then["R9"] == RULES["R9"], "law is not configured"
    assert "R24" not in then
    assert "R24" in in_force(pack(), date(2027, 7, 1), own)


def test_a_placement_that_says_nothing_is_refused_by_nothing_but_what_must_be_declared():
    for kind in sorted(RULES["R3"].placement_types):
        bare = replace(case(kind), authority_answers=True)
        assert broken(bare, RULES.values(), "request", "seat") == []
        assert {rule.id for rule in broken(bare, RULES.values(), "start")} == {"R10", "R11", "R20"}
