"""Who may do what. A viewer sees; an operator replays, discards and pauses, and sees what is inside; a
corrector edits as well; an admin may do all of it, and forget what is gone."""

from typing import Annotated

from fastapi import Depends

from kompetensnav_chassis.identity import Allow, Identity

ROLES = ("viewer", "operator", "corrector", "admin")
SEE = Allow(*ROLES)
ACT = Allow("operator", "corrector", "admin")
EDIT = Allow("corrector", "admin")
RULE = Allow("admin")
Viewer = Annotated[Identity, Depends(SEE)]
Operator = Annotated[Identity, Depends(ACT)]
Corrector = Annotated[Identity, Depends(EDIT)]
Admin = Annotated[Identity, Depends(RULE)]
