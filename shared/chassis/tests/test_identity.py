"""Tokens and the development issuer."""

import pytest
from joserfc.jwk import ECKey

from kompetensnav_chassis.errors import Unauthorised, Unavailable
from kompetensnav_chassis.identity import Tokens, municipalities
from kompetensnav_chassis.patience import Patience
from kompetensnav_issuer.issuer import Wanted, sign

pytestmark = pytest.mark.real
WANTED = Wanted(roles=["coordinator"], municipalities=["2580"], administrations=["school"])


async def test_a_good_token_is_read(issuer):
    tokens = Tokens(issuer.url, "kompetensnav")
    identity = await tokens.identity(issuer.token("coordinator"))
    assert identity.roles == {"coordinator"}
    assert identity.scope.own == ("2580",)


@pytest.mark.parametrize("fault", ["other key", "other issuer", "other audience", "expired", "everyone"])
async def test_a_token_that_is_not_ours_is_refused(issuer, fault):
    key = ECKey.generate_key("P-256") if fault == "other key" else issuer.key
    url = "http://127.0.0.1:1" if fault == "other issuer" else issuer.url
    wanted = WANTED.model_copy(update={"municipalities": ["*"]}) if fault == "everyone" else WANTED
    lifetime = -3600 if fault == "expired" else 3600
    token = sign(key, url, "someone" if fault == "other audience" else "kompetensnav", wanted, lifetime)
    with pytest.raises(Unauthorised):
        await Tokens(issuer.url, "kompetensnav").identity(token)


async def test_an_issuer_that_does_not_answer_lets_nobody_in():
    patience = Patience(10)
    with pytest.raises(Unavailable):
        await Tokens("http://127.0.0.1:9", "kompetensnav").identity("a.b.c")
    assert not patience.is_over


def test_every_municipality_of_sweden_is_known():
    assert len(municipalities()) == 290
    assert municipalities()["2580"] == "Luleå"
