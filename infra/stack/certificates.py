"""The certificates by which SeaweedFS's parts know one another: an authority for this stack alone, one pair of keys.

The authority's own key is thrown away at once, so that nothing else can ever be signed by it.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.stack.state import LOOPBACK, make_private_folder, write_private

LIFETIME: Final = timedelta(days=3650)
RENEW_BEFORE: Final = timedelta(days=365)


class Certificates(NamedTuple):
    """Where the three files are."""

    authority: Path
    certificate: Path
    key: Path


def name_certificates(folder: Path) -> Certificates:
    """Return where the files lie in this folder."""
    return Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")


def make_certificates(folder: Path) -> None:
    """Make the files unless they are there and good for another year."""
    files = name_certificates(make_private_folder(folder))
    now = datetime.now(UTC)
    if all(file.exists() for file in files):
        found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        if found.not_valid_after_utc - now > RENEW_BEFORE:
            return
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keepfit stack authority")])
    authority = _start(issuer, issuer, authority_key, now).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keepfit stack seaweed")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK)), x509.DNSName("localhost")])
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf = _start(subject, issuer, key, now).add_extension(names, critical=False).add_extension(uses, critical=False)
    write_private(files.authority, _text(authority.sign(authority_key, hashes.SHA256())))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(files.key, pem.decode())
    # Last: by its dates the next start sees whether all three were made.
    write_private(files.certificate, _text(leaf.sign(authority_key, hashes.SHA256())))


def _start(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
