"""Step 5: the TCPSSL listener that demands a client certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from services.cloud.equivalent import aliyun
from services.cloud.port import Listener, ListenerSettings
from services.problem import Exit, Problem
from services.session.model import Deed, Facts, Session
from services.steps.asks import always, whole
from services.steps.step import Action, Ask, Check, Choice, Here, Proof, Result

NAME = "listener"
LIVE = None

RECOMMENDED_POLICY = "tls_cipher_policy_1_2_strict_with_1_3"
"""TLS 1.2 with forward secrecy, and 1.3. The API's own default is its weakest, with TLS 1.0."""


def _policies(here: Here) -> Sequence[Choice]:
    found = here.cloud.nlb.security_policies(here.stop)
    return [Choice(policy.id, ", ".join(policy.tls_versions)) for policy in found]


ASKS: Sequence[Ask] = (
    whole("listener.port", 1, 65535, always("443")),
    Ask("listener.policy", "choice", default=always(RECOMMENDED_POLICY), choices=_policies),
)


@dataclass(frozen=True, slots=True)
class CreateListener(Action):
    """CreateListener with CaEnabled: the vendor's TCPSSL listener with mutual authentication."""

    region: str
    balancer_id: str
    port: int
    server_group_id: str
    certificate_id: str
    ca_certificate_id: str
    policy: str
    name: str

    KIND: ClassVar[str] = "listener"
    STEP: ClassVar[str] = NAME

    def _settings(self) -> ListenerSettings:
        return ListenerSettings(
            port=self.port,
            server_group_id=self.server_group_id,
            certificate_id=self.certificate_id,
            ca_certificate_id=self.ca_certificate_id,
            security_policy_id=self.policy,
            name=self.name,
        )

    def find(self, here: Here) -> Result | None:
        for listener in here.cloud.nlb.listeners(self.balancer_id, here.stop):
            if listener.settings.port == self.port:
                if not self._is(listener):
                    raise Problem(
                        "listener.port-taken",
                        evidence=listener.id,
                        port=self.port,
                        balancer=self.balancer_id,
                        exit=Exit.REFUSED,
                    )
                ours = listener.settings.name == self.name
                return replace(self._result(listener.id), ours=ours)
        return None

    def _is(self, listener: Listener) -> bool:
        """Whether it does what this one would; its name and time-out may be its owner's."""
        found = listener.settings
        return (
            listener.protocol.upper() == "TCPSSL"
            and found.mutual
            and found.server_group_id == self.server_group_id
            and found.certificate_id == self.certificate_id
            and found.ca_certificate_id == self.ca_certificate_id
            and found.security_policy_id == self.policy
        )

    def _result(self, listener_id: str) -> Result:
        return Result(listener_id, {"listener.id": listener_id})

    def apply(self, here: Here, token: str) -> Result:
        listener_id = here.cloud.nlb.create_listener(
            self.balancer_id,
            self._settings(),
            token,
            here.stop,
            tags=(("nlb-mtls", here.session.id),),
        )
        return self._result(listener_id)

    def undo(self, here: Here, deed: Deed) -> None:
        if deed.resource:
            here.cloud.nlb.delete_listener(deed.resource, f"{deed.token}-undo", here.stop)

    def equivalent(self) -> Sequence[str]:
        return [
            aliyun(
                "nlb",
                "CreateListener",
                {
                    "LoadBalancerId": self.balancer_id,
                    "ListenerProtocol": "TCPSSL",
                    "ListenerPort": self.port,
                    "ServerGroupId": self.server_group_id,
                    "CertificateIds": [self.certificate_id],
                    "CaEnabled": True,
                    "CaCertificateIds": [self.ca_certificate_id],
                    "SecurityPolicyId": self.policy,
                    "ListenerDescription": self.name,
                },
                self.region,
            )
        ]


ACTIONS: Sequence[type[Action]] = (CreateListener,)


def look(here: Here) -> Facts:
    """Nothing but the step's own answers matters here."""
    return {}


def plan(session: Session) -> Sequence[Action]:
    """One listener, from the ids that the steps before have found or made."""
    facts = session.facts
    return [
        CreateListener(
            region=session.answers.get("prepare.region", ""),
            balancer_id=facts.get("balancer.id", ""),
            port=int(session.answers.get("listener.port", "443")),
            server_group_id=facts.get("server_group.id", ""),
            certificate_id=facts.get("server.certificate_id", ""),
            ca_certificate_id=facts.get("ca.id", ""),
            policy=session.answers.get("listener.policy", RECOMMENDED_POLICY),
            name=f"nlb-mtls-{session.id}",
        )
    ]


def prove(here: Here) -> Proof:
    """Read the listener back: it runs, and it demands a certificate of the right CA."""
    facts = here.facts
    listener = here.cloud.nlb.listener(facts.get("listener.id", ""), here.stop)
    if listener is None:
        return Proof((Check("listener.check.runs", False, facts.get("listener.id", "-")),))
    settings = listener.settings
    return Proof(
        (
            Check("listener.check.runs", listener.status == "Running", listener.status),
            Check("listener.check.mutual", settings.mutual, f"CaEnabled={settings.mutual}"),
            Check(
                "listener.check.ca",
                settings.ca_certificate_id == facts.get("ca.id"),
                settings.ca_certificate_id,
            ),
            Check(
                "listener.check.certificate",
                settings.certificate_id == facts.get("server.certificate_id"),
                settings.certificate_id,
            ),
        )
    )
