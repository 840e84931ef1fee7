"""STS 2015-04-01: who is asking."""

from __future__ import annotations

from services.lab.api.call import Call, Product
from services.lab.state.account import Json


def get_caller_identity(call: Call) -> Json:
    account = call.account
    user_id = f"2{account.id[1:]}"
    return {
        "AccountId": account.id,
        "Arn": f"acs:ram::{account.id}:user/{account.user}",
        "IdentityType": "RAMUser",
        "PrincipalId": user_id,
        "UserId": user_id,
    }


STS = Product(
    code="sts",
    version="2015-04-01",
    host="sts.{region}.aliyuncs.com",
    reads={"GetCallerIdentity": get_caller_identity},
    writes={},
)
