"""What the registry's stories have in common: a learner, a request, a slot, an offer, over HTTP."""

from dataclasses import dataclass
from typing import Any

import pytest

from support.stack import Stack


@dataclass
class Desk:
    """A coordinator's desk in one municipality, with one workplace."""

    stack: Stack
    code: str

    def call(self, method: str, path: str, **how: Any) -> Any:
        """A request to the registry below the municipality."""
        return self.stack.call(method, "registry", f"/{self.code}{path}", **how)

    @property
    def workplace(self) -> dict[str, Any]:
        """The one workplace."""
        (place,) = self.call("GET", "/workplaces")["items"]
        found: dict[str, Any] = place
        return found

    def receives(self, learners: int) -> None:
        """The workplace receives so many a week from now on."""
        place = self.workplace
        body = {"reception_capacity": learners, "revision": place["revision"]}
        self.call("PATCH", f"/workplaces/{place['workplace_id']}", json=body)

    def learner(self, ref: str, born_on: str = "2000-05-05", **more: Any) -> str:
        """A registered learner's id."""
        mail = f"{ref}.{self.code}@elev.example.com"
        body = {"administration": "school", "school": "gy1", "given_name": f"Namn{ref}", "family_name": "E",
                "email": mail, "born_on": born_on, "locality": "lulea"}  # fmt: skip
        made = self.call("POST", "/learners", json=body | more, status=201)
        return str(made["learner_id"])

    def request(self, learner_id: str, status: int = 201, **more: Any) -> Any:
        """A placement request of a learner, for APL in February and March 2027 unless told otherwise."""
        body = {"learner_id": learner_id, "placement_type": "apl", "starts_on": "2027-02-01",
                "ends_on": "2027-03-26"}  # fmt: skip
        return self.call("POST", "/requests", json=body | more, status=status)

    def slot(self, status: int = 201, **more: Any) -> Any:
        """A slot for the same weeks."""
        body = {"workplace_id": self.workplace["workplace_id"], "placement_type": "apl", "occupation": "5321",
                "starts_on": "2027-02-01", "ends_on": "2027-03-26", "seats": 3}  # fmt: skip
        return self.call("POST", "/slots", json=body | more, status=status)

    def offer(self, request: Any, slot: Any, status: int = 201) -> Any:
        """Offers the slot."""
        body = {"request_id": request["request_id"], "slot_id": slot["slot_id"]}
        return self.call("POST", "/offers", json=body, status=status)

    def confirmed(self, offer: Any) -> dict[str, Any]:
        """The placement of an offer, after everyone's yes."""
        for party in offer["must_answer"]:
            self.call("POST", f"/offers/{offer['offer_id']}/accept", json={"party": party})
        placements = self.call("GET", "/placements?limit=500")["items"]
        return next(p for p in placements if p["offer_id"] == offer["offer_id"])


@pytest.fixture
def desks(stack: Stack, towns: Any) -> Any:
    """Makes a desk in a municipality of a code."""

    def make(code: str) -> Desk:
        towns(code).employers()
        return Desk(stack, code)

    return make
