"""Reads certificates from outside. Pure."""

import warnings
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

# What a certificate that cannot be read raises: many fields are read only when they are asked for,
# so also long after it was loaded.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def load_certificate(encoded: bytes) -> x509.Certificate:
    """The certificate of DER.

    Raises:
        one of ``UNREADABLE``: it is none.
    """
    with warnings.catch_warnings():
        # Makers' certificates have serial numbers that RFC 5280 does not know: AMD's chips have 0.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(encoded)
