"""Whose answers say until when what was published is erased."""

import json
from datetime import UTC, datetime

from kompetensnav_care.erase import answers_to
from kompetensnav_care.log import Published


def answered(seq, service, time):
    headers = {"ce-type": f"{service}.erasure.answered.v1"} | ({"ce-time": time} if time else {})
    body = {"erasure_id": "e"}
    subject = f"nav.2580.int.{service}.erasure.answered.v1"
    return Published("INT_X", seq, subject, headers, json.dumps(body).encode(), body)


def test_the_first_answer_of_each_service_counts_and_one_without_a_time_is_none():
    log = [
        answered(1, "matching", "2027-01-01T12:00:00Z"),
        answered(2, "reporting", "2027-01-02T12:00:00Z"),
        answered(3, "matching", "2027-05-01T12:00:00Z"),
        answered(4, "notifications", None),
        answered(5, "notifications", "soon"),
    ]
    assert answers_to(log, "e") == {
        "matching": datetime(2027, 1, 1, 12, tzinfo=UTC),
        "reporting": datetime(2027, 1, 2, 12, tzinfo=UTC),
    }
    assert answers_to(log, "another") == {}
