"""How Kafka's brokers know that it is us, and we that it is them: TLS and SASL."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from adapters.kafka.oauth import ClientCredentialsTokens, OAuthClient
from adapters.secrets import FieldInvalid, at_most_one, exactly_one, read_secret
from domain.errors import RoutekeeperError

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

_OF_TLS = ("ca_file", "certificate_file", "key_file", "key_password", "key_password_file")
_OF_SASL = ("sasl_username", "sasl_password", "sasl_password_file")


class KafkaSecurityInvalid(RoutekeeperError):
    """A certificate or a key cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """How connections to Kafka are protected, as the brokers' listener asks for it.

    ``protocol``: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``. ``ca_file``: the certificates (PEM) that
    the brokers' are checked against (unset: the system's). ``certificate_file`` and ``key_file``: our own (PEM; the key
    may stand in the certificate's file), with ``key_password`` or ``key_password_file`` if the key is encrypted.
    ``sasl_mechanism``: ``PLAIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-512`` or ``OAUTHBEARER``; the first three need
    ``sasl_username`` and ``sasl_password`` or ``sasl_password_file``, the last one ``oauth``. Files are read again for
    every new client.
    """

    protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: SecretStr | None = None
    key_password_file: Path | None = None
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    oauth: OAuthClient = field(default_factory=OAuthClient)

    def __post_init__(self) -> None:
        """Raise :class:`FieldInvalid` where fields do not fit together."""
        if self.is_encrypted:
            self._check_tls()
        else:
            self._refuse(_OF_TLS, f"is set, but protocol {self.protocol} does not use TLS")
        if self.is_authenticated:
            self._check_sasl()
        else:
            self._refuse(_OF_SASL, f"is set, but protocol {self.protocol} does not use SASL")
            if self.oauth.is_set:
                raise FieldInvalid("oauth", f"is set, but protocol {self.protocol} does not use SASL")

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are made by TLS."""
        return self.protocol.endswith("SSL")

    @property
    def is_authenticated(self) -> bool:
        """Whether we say by SASL who we are."""
        return self.protocol.startswith("SASL")

    def client_options(self) -> Mapping[str, Any]:
        """What aiokafka's clients are made with; those of one client share their OAuth token.

        Raises :class:`KafkaSecurityInvalid`, and :class:`~adapters.secrets.SecretUnreadable`.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.is_authenticated:
            options["sasl_mechanism"] = self.sasl_mechanism
            if self.sasl_mechanism == "OAUTHBEARER":
                options["sasl_oauth_token_provider"] = ClientCredentialsTokens(self.oauth)
            else:
                options["sasl_plain_username"] = self.sasl_username
                password = read_secret("sasl_password", self.sasl_password, self.sasl_password_file)
                options["sasl_plain_password"] = password
        if self.is_encrypted:
            options["ssl_context"] = self._ssl_context()
        return options

    def check_files(self) -> None:
        """Read the files once, to be told now. Raises what :meth:`client_options` raises."""
        self.client_options()
        read_secret("oauth__client_secret", self.oauth.client_secret, self.oauth.client_secret_file)

    def _check_tls(self) -> None:
        if self.certificate_file is None:
            self._refuse(("key_file", "key_password", "key_password_file"), "is set, but certificate_file is not")
        at_most_one("key_password", self.key_password, self.key_password_file)

    def _check_sasl(self) -> None:
        mechanism = f"mechanism {self.sasl_mechanism}"
        if self.sasl_mechanism == "OAUTHBEARER":
            self._refuse(_OF_SASL, f"is set, but {mechanism} does not use it")
            try:
                self.oauth.check_complete()
            except FieldInvalid as error:
                raise FieldInvalid(f"oauth__{error.field}", str(error)) from None
            return
        if self.oauth.is_set:
            raise FieldInvalid("oauth", f"is set, but {mechanism} does not use it")
        if not self.sasl_username:
            raise FieldInvalid("sasl_username", f"is unset, and {mechanism} needs it")
        exactly_one("sasl_password", self.sasl_password, self.sasl_password_file, because=mechanism)

    def _refuse(self, fields: tuple[str, ...], problem: str) -> None:
        for name in fields:
            if getattr(self, name) is not None:
                raise FieldInvalid(name, problem)

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise KafkaSecurityInvalid(f"ca_file {str(self.ca_file)!r} cannot be used: {_why(error)}") from None
        if self.certificate_file is not None:
            password = read_secret("key_password", self.key_password, self.key_password_file)
            try:
                # Always a password, even an empty one: without any, OpenSSL would ask for it at the terminal.
                context.load_cert_chain(self.certificate_file, self.key_file, password=lambda: password)
            except OSError as error:
                files = f"certificate_file {str(self.certificate_file)!r}"
                files += f" with key_file {str(self.key_file)!r}" if self.key_file else ""
                raise KafkaSecurityInvalid(f"{files} cannot be used: {_why(error)}") from None
        return context


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
