"""Who signs: keys given outright, else the vendor's default chain without its surprises.

The chain is the vendor's own (environment, OIDC, the CLI's profile, the SDKs' profile, an ECS
instance's RAM role, a URI). Two things differ. The two or three variables of a plain AccessKey are
read when a call is made, not once at import. And the instance's metadata service is asked only if
`ALIBABA_CLOUD_ECS_METADATA` names a role, or a profile does: anywhere but on an ECS instance the
question costs two seconds and prints a traceback.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An AccessKey pair; `token` makes it a temporary one (STS)."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class DefaultChain:
    """What a product's client asks for keys before each call. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vendor: Any = None

    def get_credential(self) -> Any:
        """The vendor's CredentialModel. Raises its CredentialException when nothing is found."""
        from alibabacloud_credentials.exceptions import CredentialException
        from alibabacloud_credentials.models import CredentialModel
        from Tea.exceptions import TeaException

        if keys := from_environment():
            return CredentialModel(
                access_key_id=keys.id,
                access_key_secret=keys.secret,
                security_token=keys.token or None,
                type="sts" if keys.token else "access_key",
                provider_name="default/env",
            )
        try:
            return self._chain().get_credential()
        except (TeaException, OSError, ValueError, LookupError, TypeError, AttributeError):
            # A source that once worked fails to renew, in whatever way its parser fails.
            raise CredentialException("a credential source failed") from None

    def _chain(self) -> Any:
        with self._lock:
            if self._vendor is None:
                from alibabacloud_credentials.client import Client
                from alibabacloud_credentials.utils import auth_util

                # The variable ALIBABA_CLOUD_ECS_METADATA_DISABLED, as the vendor read it at
                # import: set for the moment in which the chain is put together, so that a profile
                # that names a role still works, and no child process inherits anything.
                disabled = auth_util.environment_ecs_metadata_disabled
                if not os.environ.get("ALIBABA_CLOUD_ECS_METADATA"):
                    auth_util.environment_ecs_metadata_disabled = "true"
                try:
                    self._vendor = Client()
                finally:
                    auth_util.environment_ecs_metadata_disabled = disabled
            return self._vendor


def from_environment() -> AccessKey | None:
    """The AccessKey that the environment holds at this moment, if it holds a whole one."""
    key_id = os.environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID", "").strip()
    secret = os.environ.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "").strip()
    if not key_id or not secret:
        return None
    return AccessKey(key_id, secret, os.environ.get("ALIBABA_CLOUD_SECURITY_TOKEN", "").strip())


def looked_in() -> str:
    """Where keys were looked for, and whether the place exists: evidence without a secret."""
    home = Path(os.environ.get("HOME") or Path.home())
    profile = os.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE")
    variables = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    files = (
        home / ".aliyun" / "config.json",
        Path(profile) if profile else home / ".alibabacloud" / "credentials.ini",
    )
    found = [f"{name}: {'set' if os.environ.get(name) else 'not set'}" for name in variables]
    found += [f"{path}: {'no usable profile' if path.is_file() else 'absent'}" for path in files]
    role = os.environ.get("ALIBABA_CLOUD_ECS_METADATA")
    found.append(f"ECS RAM role: {role or 'not asked'}")
    return "; ".join(found)
