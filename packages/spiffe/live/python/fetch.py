"""Fetches everything that a Workload API has with py-spiffe, verifies it, and prints what it is as JSON.

Usage: fetch.py ADDRESS AUDIENCE
"""

import base64
import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtSvid, WorkloadApiClient

TIMEOUT_SECONDS = 20


def base64_of(certificate):
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def verify(svid, bundles):
    """Every certificate is issued by the next, the last by an authority of the domain of the SVID."""
    chain = svid.cert_chain
    for certificate, issuer in zip(chain, chain[1:]):
        certificate.verify_directly_issued_by(issuer)
    bundle = bundles.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    issuers = [a for a in bundle.x509_authorities if a.subject == chain[-1].issuer and issued(chain[-1], a)]
    if not issuers:
        raise ValueError(f"{svid.spiffe_id}: no authority of its domain issued it")
    if svid.private_key.public_key() != svid.leaf.public_key():
        raise ValueError(f"{svid.spiffe_id}: the key is not that of the certificate")


def issued(certificate, authority):
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # Whatever it is: this authority did not issue it.
        return False
    return True


def main(address, audience):
    with WorkloadApiClient(address, default_timeout=TIMEOUT_SECONDS) as client:
        context = client.fetch_x509_context()
        for svid in context.x509_svids:
            verify(svid, context.x509_bundle_set)
        x509_bundles = client.fetch_x509_bundles()

        jwt_bundles = client.fetch_jwt_bundles()
        fetched = client.fetch_jwt_svid({audience})
        bundle = jwt_bundles.get_bundle_for_trust_domain(fetched.spiffe_id.trust_domain)
        token = JwtSvid.parse_and_validate(fetched.token, bundle, {audience})
        client.validate_jwt_svid(fetched.token, audience)

    return {
        "x509Svids": [
            {
                "id": str(svid.spiffe_id),
                "chain": [base64_of(certificate) for certificate in svid.cert_chain],
            }
            for svid in context.x509_svids
        ],
        "x509Bundles": {
            bundle.trust_domain.name: sorted(map(base64_of, bundle.x509_authorities))
            for bundle in x509_bundles.bundles
        },
        "jwtSvid": {"id": str(token.spiffe_id), "audience": sorted(token.audience)},
        "jwtBundles": {
            bundle.trust_domain.name: sorted(bundle.jwt_authorities) for bundle in jwt_bundles.bundles
        },
    }


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
