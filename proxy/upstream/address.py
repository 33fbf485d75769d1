"""An upstream's URL → where to connect, what to call it, what to put before each path."""

from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is: `unix` is a socket's path, or empty; `base` goes before each request's path."""

    scheme: str
    host: str
    port: int
    base: bytes = b""
    unix: str = ""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `http://host:port/base`, `https://…` or `unix:/path`."""
        if url.startswith("unix:"):
            return cls("http", "localhost", 80, unix=url.removeprefix("unix:"))
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        return cls(parts.scheme, parts.hostname or "", port, parts.path.rstrip("/").encode())

    @property
    def authority(self) -> bytes:
        """Return what a Host field says of it: the port only where it is not the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port != _DEFAULT_PORTS[self.scheme]:
            host = f"{host}:{self.port}"
        return host.encode("idna" if not host.isascii() else "ascii")

    @property
    def identity(self) -> str:
        """Return what sets this upstream's answers apart from another's in a shared store."""
        return f"{self.scheme}://{self.unix or self.authority.decode()}{self.base.decode()}"

    def target(self, target: bytes) -> bytes:
        """Return the target to send: the client's own, below the base path."""
        return self.base + target if self.base and target.startswith(b"/") else target
