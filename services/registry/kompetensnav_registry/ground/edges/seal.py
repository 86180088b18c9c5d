"""Numbers sealed in the vault: AES-256-GCM under a key of each row, which a key of the municipality wraps.

A row's wrapped key deleted is its number erased, also from backups of the other columns. Numbers are found
again by a blind index (a keyed hash), never by opening them.
Sources: NIST SP 800-38D (GCM), RFC 3394 (key wrap), RFC 5869 (HKDF).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap


@dataclass(frozen=True)
class Sealed:
    """What is kept instead of a number: `sealed` (nonce and ciphertext), its `wrapped_key`, its index."""

    sealed: bytes
    wrapped_key: bytes
    blind_index: bytes


class CannotOpen(Exception):
    """The vault's key does not fit what was sealed."""


class Seal:
    """Seals and opens with keys derived from the vault's master key."""

    def __init__(self, master: str) -> None:
        self._master = master.encode()
        self._derived = lru_cache(maxsize=1_000)(self._derive)

    def _derive(self, purpose: str, municipality: str) -> bytes:
        info = f"kompetensnav {purpose} {municipality}".encode()
        return HKDF(SHA256(), length=32, salt=None, info=info).derive(self._master)

    def seal(self, municipality: str, row: str, text: str) -> Sealed:
        """Seals a number for a row (its id is bound in, so that a cell cannot be moved to another row)."""
        key, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
        return Sealed(
            nonce + AESGCM(key).encrypt(nonce, text.encode(), row.encode()),
            aes_key_wrap(self._derived("wrap", municipality), key),
            self.index(municipality, text),
        )

    def open(self, municipality: str, row: str, sealed: bytes, wrapped_key: bytes) -> str:
        """The number. Raises CannotOpen."""
        try:
            key = aes_key_unwrap(self._derived("wrap", municipality), wrapped_key)
            return AESGCM(key).decrypt(sealed[:12], sealed[12:], row.encode()).decode()
        except (InvalidUnwrap, InvalidTag, ValueError) as bad:
            raise CannotOpen from bad

    def index(self, municipality: str, text: str) -> bytes:
        """The blind index of a number: the same for the same number in one municipality, and nothing else."""
        return hmac.new(self._derived("index", municipality), text.encode(), hashlib.sha256).digest()
