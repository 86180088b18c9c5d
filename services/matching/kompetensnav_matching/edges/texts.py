"""The words for reasons and on pages, in Swedish and English."""

from typing import Any

RULES: dict[str, dict[str, str]] = {
    "wish": {
        "sv": "Eget önskemål; hur långt från det helst önskade räknas som {m} minuter",
        "en": "Own wish; how far from the most wanted counts as {m} minutes",
    },
    "related_occupation": {
        "sv": "Närliggande yrke till ett önskemål; räknas som {m} minuter",
        "en": "An occupation related to a wish; counts as {m} minutes",
    },
    "no_wish": {
        "sv": "Inget önskemål angivet; räknas som {m} minuter",
        "en": "No wish given; counts as {m} minutes",
    },
    "new_field": {
        "sv": "Eget önskemål om att prova något nytt; {m} minuter",
        "en": "Own wish to try something new; {m} minutes",
    },
    "travel": {"sv": "Resa {m} minuter", "en": "Travel {m} minutes"},
    "travel_estimated": {
        "sv": "Resa ungefär {m} minuter, uppskattad från avståndet",
        "en": "Travel about {m} minutes, estimated from the distance",
    },
    "by_hand": {"sv": "Placerad av samordnaren", "en": "Placed by the coordinator"},
    "forbidden": {"sv": "Förslaget är borttaget av samordnaren", "en": "Taken away by the coordinator"},
    "no_slots": {"sv": "Det finns inga platser i omgången", "en": "There are no slots in the round"},
    "refused_before": {"sv": "Har fått nej eller sagt nej tidigare", "en": "Refused before"},
    "given_to_others": {
        "sv": "Platser som passar men gick till andra: {n}",
        "en": "Slots that suit but went to others: {n}",
    },
    "sharing_learners": {
        "sv": "Sökande som bara kan få platser ur samma samling: {n}",
        "en": "Learners who have only the same places to share: {n}",
    },
    "shared_seats": {"sv": "Platser i den samlingen: {n}", "en": "Seats among those places: {n}"},
    "no_seats": {"sv": "Fulla: {n}", "en": "Full: {n}"},
    "not_shared": {
        "sv": "Delas inte med kommunen eller förvaltningen: {n}",
        "en": "Not shared with the municipality or administration: {n}",
    },
    "period": {"sv": "Utanför perioden: {n}", "en": "Outside the period: {n}"},
    "occupation": {"sv": "I andra yrken: {n}", "en": "In other occupations: {n}"},
    "language": {"sv": "Kräver mer svenska: {n}", "en": "Ask for more Swedish: {n}"},
    "needs": {"sv": "Kan inte möta behoven: {n}", "en": "Cannot meet the needs: {n}"},
    "too_far": {"sv": "För långt bort: {n}", "en": "Too far away: {n}"},
    "placed_with_longer_travel": {
        "sv": "Skulle få plats med 15 minuter längre resa; möjliga platser: {n}",
        "en": "Would be placed with 15 minutes more travel; possible slots: {n}",
    },
    "placed_with_another_week": {
        "sv": "Skulle få plats i en annan vecka; möjliga platser: {n}",
        "en": "Would be placed in another week; possible slots: {n}",
    },
    "placed_with_another_occupation": {
        "sv": "Skulle få plats i ett annat yrke; möjliga platser: {n}",
        "en": "Would be placed in another occupation; possible slots: {n}",
    },
}
ONLY = {"sv": "{text} (inget annat hindrar)", "en": "{text} (nothing else hinders)"}

HINDRANCES: dict[str, dict[str, str]] = {
    "no_seats": {"sv": "Platsen är full", "en": "The slot is full"},
    "not_shared": {
        "sv": "Platsen delas inte med kommunen eller förvaltningen",
        "en": "The slot is not shared with the municipality or administration",
    },
    "period": {"sv": "Platsen ligger utanför perioden", "en": "The slot is outside the period"},
    "occupation": {"sv": "Platsen möter inget önskemål", "en": "The slot meets no wish"},
    "language": {"sv": "Platsen kräver mer svenska", "en": "The slot asks for more Swedish"},
    "needs": {"sv": "Platsen kan inte möta behoven", "en": "The slot cannot meet the needs"},
    "too_far": {"sv": "Platsen ligger för långt bort", "en": "The slot is too far away"},
    "refused_before": {"sv": "Har fått nej eller sagt nej tidigare", "en": "Refused before"},
    "kept_by_people": {
        "sv": "Samordnaren håller alla platserna för andra",
        "en": "The coordinator keeps all its seats for others",
    },
}
"""Why one learner cannot have one slot."""


def told(rule: str, value: int, language: str) -> str:
    """A reason in words. Raises KeyError for a rule without words."""
    text = RULES[rule.removeprefix("only_")][language].format(m=_minutes(value), n=value)
    return ONLY[language].format(text=text) if rule.startswith("only_") else text


def both(rule: str, value: int) -> dict[str, str]:
    """A reason in words, by language."""
    return {language: told(rule, value, language) for language in ("sv", "en")}


def _minutes(tenths: int) -> str:
    return f"{tenths / 10:g}"


PAGE: dict[str, dict[str, Any]] = {
    "sv": {
        "product": "Kompetensnav",
        "other": "In English",
        "other_code": "en",
        "title": "Så gjordes matchningen",
        "lead": "Fick plats: {matched} av {learners}",
        "what": "Hur fördelningen räknades fram",
        "modes": {
            "most_placed": "Flest placerade",
            "stable": "Stabil fördelning",
            "stable_filled": "Stabil fördelning, sedan påfylld",
        },
        "rule": {
            "most_placed": "Så många som möjligt fick plats; bland dem så många som möjligt med"
            " behov; därefter lägsta sammanlagda kostnad (resa och avstånd från önskemål, i minuter).",
            "stable": "Ingen sökande och plats skulle båda hellre ha haft varandra; behov går först, därefter"
            " lottning.",
            "stable_filled": "Först en stabil fördelning, därefter så många till som möjligt med så få"
            " flyttade som möjligt.",
        },
        "proved": "Bevisat: ingen annan fördelning placerar fler, eller lika många till lägre kostnad.",
        "proved_given": "Bevisat, givet det som samordnaren har bestämt för hand: ingen annan fördelning"
        " placerar fler, eller lika många till lägre kostnad.",
        "people": "Fästa eller placerade för hand av samordnaren: {by_hand}.",
        "nobody": "Ingen har fästs eller placerats för hand.",
        "no_reward": "Inget tillägg för den som själv vill prova något nytt.",
        "new_field": "Ett eget önskemål om att prova något nytt räknas som {minutes} minuter.",
        "sex": "Kön finns inte i underlaget.",
        "seed": "Slumptal för lottningen: {seed} (följer av underlaget). Underlag: {inputs}.",
        "ways": "Tre sätt att placera, och vad vart och ett ger",
        "way": "Sätt",
        "placed": "Placerade",
        "cost": "Kostnad, min",
        "envious": "Skulle ha föredragit en annan plats",
        "chosen": "valt",
        "tables": {
            "tier": "Efter turordning",
            "municipality": "Efter hemkommun",
            "travel": "Efter resa, minuter (de placerade)",
            "wish_rank": "Efter önskemål (de placerade)",
        },
        "keys": {
            "tier": {"0": "Med behov", "1": "Övriga"},
            "wish_rank": {"none": "Inget önskemål", "4": "4 eller senare"},
        },
        "who": "Vilka som fick plats",
        "group": "Grupp",
        "learners": "Sökande",
        "hidden": "visas inte",
        "hidden_note": "Antal under 5 visas inte, och inte heller det som skulle avslöja dem.",
        "bottlenecks": "Var fler platser skulle hjälpa mest",
        "bottleneck_lead": "Så många fler skulle få plats om det fanns så många fler platser"
        " i yrket, kommunen och veckan. Samma sökande kan räknas på flera rader.",
        "no_bottlenecks": "Inget att visa.",
        "fewer": "Rader med färre än 5 sökande visas inte: {n}.",
        "occupation": "Yrke (SSYK)",
        "municipality": "Kommun",
        "week": "Vecka från",
        "more": "Fler placerade",
        "seats": "Platser nu",
    },
    "en": {
        "product": "Kompetensnav",
        "other": "På svenska",
        "other_code": "sv",
        "title": "How the round was placed",
        "lead": "Placed: {matched} of {learners}",
        "what": "How the result was worked out",
        "modes": {
            "most_placed": "Most placed",
            "stable": "Stable",
            "stable_filled": "Stable, then filled",
        },
        "rule": {
            "most_placed": "As many as possible were placed; among those as many as possible with"
            " needs; then the least cost in all (travel and distance from wishes, in minutes).",
            "stable": "No learner and slot would both rather have had each other; needs go first, then lots.",
            "stable_filled": "Stable first, then as many more as possible with as few moved as possible.",
        },
        "proved": "Proved: no other assignment places more, or as many at less cost.",
        "proved_given": "Proved, given what the coordinator has decided by hand: no other assignment"
        " places more, or as many at less cost.",
        "people": "Pinned or placed by hand by the coordinator: {by_hand}.",
        "nobody": "Nobody has been pinned or placed by hand.",
        "no_reward": "No reward for an own wish to try something new.",
        "new_field": "An own wish to try something new counts as {minutes} minutes.",
        "sex": "Nobody's sex is in the data.",
        "seed": "Random seed of the lottery: {seed} (follows from the input). Input: {inputs}.",
        "ways": "Three ways to place, and what each would give",
        "way": "Way",
        "placed": "Placed",
        "cost": "Cost, min",
        "envious": "Would have preferred another slot",
        "chosen": "chosen",
        "tables": {
            "tier": "By order of priority",
            "municipality": "By home municipality",
            "travel": "By travel, minutes (of those placed)",
            "wish_rank": "By wish (of those placed)",
        },
        "keys": {
            "tier": {"0": "With needs", "1": "Others"},
            "wish_rank": {"none": "No wish", "4": "4 or later"},
        },
        "who": "Who was placed",
        "group": "Group",
        "learners": "Learners",
        "hidden": "not shown",
        "hidden_note": "Counts below 5 are not shown, nor what would give them away.",
        "bottlenecks": "Where more seats would help most",
        "bottleneck_lead": "So many more would be placed if there were so many more seats in the occupation,"
        " municipality and week. The same learners may be counted in several lines.",
        "no_bottlenecks": "Nothing to show.",
        "fewer": "Lines with fewer than 5 learners are not shown: {n}.",
        "occupation": "Occupation (SSYK)",
        "municipality": "Municipality",
        "week": "Week from",
        "more": "More placed",
        "seats": "Seats now",
    },
}
