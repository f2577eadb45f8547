"""TLS for both roles, from files: what a listener shows, and what a client trusts."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import ssl
from twisted.internet._sslverify import IOpenSSLTrustRoot  # nowhere public, though a trust root has to provide it
from twisted.python.failure import Failure
from zope.interface import implementer

from txtrader.errors import ConfigError

__all__ = ["client_options", "server_context", "tls_fault"]


def server_context(certificate_file: str, key_file: str) -> Any:
    """Return the context factory of a listener; raises ConfigError when the files do not serve."""
    try:
        return ssl.DefaultOpenSSLContextFactory(key_file, certificate_file)
    except (SSL.Error, OSError) as error:
        raise ConfigError(f"{certificate_file} and {key_file} are no certificate with its key: {error}") from None


def client_options(host: str, ca_file: str | None = None) -> Any:
    """Return what a client asks of a server called `host`: the system's roots, or those of one PEM file."""
    if ca_file is None:
        return ssl.optionsForClientTLS(host)
    return ssl.optionsForClientTLS(host, trustRoot=_FileRoots(ca_file))


def tls_fault(failure: Failure) -> str | None:
    """Say in words why a link ended where its encryption was the reason, None for other reasons."""
    error = failure.value
    if isinstance(error, VerificationError | CertificateError):
        return "the certificate is another server's"
    if not isinstance(error, SSL.Error):
        return None
    rows = error.args[0] if error.args and isinstance(error.args[0], list) else []
    words = [str(row[-1]) for row in rows if row]
    return ", ".join(words) or "the peer broke it off"


@implementer(IOpenSSLTrustRoot)
class _FileRoots:
    """The roots in a file, read by OpenSSL itself."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _addCACertsToContext(self, context: Any) -> None:
        try:
            context.load_verify_locations(self._path)
        except SSL.Error as error:
            raise ConfigError(f"{self._path} holds no certificates: {error}") from None
