from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.x509 import verification

from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.names import spiffe_id

NOW = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)


def loaded(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.encode())


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return CertificateAuthority.create(NOW)


@pytest.fixture
def authority(pair: KeyPair) -> CertificateAuthority:
    return CertificateAuthority(pair)


def builder(pair: KeyPair, now: datetime.datetime) -> verification.PolicyBuilder:
    return verification.PolicyBuilder().store(verification.Store([loaded(pair)])).time(now)


def test_another_workload_verifies_an_identity(pair: KeyPair, authority: CertificateAuthority) -> None:
    identity = authority.identity(spiffe_id("shop", "server"), NOW)
    # The library's default policy requires a subject alternative name of a kind that it knows, unlike URIs.
    verified = loaded(identity)
    verified.verify_directly_issued_by(loaded(pair))
    names = verified.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://cluster.local/ns/shop/sa/server"
    ]
    constraints = verified.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    purposes = verified.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {x509.ExtendedKeyUsageOID.CLIENT_AUTH, x509.ExtendedKeyUsageOID.SERVER_AUTH} == set(purposes)


def test_an_identity_lasts_a_day(authority: CertificateAuthority) -> None:
    identity = authority.identity(spiffe_id("shop", "server"), NOW)
    assert identity.not_after == NOW + datetime.timedelta(hours=24)


def test_a_serving_certificate_is_verified_for_its_names(
    pair: KeyPair, authority: CertificateAuthority
) -> None:
    serving = loaded(authority.serving(["smi-reference.smi-reference.svc", "smi-reference"], NOW))
    for name in ("smi-reference.smi-reference.svc", "smi-reference"):
        builder(pair, NOW).build_server_verifier(x509.DNSName(name)).verify(serving, [])
    with pytest.raises(verification.VerificationError):
        builder(pair, NOW).build_server_verifier(x509.DNSName("other")).verify(serving, [])
    late = NOW + datetime.timedelta(days=400)
    with pytest.raises(verification.VerificationError):
        builder(pair, late).build_server_verifier(x509.DNSName("smi-reference")).verify(serving, [])


def test_a_certificate_of_another_authority_is_rejected(authority: CertificateAuthority) -> None:
    serving = loaded(authority.serving(["smi-reference"], NOW))
    with pytest.raises(verification.VerificationError):
        builder(CertificateAuthority.create(NOW), NOW).build_server_verifier(
            x509.DNSName("smi-reference")
        ).verify(serving, [])


def test_a_restarted_authority_issues_accepted_identities(pair: KeyPair) -> None:
    assert CertificateAuthority(pair).fingerprint == CertificateAuthority(pair).fingerprint
    CertificateAuthority(pair).identity(spiffe_id("a", "b"), NOW)


def test_a_foreign_key_is_no_authority(pair: KeyPair) -> None:
    with pytest.raises(ValueError, match="key"):
        CertificateAuthority(KeyPair(pair.certificate, CertificateAuthority.create(NOW).key))


def test_keys_do_not_show_in_messages(pair: KeyPair) -> None:
    assert "PRIVATE" not in repr(pair)
