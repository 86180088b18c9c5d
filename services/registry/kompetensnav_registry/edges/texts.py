"""The words on the pages, in Swedish and English."""

import csv
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _occupations() -> dict[str, str]:
    text = (files("kompetensnav_registry") / "data/occupations.csv").read_text()
    return {row["ssyk"]: row["name"] for row in csv.DictReader(text.splitlines())}


def occupation(code: str) -> str:
    """The Swedish name of an SSYK 2012 group; the code itself for one that is not in the table."""
    return _occupations().get(code, code)


TEXTS: dict[str, dict[str, Any]] = {
    "sv": {
        "product": "Kompetensnav",
        "other": "In English",
        "other_code": "en",
        "title": "Svara på erbjudande",
        "gone": "Länken gäller inte",
        "about": "Ett erbjudande är på gång",
        "ask_employer": "Kan ni ta emot?",
        "ask_learner": "Vill du ha platsen?",
        "intro_employer": "Svara ja eller nej för varje erbjudande. "
        "Ni kan svara på några nu och resten senare.",
        "intro_learner": "Svara ja eller nej. Svaret går direkt till den som samordnar platserna.",
        "none": "Det finns inga erbjudanden bakom länken.",
        "yes": "Ja",
        "no": "Nej",
        "send": "Skicka svar",
        "period": "Period",
        "occupation": "Yrke",
        "type": "Form",
        "language": "Svenska",
        "needs": "Behöver på platsen",
        "answer_by": "Svara senast",
        "name": "Förnamn",
        "until": "till",
        "number": "Erbjudande",
        "result": {
            "yes": "Tack! Ditt ja är mottaget.",
            "no": "Tack! Ditt nej är mottaget.",
            "settled": "Erbjudandet var redan avgjort.",
        },
        "state": {
            "open": "Väntar på svar",
            "confirmed": "Klart: alla har sagt ja",
            "declined": "Blev inte av",
            "expired": "Gick ut utan svar",
            "interrupted": "Avbruten",
        },
        "mine": {True: "Ni har svarat ja.", False: "Ni har svarat nej."},
        "types": {
            "prao": "prao",
            "apl": "APL",
            "apprenticeship": "lärling",
            "lia": "LIA",
            "vfu": "VFU",
            "internship": "praktik",
            "work_practice": "arbetspraktik",
            "work_training": "arbetsträning",
            "language_practice": "språkpraktik",
            "holiday_practice": "feriepraktik",
        },
        "need": {
            "step_free": "stegfritt",
            "quiet": "lugn miljö",
            "extra_supervisor": "extra handledare",
            "flexible_hours": "flexibla tider",
            "own_language": "handledare med samma språk",
        },
        "level": {
            "none": "ingen nivå krävs",
            "A": "SFI A",
            "B": "SFI B",
            "C": "SFI C",
            "D": "SFI D",
            "fluent": "flytande",
        },
    },
    "en": {
        "product": "Kompetensnav",
        "other": "På svenska",
        "other_code": "sv",
        "title": "Answer an offer",
        "gone": "The link is not valid",
        "about": "An offer is on its way",
        "ask_employer": "Can you receive a learner?",
        "ask_learner": "Do you want the place?",
        "intro_employer": "Answer yes or no to each offer. You may answer some now and the rest later.",
        "intro_learner": "Answer yes or no. Your answer goes straight to the coordinator.",
        "none": "There are no offers behind the link.",
        "yes": "Yes",
        "no": "No",
        "send": "Send answers",
        "period": "Period",
        "occupation": "Occupation",
        "type": "Form",
        "language": "Swedish",
        "needs": "Needs at the workplace",
        "answer_by": "Answer by",
        "name": "Given name",
        "until": "to",
        "number": "Offer",
        "result": {
            "yes": "Thank you! Your yes has been received.",
            "no": "Thank you! Your no has been received.",
            "settled": "The offer had already been decided.",
        },
        "state": {
            "open": "Waiting for answers",
            "confirmed": "Agreed: everyone has said yes",
            "declined": "Did not come about",
            "expired": "Ran out without an answer",
            "interrupted": "Interrupted",
        },
        "mine": {True: "You have answered yes.", False: "You have answered no."},
        "types": {
            "prao": "prao (work orientation)",
            "apl": "APL",
            "apprenticeship": "apprenticeship",
            "lia": "LIA",
            "vfu": "VFU",
            "internship": "internship",
            "work_practice": "work practice",
            "work_training": "work training",
            "language_practice": "language practice",
            "holiday_practice": "holiday practice",
        },
        "need": {
            "step_free": "step-free",
            "quiet": "quiet surroundings",
            "extra_supervisor": "extra supervisor",
            "flexible_hours": "flexible hours",
            "own_language": "supervisor with the same language",
        },
        "level": {
            "none": "no level asked",
            "A": "SFI A",
            "B": "SFI B",
            "C": "SFI C",
            "D": "SFI D",
            "fluent": "fluent",
        },
    },
}
