"""Signs each request once more with botocore and compares with what was sent.

Usage: sigv4.py SERVICE REGION SECRET, with the requests on standard input: a JSON object a line, with `method`, `url`, `headers` in lower case
and `body`
"""

import json
import sys
from datetime import datetime, timezone
from unittest.mock import patch

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed_again(sent, service, region, secret):
    """The header `authorization` that botocore gives to what was sent, at the time that is in it."""
    headers = sent["headers"]
    signature = headers["authorization"]
    names = signature.split("SignedHeaders=")[1].split(",")[0].split(";")
    key = signature.split("Credential=")[1].split("/")[0]
    made_here = ("host", "x-amz-date", "x-amz-security-token")
    kept = {name: headers[name] for name in names if name not in made_here}
    request = AWSRequest(method=sent["method"], url=sent["url"], headers=kept, data=sent["body"].encode())
    when = datetime.strptime(headers["x-amz-date"], SIGV4_TIMESTAMP).replace(tzinfo=timezone.utc)
    auth = SigV4Auth(Credentials(key, secret, headers.get("x-amz-security-token")), service, region)
    with patch("botocore.auth.get_current_datetime", lambda: when):
        auth.add_auth(request)
    return request.headers["Authorization"]


count = 0
for line in sys.stdin:
    sent = json.loads(line)
    made = signed_again(sent, *sys.argv[1:])
    assert made == sent["headers"]["authorization"], (sent["url"], made, sent["headers"]["authorization"])
    count += 1
print("same", count)
