"""PortOne's official V1 client for Python, against whatever speaks V1 at SANDBOX_URL.

The client takes its host as `imp_url`, so nothing in it is replaced. What it saw is printed as one
JSON object, and the test that started this compares it with the sandbox's books.
"""

import json
import os

from iamport import Iamport

env = os.environ
url = env["SANDBOX_URL"] + "/"
paid, order = env["PAID"], env["ORDER"]
iamport = Iamport(imp_key=env["IMP_KEY"], imp_secret=env["IMP_SECRET"], imp_url=url)


def refused(call, *args, **kwargs):
    """What the client makes of a call that fails."""
    try:
        call(*args, **kwargs)
    except Iamport.ResponseError as error:
        return {"code": error.code, "message": error.message}
    except Iamport.HttpError as error:
        return {"status": error.code}
    raise AssertionError("it should have been refused")


saw = {
    "read": iamport.find(imp_uid=paid),
    "found": iamport.find(merchant_uid=order),
    # `find_by_status` of this release fails in itself; this is the call that it means to make.
    "searched": iamport._get(url + "payments/status/paid", {"limit": 10}),
    "is_paid": iamport.is_paid(10000, imp_uid=paid),
    "is_paid_less": iamport.is_paid(9999, imp_uid=paid),
    "unknown": refused(iamport.find, imp_uid="imp_none"),
    "prepared": iamport.prepare("next", 5000),
    "prepared_again": refused(iamport.prepare, "next", 5000),
    "prepared_right": iamport.prepare_validate("next", 5000),
    "part": iamport.cancel("part", imp_uid=paid, amount=3000, checksum=10000),
    "replay": refused(iamport.cancel, "part", imp_uid=paid, amount=3000, checksum=10000),
    "rest": iamport.cancel("rest", merchant_uid=order),
    "again": refused(iamport.cancel, "again", imp_uid=paid),
    "nothing": refused(iamport.cancel, "no such payment", imp_uid="imp_none"),
    "wrong_key": refused(Iamport("imp_apikey", "guess", url).find, imp_uid=paid),
}
print(json.dumps(saw))
