"""Whatever is sent to the registry's API, it answers as its OpenAPI document says, and never with a fault of
its own: schemathesis finds nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]
ROOT = Path(__file__).parents[3]
CHECKS = "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance"


async def test_schemathesis_finds_nothing(stack, desks, tmp_path):
    desk = desks("0180")
    slot = desk.slot(seats=2)
    learner = desk.learner("a")
    request = desk.request(learner)
    placement = desk.confirmed(desk.offer(request, slot))
    known = {
        "municipality": "0180", "slot_id": slot["slot_id"], "learner_id": learner,
        "request_id": request["request_id"], "placement_id": placement["placement_id"],
        "offer_id": placement["offer_id"], "workplace_id": desk.workplace["workplace_id"],
        "employer_id": desk.workplace["employer_id"], "administration": "school", "rule": "R24",
    }  # fmt: skip
    document = json.loads((ROOT / "docs/openapi/registry.json").read_text())
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"type": "string", "enum": [known[parameter["name"]]]}
    path = tmp_path / "registry.json"
    path.write_text(json.dumps(document))
    token = stack.token("coordinator", "case_worker", "guidance_counsellor", municipalities=("0180",))
    done = subprocess.run(
        [Path(sys.executable).parent / "schemathesis", "run", path, "--url",
         stack.running["services"]["registry"], "-H", f"Authorization: Bearer {token}", "--max-examples",
         "12", "--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--workers", "1", "--seed", "1"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    failures = done.stdout.partition("FAILURES")[2][:4000]
    assert done.returncode == 0, failures or done.stdout[-4000:]
    assert "passed" in done.stdout
