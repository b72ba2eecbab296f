"""TLS certificates of an authority of our own."""

from pathlib import Path

import trustme


class Authority:
    """file: its own certificate; pem: the text of that."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.pem = self._ca.cert_pem.bytes().decode()
        self.folder, self.file = folder, folder / "ca.pem"
        self.file.write_text(self.pem)

    def issue(self, host: str) -> tuple[Path, Path]:
        certificate, key = self.folder / f"{host}.pem", self.folder / f"{host}.key"
        issued = self._ca.issue_cert(host)
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key
