"""A certificate in Private CA's words, which CA and end certificates share."""

from __future__ import annotations

import json

from services.lab.state.account import Json
from services.lab.state.x509 import describe


def described(pem: str) -> Json:
    """What the certificate itself says."""
    told = describe(pem)
    return {
        "AfterDate": told.not_after_ms,
        "Algorithm": told.algorithm,
        "BeforeDate": told.not_before_ms,
        "CommonName": told.subject.common_name,
        "CountryCode": told.subject.country,
        "KeySize": told.key_size,
        "Locality": told.subject.locality,
        "Md5": told.md5,
        "Organization": told.subject.organization,
        "OrganizationUnit": told.subject.organization_unit,
        # A list in JSON inside a JSON text: the vendor's way.
        "Sans": json.dumps([{"Type": kind, "Value": value} for kind, value in told.sans]),
        "SerialNumber": told.serial_number,
        "Sha2": told.sha256,
        "SignAlgorithm": told.signature_algorithm,
        "State": told.subject.state,
        "SubjectDN": told.subject_dn,
        "X509Certificate": pem,
    }
