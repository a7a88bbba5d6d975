"""The certificate authority of the reference mesh: X.509 certificates with SPIFFE IDs (X509-SVID).

Keys are EC P-256. The authority's key is generated at installation and stored in a Secret. There is no other
state, so sidecars accept the identities that a restarted control plane issues.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
SERVING_LIFETIME = datetime.timedelta(days=365)
IDENTITY_LIFETIME = datetime.timedelta(hours=24)
# Tolerates clock skew between nodes.
_BACKDATED = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Pair(<certificate>, <key>)"

    @property
    def not_after(self) -> datetime.datetime:
        """The end of the certificate's validity, in UTC. Raises ValueError for an invalid certificate."""
        return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc


class CertificateAuthority:
    """Issues certificates. Raises ValueError if the pair is not a usable authority."""

    def __init__(self, pair: KeyPair) -> None:
        self.trust_bundle = pair.certificate
        self._certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        key = serialization.load_pem_private_key(pair.key.encode(), None)
        if (
            not isinstance(key, ec.EllipticCurvePrivateKey)
            or key.public_key() != self._certificate.public_key()
        ):
            raise ValueError("the authority's key is not the one of its certificate")
        self._key = key

    @property
    def fingerprint(self) -> str:
        """A short identifier of the authority."""
        return hashlib.sha256(self.trust_bundle.encode()).hexdigest()[:12]

    @staticmethod
    def create(now: datetime.datetime) -> KeyPair:
        """A new authority, valid for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("smi-reference authority")
        builder = _builder(name, name, key, now, AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        return _pair(builder.sign(key, hashes.SHA256()), key)

    def identity(self, spiffe_id: str, now: datetime.datetime) -> KeyPair:
        """A workload's identity, for both ends of mutual TLS, valid for 24 hours."""
        name = x509.UniformResourceIdentifier(spiffe_id)
        # RFC 5280 4.2.1.6: with an empty subject the alternative name is critical (also SPIFFE X509-SVID
        # 4.1).
        return self._issue(
            x509.Name([]), [name], critical=True, client=True, now=now, lifetime=IDENTITY_LIFETIME
        )

    def serving(self, hosts: Sequence[str], now: datetime.datetime) -> KeyPair:
        """A server certificate for DNS names and IP addresses, valid for a year."""
        names = [_host(host) for host in hosts]
        return self._issue(
            _name(hosts[0]), names, critical=False, client=False, now=now, lifetime=SERVING_LIFETIME
        )

    def client(self, name: str, now: datetime.datetime) -> KeyPair:
        """A client certificate for a common name, valid for a year."""
        names = [x509.DNSName(name)]
        return self._issue(
            _name(name), names, critical=False, client=True, now=now, lifetime=SERVING_LIFETIME
        )

    def _issue(
        self,
        subject: x509.Name,
        names: Sequence[x509.GeneralName],
        *,
        critical: bool,
        client: bool,
        now: datetime.datetime,
        lifetime: datetime.timedelta,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
        builder = _builder(subject, self._certificate.subject, key, now, lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=critical)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        return _pair(builder.sign(self._key, hashes.SHA256()), key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
