"""`python -m kompetensnav_chassis.ready URL`: exit 0 when the service there says that it is ready, else 1.

Health checks run it every few seconds, so it imports next to nothing.
"""

import http.client
import sys
from urllib.parse import urlsplit


def is_ready(url: str, path: str = "/health/ready", timeout: float = 3) -> bool:
    """Whether the service at an address answers that it is ready."""
    try:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready(sys.argv[1]) else 1)
