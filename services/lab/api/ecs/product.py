"""ECS 2014-05-26: its actions."""

from __future__ import annotations

from services.lab.api.call import Product
from services.lab.api.ecs import commands, instances, security_groups

ECS = Product(
    code="ecs",
    version="2014-05-26",
    host="ecs.{region}.aliyuncs.com",
    regional=True,
    reads={
        "DescribeInstances": instances.describe_instances,
        "DescribeInvocationResults": commands.describe_invocation_results,
        "DescribeSecurityGroupAttribute": security_groups.describe_security_group_attribute,
    },
    writes={
        "AuthorizeSecurityGroup": security_groups.authorize_security_group,
        "RevokeSecurityGroup": security_groups.revoke_security_group,
        "RunCommand": commands.run_command,
    },
)
