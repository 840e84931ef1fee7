"""NLB 2022-04-30: its actions."""

from __future__ import annotations

from services.lab.api.call import Product
from services.lab.api.errors import illegal
from services.lab.api.nlb import balancers, groups, jobs, listeners, tags

NLB = Product(
    code="nlb",
    version="2022-04-30",
    host="nlb.{region}.aliyuncs.com",
    methods=("POST",),
    illegal=illegal,
    regional=True,
    dry_runs=True,
    reads={
        "DescribeRegions": balancers.describe_regions,
        "DescribeZones": balancers.describe_zones,
        "GetJobStatus": jobs.get_job_status,
        "GetListenerAttribute": listeners.get_listener_attribute,
        "GetListenerHealthStatus": listeners.get_listener_health_status,
        "GetLoadBalancerAttribute": balancers.get_load_balancer_attribute,
        "ListAsynJobs": jobs.list_asyn_jobs,
        "ListListenerCertificates": listeners.list_listener_certificates,
        "ListListeners": listeners.list_listeners,
        "ListLoadBalancers": balancers.list_load_balancers,
        "ListSecurityPolicy": listeners.list_security_policy,
        "ListServerGroupServers": groups.list_server_group_servers,
        "ListServerGroups": groups.list_server_groups,
        "ListSystemSecurityPolicy": listeners.list_system_security_policy,
        "ListTagResources": tags.list_tag_resources,
    },
    writes={
        "AddServersToServerGroup": groups.add_servers_to_server_group,
        "CreateListener": listeners.create_listener,
        "CreateLoadBalancer": balancers.create_load_balancer,
        "CreateServerGroup": groups.create_server_group,
        "DeleteListener": listeners.delete_listener,
        "DeleteLoadBalancer": balancers.delete_load_balancer,
        "DeleteServerGroup": groups.delete_server_group,
        "RemoveServersFromServerGroup": groups.remove_servers_from_server_group,
        "StartListener": listeners.start_listener,
        "StopListener": listeners.stop_listener,
        "TagResources": tags.tag_resources,
        "UntagResources": tags.untag_resources,
        "UpdateListenerAttribute": listeners.update_listener_attribute,
        "UpdateLoadBalancerProtection": balancers.update_load_balancer_protection,
        "UpdateServerGroupAttribute": groups.update_server_group_attribute,
        "UpdateServerGroupServersAttribute": groups.update_server_group_servers_attribute,
    },
)
